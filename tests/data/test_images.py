"""Image files of every kind become the right pixels, and those the right input."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from jaxart import storage
from jaxart.data import images
from jaxart.data.images import VIEWS, ImageError, field_of_view, load, tf1_bilinear
from jaxart.storage import StorageError

BLACK, WHITE, RED, BLUE = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255)
ORIENTATION = 0x0112  # the EXIF tag


def decode(path, side_enough=None):
    image = images.decode(path, side_enough)
    assert image.mode == "RGB"
    return np.asarray(image)


def resize_to(pixels, *rule):
    return images.resize_to(Image.fromarray(pixels), *rule)


def random_pixels(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


# --- Resizing -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixels", "wanted"),
    [
        # Sources 0 and 1.5: [0, (1+2)/2], then both 1.5 rows of 3 further down.
        pytest.param(np.arange(9).reshape(3, 3), [[0, 1.5], [4.5, 6]], id="3x3 to 2x2"),
        # Sources 0 and 2: every other pixel, no averaging.
        pytest.param(
            np.arange(16).reshape(4, 4), [[0, 2], [8, 10]], id="4x4 to 2x2 picks"
        ),
        # Sources 0 and 2.5: (20 + 30) / 2.
        pytest.param([[0, 10, 20, 30, 40]], [[0, 25]], id="1x5 to 1x2"),
        # Sources 0, 4/3 and 8/3, at 4 a pixel.
        pytest.param([[0, 4, 8, 12]], [[0, 16 / 3, 32 / 3]], id="1x4 to 1x3"),
        # Sources 0, 2/3 and 4/3; past the last pixel it is repeated.
        pytest.param([[0, 30]], [[0, 20, 30]], id="1x2 to 1x3"),
        # Sources 0, 0.5, 1, 1.5 both ways.
        pytest.param(
            [[0, 10], [20, 30]],
            [[0, 5, 10, 10], [10, 15, 20, 20], [20, 25, 30, 30], [20, 25, 30, 30]],
            id="2x2 to 4x4",
        ),
        pytest.param([[7]], [[7, 7, 7]] * 2, id="1x1 to 2x3"),
        # Down by 2 (sources 0, 2) and up by 2 (sources 0, 0.5, 1, 1.5) at once.
        pytest.param(
            [[0, 8], [1, 1], [100, 200], [1, 1]],
            [[0, 4, 8, 8], [100, 150, 200, 200]],
            id="4x2 to 2x4",
        ),
    ],
)
def test_tf1_bilinear_golden(pixels, wanted):
    found = tf1_bilinear(np.array(pixels, np.uint8), *np.shape(wanted))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def naive_tf1(pixels, height, width):
    """resize_bilinear_op.cc, one output pixel at a time, in float32."""

    def source(position, size_in, size_out):
        at = np.float32(position) * (np.float32(size_in) / np.float32(size_out))
        low = int(at)
        return low, min(low + 1, size_in - 1), at - np.float32(low)

    result = np.empty((height, width, pixels.shape[2]), np.float32)
    pixels = pixels.astype(np.float32)
    for y in range(height):
        top, bottom, y_lerp = source(y, pixels.shape[0], height)
        for x in range(width):
            left, right, x_lerp = source(x, pixels.shape[1], width)
            above, below = (
                pixels[row, left] + (pixels[row, right] - pixels[row, left]) * x_lerp
                for row in (top, bottom)
            )
            result[y, x] = above + (below - above) * y_lerp
    return result


@pytest.mark.parametrize(
    ("size_in", "size_out"),
    [
        ((37, 53), (17, 23)),
        ((17, 23), (37, 53)),
        ((41, 7), (13, 29)),
        ((1, 5), (3, 3)),
        ((227, 3), (5, 227)),
        ((31, 31), (31, 31)),
    ],
)
def test_tf1_bilinear_equals_a_loop_over_pixels(size_in, size_out):
    pixels = random_pixels(*size_in)
    np.testing.assert_array_equal(
        tf1_bilinear(pixels, *size_out), naive_tf1(pixels, *size_out)
    )


@pytest.mark.parametrize("rule", ["tf1_bilinear", "antialias"])
def test_the_same_size_is_the_same_picture(rule):
    pixels = random_pixels(19, 19)
    found = resize_to(pixels, 19, rule)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("shape", [(64, 40), (10, 33), (1, 1), (20, 900)])
def test_antialias_is_pillows_resize(shape):
    pixels = random_pixels(*shape)
    image = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resize_to(pixels, 32, "antialias"), np.array(image))


@pytest.mark.parametrize(
    ("width", "height", "scaled_width", "scaled_height", "left", "top"),
    [
        # Short side to 256, the long one alike; the margins are half of what
        # 224 pixels leave over: (512 - 224) / 2 = 144, (256 - 224) / 2 = 16.
        pytest.param(240, 120, 512, 256, 144, 16, id="landscape"),
        pytest.param(120, 240, 256, 512, 16, 144, id="portrait"),
        pytest.param(160, 160, 256, 256, 16, 16, id="square"),
        pytest.param(1024, 512, 512, 256, 144, 16, id="large landscape"),
        pytest.param(512, 768, 256, 384, 16, 80, id="large portrait"),
    ],
)
def test_crop_keeps_the_centre(width, height, scaled_width, scaled_height, left, top):
    # Red says how far right a pixel lies, green how far down, on 0 to 255.
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[..., 0] = np.rint(np.linspace(0, 255, width))
    pixels[..., 1] = np.rint(np.linspace(0, 255, height))[:, None]
    pixels[..., 2] = 77

    def ramp(first, side, scaled):
        centre = (first + np.arange(224) + 0.5) * side / scaled - 0.5
        return centre * 255 / (side - 1)

    found = resize_to(pixels, 224, "crop")
    assert found.shape == (224, 224, 3)
    red = found[..., 0] - ramp(left, width, scaled_width)
    green = found[..., 1] - ramp(top, height, scaled_height)[:, None]
    for error in (red, green):
        assert np.abs(error).max() <= 1.01  # rounded twice
        assert np.abs(error.mean()) < 0.25  # a shift of one pixel is 0.5
    np.testing.assert_array_equal(found[..., 2], 77)


@pytest.mark.parametrize(
    ("width", "height", "scaled", "size"),
    [
        (300, 200, (384, 256), 227),
        (206, 300, (256, 373), 227),  # 300 * 256 / 206 = 372.8
        (2000, 20, (25600, 256), 227),
        (20, 2000, (256, 25600), 227),
        (1, 1, (256, 256), 227),
        (1, 3, (256, 768), 227),
        (150, 100, (450, 300), 300),  # more than 256 is the short side itself
    ],
)
def test_crop_equals_cropping_the_whole_resized_picture(width, height, scaled, size):
    pixels = random_pixels(height, width)
    whole = Image.fromarray(pixels).resize(scaled, Image.Resampling.BILINEAR)
    left, top = (scaled[0] - size) // 2, (scaled[1] - size) // 2
    wanted = np.array(whole, int)[top : top + size, left : left + size]
    # One level of rounding: 8-bit weights of a window and of the whole.
    assert np.abs(resize_to(pixels, size, "crop") - wanted).max() <= 1


def test_unknown_rules_and_views_are_refused_with_the_choices():
    with pytest.raises(ValueError, match="'bicubic': one of tf1_bilinear, antialias"):
        resize_to(random_pixels(3, 3), 2, "bicubic")
    with pytest.raises(ValueError, match="'left': one of whole, center, top_left"):
        resize_to(random_pixels(3, 3), 2, "crop", "left")


# --- Views ----------------------------------------------------------------------------


def positions(height, width):
    """A picture whose red says how far right a pixel lies, its green how far down."""
    pixels = np.full((height, width, 3), 99, np.uint8)
    pixels[..., 0] = np.arange(width)
    pixels[..., 1] = np.arange(height)[:, None]
    return pixels


# Rules and pictures that they take as they are for windows of 14 pixels, whose square
# has round(14 * 8 / 7) = 16; and where that square lies: for 'crop' in the centre,
# (24 - 16) / 2 = 4 pixels to the right, (21 - 16) // 2 = 2 pixels down.
SQUARES = [
    ("tf1_bilinear", 16, 16, 0, 0),
    ("antialias", 16, 16, 0, 0),
    ("crop", 16, 16, 0, 0),
    ("crop", 16, 24, 4, 0),
    ("crop", 21, 16, 0, 2),
]


@pytest.mark.parametrize(
    ("view", "left", "top"),
    # The margin is 16 - 14 = 2 pixels; half of it for the centre.
    [
        ("center", 1, 1),
        ("top_left", 0, 0),
        ("top_right", 2, 0),
        ("bottom_left", 0, 2),
        ("bottom_right", 2, 2),
    ],
)
@pytest.mark.parametrize(("rule", "height", "width", "x", "y"), SQUARES)
def test_windows_lie_in_the_corners_and_the_centre(
    rule, height, width, x, y, view, left, top
):
    found = resize_to(positions(height, width), 14, rule, view)
    assert found.dtype == np.float32
    columns, rows = x + left + np.arange(14), y + top + np.arange(14)
    np.testing.assert_array_equal(found[..., 0], np.tile(columns, (14, 1)))
    np.testing.assert_array_equal(found[..., 1], np.tile(rows, (14, 1)).T)
    box = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    assert field_of_view(width, height, 14, rule, view) == box
    # Mirrored: the same window, its columns from right to left.
    mirrored = resize_to(positions(height, width), 14, rule, view + "_mirrored")
    np.testing.assert_array_equal(mirrored[..., 0], np.tile(columns[::-1], (14, 1)))
    np.testing.assert_array_equal(mirrored[..., 1], found[..., 1])


@pytest.mark.parametrize("rule", ["tf1_bilinear", "antialias", "crop"])
def test_mirrored_twice_is_the_picture_itself(rule):
    pixels = positions(16, 16)
    flipped = pixels[:, ::-1].copy()
    for view, other in [("top_left", "top_right"), ("center", "center")]:
        np.testing.assert_array_equal(
            resize_to(flipped, 14, rule, f"{view}_mirrored"),
            resize_to(pixels, 14, rule, other),
        )
    if rule != "crop":
        found = resize_to(flipped, 16, rule, "whole_mirrored")
        np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("rule", ["tf1_bilinear", "antialias", "crop"])
def test_the_whole_is_what_the_rule_alone_gives(rule):
    # 'crop' of 300 x 200 to 224: 384 x 256, and a centre of (80, 16, 304, 240) there.
    pixels = random_pixels(200, 300)
    image = Image.fromarray(pixels)
    side, filter_ = (224, 224), Image.Resampling.BILINEAR
    wanted = {
        "tf1_bilinear": tf1_bilinear(pixels, *side),
        "antialias": np.array(image.resize(side, filter_)),
        "crop": np.array(
            image.resize(side, filter_, box=(62.5, 12.5, 237.5, 187.5)),
        ),
    }
    for found in (resize_to(pixels, 224, rule), resize_to(pixels, 224, rule, "whole")):
        np.testing.assert_array_equal(found, wanted[rule])
    mirrored = resize_to(pixels, 224, rule, "whole_mirrored")
    np.testing.assert_array_equal(mirrored, wanted[rule][:, ::-1])
    # The square of 224 has 256: the centre of a crop is the usual one.
    same = np.array_equal(resize_to(pixels, 224, rule, "center"), wanted[rule])
    assert same == (rule == "crop")


@pytest.mark.parametrize(("size", "square"), [(224, 256), (227, 259), (16, 18)])
@pytest.mark.parametrize("view", ["center", "bottom_left", "top_right"])
def test_windows_equal_cutting_them_out_of_the_resized_square(size, square, view):
    pixels = random_pixels(150, 90)
    margin = square - size
    left = {"center": margin // 2, "bottom_left": 0, "top_right": margin}[view]
    top = {"center": margin // 2, "bottom_left": margin, "top_right": 0}[view]
    rows, columns = slice(top, top + size), slice(left, left + size)
    np.testing.assert_array_equal(
        resize_to(pixels, size, "tf1_bilinear", view),
        tf1_bilinear(pixels, square, square)[rows, columns],
    )
    image = Image.fromarray(pixels)
    warped = image.resize((square, square), Image.Resampling.BILINEAR)
    # The long side alike, and the square in its centre.
    long = round(150 * square / 90)
    start = (long - square) // 2
    kept = image.resize((square, long), Image.Resampling.BILINEAR)
    kept = kept.crop((0, start, square, start + square))
    for rule, whole in (("antialias", warped), ("crop", kept)):
        found = resize_to(pixels, size, rule, view)
        # One level of rounding, as for the crop above.
        assert np.abs(found - np.array(whole, int)[rows, columns]).max() <= 1


def test_load_takes_a_view_before_colours_and_mean(tmp_path):
    assert len(VIEWS) == 12
    Image.fromarray(positions(16, 16)).save(tmp_path / "a.png")
    facts = {"size": 14, "channel_order": "bgr", "mean": (1.0, 2.0, 3.0)}
    found = load(tmp_path / "a.png", resize="crop", view="top_right_mirrored", **facts)
    # Blue is 99; the window begins in row 0, and its columns are 15 ... 2.
    np.testing.assert_array_equal(found[..., 0], 99 - 1)
    np.testing.assert_array_equal(found[:, 0, 1], np.arange(14) - 2)
    np.testing.assert_array_equal(found[0, :, 2], np.arange(15, 1, -1) - 3)


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
        pytest.param(flip_byte(b"IHDR", 4 + 13), "not an image", id="PNG checksum"),
        pytest.param(flip_byte(b"IDAT", 4 + 500), "broken data", id="PNG pixels"),
        pytest.param(
            tiff(np.ones((2, 2), np.float32)), "floating-point", id="float TIFF"
        ),
        pytest.param(tiff(np.array([[0, 65536]], np.int32)), "32-bit", id="32 bit"),
        pytest.param(tiff(np.array([[-1, 9]], np.int32)), "32-bit", id="negative"),
        # 400 million pixels in a few bytes.
        pytest.param(
            lambda _: png(20_000, 20_000, 8, 2, b""), "DecompressionBomb", id="bomb"
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


# --- What the network sees ------------------------------------------------------------


@pytest.mark.parametrize("rule", ["tf1_bilinear", "antialias"])
@pytest.mark.parametrize("size", [(640, 480), (1, 1), (3, 999)])
def test_a_warped_picture_is_seen_whole(rule, size):
    assert field_of_view(*size, 227, rule) == (0, 0, *size)


@pytest.mark.parametrize(
    ("width", "height", "size", "box"),
    [
        # The short side becomes 256: margins of (256 - 224) / 2 = 16 there, and of
        # (512 - 224) / 2 = 144 along; in the picture's own pixels, and the same size.
        pytest.param(512, 256, 224, (144, 16, 368, 240), id="as it is"),
        pytest.param(1024, 512, 224, (288, 32, 736, 480), id="twice as large"),
        pytest.param(64, 128, 224, (4, 36, 60, 92), id="a quarter, portrait"),
        # 227: margins of 29 // 2 = 14 before, 15 behind.
        pytest.param(256, 256, 227, (14, 14, 241, 241), id="odd"),
        pytest.param(1, 1, 224, (1 / 16, 1 / 16, 15 / 16, 15 / 16), id="one pixel"),
        # 300 x 206: 256 / 206 makes 372.8, so 373, of the long side.
        pytest.param(
            300,
            206,
            224,
            (74 * 300 / 373, 16 * 206 / 256, 298 * 300 / 373, 240 * 206 / 256),
            id="rounded",
        ),
        # More than 256: the short side becomes the size itself, and is seen whole.
        pytest.param(150, 100, 300, (25, 0, 125, 100), id="large input"),
    ],
)
def test_a_cropped_picture_is_seen_in_its_centre(width, height, size, box):
    assert field_of_view(width, height, size, "crop") == pytest.approx(box, abs=1e-9)


@pytest.mark.parametrize("size", [(300, 200), (37, 91), (2, 2000), (1000, 7)])
def test_the_view_is_a_square_inside_the_picture(size):
    left, top, right, bottom = field_of_view(*size, 224, "crop")
    assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
    # Sides are rounded to whole pixels of the resized picture before the crop.
    side = 224 / 256 * min(size)
    assert (right - left, bottom - top) == pytest.approx((side, side), rel=3e-3)
    centre = (left + right) / 2, (top + bottom) / 2
    pixel = min(size) / 256
    assert centre == pytest.approx((size[0] / 2, size[1] / 2), abs=pixel)


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
    assert images.read_size(content) == images.read_size(path) == (400, 300)
    for bad, reason in ((b"", "the file is empty"), (b"?", "not an image that Pillow")):
        with pytest.raises(images.ImageError, match=reason):
            images.decode(bad)


def test_an_object_that_is_missing_is_no_image_and_a_store_that_fails_an_error(bucket):
    path = storage.path(f"{bucket.url}/x.png")
    with pytest.raises(images.ImageError, match="^No such file or directory$"):
        images.decode(path)
    with pytest.raises(StorageError):
        images.decode(storage.path("s3://not_a_bucket's name/x.png"))
