"""Image files of every kind become the right pixels, and those the right input."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from jaxart import storage
from jaxart.data import images, resizing
from jaxart.data.images import ImageError, load
from jaxart.storage import StorageError

BLACK, WHITE, RED, BLUE = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255)
ORIENTATION = 0x0112  # the EXIF tag


def decode(path, side_enough=None):
    image = images.decode(path, side_enough)
    assert image.mode == "RGB"
    return np.asarray(image)


def resize_to(pixels, *rule):
    return resizing.resize_to(Image.fromarray(pixels), *rule)


def random_pixels(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


# --- Network input --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel_order", "mean", "left", "right"),
    [
        # (30-1, 20-2, 10-3) and (50-1, 100-2, 200-3)
        ("bgr", (1.0, 2.0, 3.0), (29, 18, 7), (49, 98, 197)),
        # (10-1, 20-2, 30-3) and (200-1, 100-2, 50-3)
        ("rgb", (1.0, 2.0, 3.0), (9, 18, 27), (199, 98, 47)),
        # 30 - 103.939, 20 - 116.779, 10 - 123.68; likewise 50, 100, 200
        (
            "bgr",
            (103.939, 116.779, 123.68),
            (-73.939, -96.779, -113.68),
            (-53.939, -16.779, 76.32),
        ),
    ],
)
def test_load_orders_channels_and_subtracts_the_mean(
    tmp_path, channel_order, mean, left, right
):
    path = tmp_path / "two pixels.png"
    Image.fromarray(np.array([[(10, 20, 30), (200, 100, 50)]], np.uint8)).save(path)
    found = load(
        path, resize="tf1_bilinear", size=2, channel_order=channel_order, mean=mean
    )
    assert found.dtype == np.float32
    assert found.shape == (2, 2, 3)
    np.testing.assert_allclose(found, [[left, right]] * 2, rtol=1e-6)


# --- Decoding -------------------------------------------------------------------------


def picture(mode, *values):
    """One row of pixels in a mode of Pillow."""
    image = Image.new(mode, (len(values), 1))
    for x, value in enumerate(values):
        image.putpixel((x, 0), value)
    return image


def palette(*indices):
    image = picture("P", *indices)
    image.putpalette([*BLACK, *RED, *BLUE])
    return image


def grey16(dtype):
    return Image.fromarray(np.array([[0, 257, 32768, 65535]], dtype))


# 16-bit grey: 65535 / 257 = 255; 32768 / 257 = 127.5019.
GREY16 = [BLACK, (1, 1, 1), (128, 128, 128), WHITE]


@pytest.mark.parametrize(
    ("image", "name", "options", "wanted"),
    [
        (picture("RGB", RED, (1, 2, 3)), "rgb.png", {}, [RED, (1, 2, 3)]),
        (picture("RGB", RED, (1, 2, 3)), "rgb.bmp", {}, [RED, (1, 2, 3)]),
        (picture("L", 0, 99, 255), "l.png", {}, [BLACK, (99, 99, 99), WHITE]),
        (picture("1", 0, 255), "1.png", {}, [BLACK, WHITE]),
        (palette(0, 1, 2), "p.png", {}, [BLACK, RED, BLUE]),
        (palette(0, 1, 2), "p.gif", {}, [BLACK, RED, BLUE]),
        (palette(0, 1, 2), "p1.png", {"transparency": 1}, [BLACK, WHITE, BLUE]),
        (palette(0, 1, 2), "p1.gif", {"transparency": 1}, [BLACK, WHITE, BLUE]),
        # An alpha of 128 lets 255 * (255 - 128) / 255 = 127 of the white through.
        (
            palette(0, 1, 2),
            "p half.png",
            {"transparency": bytes([255, 0, 128])},
            [BLACK, WHITE, (127, 127, 255)],
        ),
        # 100 * 128 / 255 + 127 = 177.2
        (
            picture("LA", (100, 128), (100, 255), (100, 0)),
            "la.png",
            {},
            [(177, 177, 177), (100, 100, 100), WHITE],
        ),
        # 200 * 128 / 255 + 127 = 227.4; 0 + 127; 100 * 128 / 255 + 127 = 177.2
        (
            picture("RGBA", (200, 0, 100, 128), (1, 2, 3, 255), (1, 2, 3, 0)),
            "rgba.png",
            {},
            [(227, 127, 177), (1, 2, 3), WHITE],
        ),
        (
            picture("RGB", RED, BLUE),
            "rgb key.png",
            {"transparency": RED},
            [WHITE, BLUE],
        ),
        (grey16(np.uint16), "i16.png", {}, GREY16),
        (grey16("<u2"), "i16.tif", {}, GREY16),
        (grey16(">u2"), "i16b.tif", {}, GREY16),
        (grey16(np.int32), "i.tif", {}, GREY16),
        (grey16(np.int32), "i.pgm", {}, GREY16),
        (picture("RGB", RED, BLUE), "rgb.webp", {"lossless": True}, [RED, BLUE]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_mode_becomes_rgb(tmp_path, image, name, options, wanted):
    path = tmp_path / name
    image.save(path, **options)
    found = decode(path)
    assert found.dtype == np.uint8
    assert found.tolist() == [[list(pixel) for pixel in wanted]]


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    ("mode", "ink", "wanted"),
    [
        ("RGB", (200, 30, 90), (200, 30, 90)),  # held as YCbCr
        ("L", 77, (77, 77, 77)),
        # No cyan, all magenta, all yellow, no black: red. Half black: half of it.
        ("CMYK", (0, 255, 255, 0), RED),
        ("CMYK", (0, 255, 255, 128), (127, 0, 0)),
    ],
)
def test_jpeg_colours(tmp_path, mode, ink, wanted, progressive):
    path = tmp_path / "flat.jpg"
    image = Image.new(mode, (16, 8), ink)
    image.save(path, quality=100, progressive=progressive)
    found = decode(path)
    assert found.shape == (8, 16, 3)
    assert np.abs(found - np.array(wanted)).max() <= 2  # JPEG's own rounding


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.webp", "a.tif"])
def test_one_pixel(tmp_path, name):
    Image.new("RGB", (1, 1), WHITE).save(tmp_path / name)
    assert decode(tmp_path / name).tolist() == [[[255, 255, 255]]]


# How a camera stores [[1, 2, 3], [4, 5, 6]]: the tag says where its first row and
# its first column belong (EXIF 2.32, table 4.6.4 A, Orientation).
STORED = {
    1: [[1, 2, 3], [4, 5, 6]],  # top, left
    2: [[3, 2, 1], [6, 5, 4]],  # top, right
    3: [[6, 5, 4], [3, 2, 1]],  # bottom, right
    4: [[4, 5, 6], [1, 2, 3]],  # bottom, left
    5: [[1, 4], [2, 5], [3, 6]],  # left, top
    6: [[3, 6], [2, 5], [1, 4]],  # right, top
    7: [[6, 3], [5, 2], [4, 1]],  # right, bottom
    8: [[4, 1], [5, 2], [6, 3]],  # left, bottom
}


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_turned_upright(tmp_path, orientation):
    path = tmp_path / "turned.jpg"
    block = np.full((8, 8), 40)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = np.kron(STORED[orientation], block).astype(np.uint8)
    Image.fromarray(stored).save(path, quality=100, exif=exif)
    found = decode(path)
    assert found.shape == (16, 24, 3)
    upright = np.kron(STORED[1], block)
    assert np.abs(found[..., 0].astype(int) - upright).max() <= 2


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_leaves_the_picture_as_it_is(tmp_path):
    # A TIFF block that promises five tags and ends within the first.
    exif = b"Exif\0\0" + struct.pack(
        "<2sHIHHHIH", b"II", 42, 8, 5, ORIENTATION, 3, 1, 6
    )
    Image.new("RGB", (8, 4), RED).save(tmp_path / "a.jpg", exif=exif, quality=100)
    assert decode(tmp_path / "a.jpg").shape == (4, 8, 3)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.tif", "a.png"])
def test_first_frame_of_many(tmp_path, name):
    red, blue = (Image.new("RGB", (4, 2), colour) for colour in (RED, BLUE))
    options = {"lossless": True} if name == "a.webp" else {}
    red.save(tmp_path / name, save_all=True, append_images=[blue], **options)
    with Image.open(tmp_path / name) as image:
        assert image.n_frames == 2
    assert decode(tmp_path / name).tolist() == [[list(RED)] * 4] * 2


def png(width, height, bits, colour_type, rows):
    """The bytes of a PNG file, for what Pillow does not write."""

    def chunk(name, data):
        crc = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def test_16_bit_colour(tmp_path):
    # One row of filter type 0, then two pixels; the high byte counts.
    row = b"\0" + struct.pack(">6H", 65535, 0, 0x8000, 0x1234, 0x00FF, 257)
    (tmp_path / "a.png").write_bytes(png(2, 1, 16, 2, row))
    assert decode(tmp_path / "a.png").tolist() == [[[255, 0, 128], [18, 0, 1]]]


# --- What is no picture ---------------------------------------------------------------


def whole_file(tmp_path, suffix):
    path = tmp_path / f"whole{suffix}"
    Image.fromarray(random_pixels(40, 60)).save(path)
    return path.read_bytes()


def cut_short(suffix):
    def content(tmp_path):
        whole = whole_file(tmp_path, suffix)
        return whole[: len(whole) // 2]

    return content


def flip_byte(marker, offset):
    """A PNG whose byte `offset` after `marker` is another."""

    def content(tmp_path):
        damaged = bytearray(whole_file(tmp_path, ".png"))
        damaged[damaged.index(marker) + offset] ^= 0xFF
        return bytes(damaged)

    return content


def tiff(array):
    def content(tmp_path):
        Image.fromarray(array).save(tmp_path / "whole.tif")
        return (tmp_path / "whole.tif").read_bytes()

    return content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(cut_short(".jpg"), "truncated", id="cut JPEG"),
        pytest.param(cut_short(".png"), "truncated", id="cut PNG"),
        pytest.param(lambda _: b"a poem", "not an image", id="text"),
        pytest.param(lambda _: b"", "the file is empty", id="empty"),
        # The header's 13 bytes are followed by its checksum.
        pytest.param(
            flip_byte(b"IHDR", 4 + 13),
            "begins as PNG, but is not an image",
            id="PNG checksum",
        ),
        pytest.param(flip_byte(b"IDAT", 4 + 500), "broken data", id="PNG pixels"),
        pytest.param(
            tiff(np.ones((2, 2), np.float32)), "floating-point", id="float TIFF"
        ),
        pytest.param(tiff(np.array([[0, 65536]], np.int32)), "32-bit", id="32 bit"),
        pytest.param(tiff(np.array([[-1, 9]], np.int32)), "32-bit", id="negative"),
        # 400 million pixels in a few bytes.
        pytest.param(
            lambda _: png(20_000, 20_000, 8, 2, b""),
            "20,000 x 20,000 pixels of PNG take 2,032 MB to decode, which are more",
            id="bomb",
        ),
    ],
)
def test_damaged_file_says_what_is_wrong(tmp_path, content, reason):
    path = tmp_path / "painting.jpg"
    path.write_bytes(content(tmp_path))
    with pytest.raises(ImageError, match=reason) as error:
        decode(path)
    # One short line: the path is a column of its own in skipped.csv.
    assert "painting" not in str(error.value)
    assert "ImageError" not in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 150


def test_missing_file_and_folder_say_so(tmp_path):
    for path, reason in [
        (tmp_path / "none.jpg", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ]:
        with pytest.raises(ImageError) as error:
            load(path, resize="crop", size=8, channel_order="rgb", mean=(0.0, 0.0, 0.0))
        assert str(error.value) == reason


# --- JPEGs that are larger than needed ------------------------------------------------

FACTS = {"size": 60, "channel_order": "rgb", "mean": (0.0, 0.0, 0.0)}


def save_large(path, height=500, width=700, **settings):
    """A JPEG with structure of every size, more than 8 times the network's."""
    small = [random_pixels(height // n + 1, width // n + 1, seed=n) for n in (64, 8, 1)]
    pixels = sum(
        share * np.asarray(Image.fromarray(p).resize((width, height)), np.float32)
        for share, p in zip((0.5, 0.3, 0.2), small, strict=True)
    )
    image = Image.fromarray(pixels.astype(np.uint8))
    image.save(path, quality=90, **settings)
    return path


@pytest.mark.parametrize("rule", ["antialias", "crop"])
@pytest.mark.parametrize("progressive", [False, True])
def test_scaled_decoding_changes_next_to_nothing(tmp_path, rule, progressive):
    height, width = (500, 700) if rule == "antialias" else (1100, 1300)
    path = save_large(tmp_path / "a.jpg", height, width, progressive=progressive)
    found = load(path, resize=rule, **FACTS)
    whole = resize_to(decode(path), FACTS["size"], rule)
    assert not np.array_equal(found, whole)  # it is decoded at another scale
    assert np.abs(found - whole).mean() < 1  # levels of 255
    assert np.abs(found - whole).max() < 8
    # Nothing is shifted: a pixel to the side, the same picture differs much more.
    assert np.abs(found[:, 1:] - whole[:, :-1]).mean() > 5


def test_what_is_decoded_is_at_least_twice_the_size(tmp_path):
    path = save_large(tmp_path / "a.jpg")
    assert decode(path).shape == (500, 700, 3)
    assert decode(path, 120).shape == (125, 175, 3)
    assert decode(path, 126).shape == (250, 350, 3)
    assert decode(path, 251).shape == (500, 700, 3)
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # a quarter turn
    turned = save_large(tmp_path / "turned.jpg", exif=exif)
    assert decode(turned, 120).shape == (175, 125, 3)
    upright = load(turned, resize="antialias", **FACTS)
    flat = load(path, resize="antialias", **FACTS)
    np.testing.assert_allclose(upright, np.rot90(flat, -1), atol=1)


@pytest.mark.parametrize("rule", ["antialias", "crop"])
def test_scaled_decoding_allows_for_the_windows_square(tmp_path, rule):
    # Twice round(60 * 8 / 7) = 69 is more than the 125 rows that the whole is made of.
    path = save_large(tmp_path / "a.jpg")
    decoded = decode(path, 2 * 69)
    assert decoded.shape == (250, 350, 3)
    for view in ("center", "bottom_right_mirrored"):
        np.testing.assert_array_equal(
            load(path, resize=rule, view=view, **FACTS),
            resize_to(decoded, FACTS["size"], rule, view),
        )


@pytest.mark.parametrize(
    ("rule", "height", "width"),
    [("tf1_bilinear", 500, 700), ("antialias", 239, 700), ("crop", 700, 1023)],
)
def test_what_is_not_averaged_or_not_large_is_decoded_whole(
    tmp_path, rule, height, width
):
    path = save_large(tmp_path / "a.jpg", height, width)
    found = load(path, resize=rule, **FACTS)
    np.testing.assert_array_equal(found, resize_to(decode(path), FACTS["size"], rule))


# --- Content ahead of the file, and objects of a store --------------------------------


def test_content_is_decoded_as_its_file_is(tmp_path):
    path = tmp_path / "x.jpg"
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    content = path.read_bytes()
    for side in (None, 70):
        found, wanted = images.decode(content, side), images.decode(path, side)
        np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))
        assert images.read(content, side).size == (400, 300)
    for bad, reason in ((b"", "the file is empty"), (b"?", "not an image that Pillow")):
        with pytest.raises(images.ImageError, match=reason):
            images.decode(bad)


def test_an_object_that_is_missing_is_no_image_and_a_store_that_fails_an_error(bucket):
    path = storage.path(f"{bucket.url}/x.png")
    with pytest.raises(images.ImageError, match="^No such file or directory$"):
        images.decode(path)
    with pytest.raises(StorageError):
        images.decode(storage.path("s3://not_a_bucket's name/x.png"))
