"""What metadata says, or how, never costs the pixels; what is missing does."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image

from jaxart.data import images, memory, opening
from jaxart.data.images import ImageError
from tests.data import profiles
from tests.data.test_colours import PICTURE, difference, saved, with_chunks


def text(kind, content):
    return kind, b"Comment\0" + content


def packed_text(megabytes):
    return text(b"zTXt", b"\0" + zlib.compress(bytes(megabytes << 20)))


def xmp(megabytes):
    head = b"XML:com.adobe.xmp\0\0\0\0\0"
    return b"iTXt", head + b"<x>" + b" " * (megabytes << 20) + b"</x>"


def wide_profile():
    """Adobe RGB with a tag of 2 MB that nobody reads."""
    profile = bytearray(profiles.rgb_profile("Adobe RGB")) + bytes(2 << 20)
    profile[:4] = struct.pack(">I", len(profile))
    return bytes(profile)


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([packed_text(2)], id="2 MB of packed text"),
        pytest.param([packed_text(1)] * 70, id="70 MB of packed text"),
        pytest.param([xmp(2)], id="XMP of 2 MB"),
        pytest.param(
            [(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(1 << 22)))], id="iTXt"
        ),
        pytest.param([text(b"zTXt", b"\7?")], id="text packed in an unknown way"),
        pytest.param([(b"pHYs", b"?")], id="half a resolution"),
        pytest.param([(b"sRGB", b"")], id="an empty chunk"),
        pytest.param([(b"acTL", b"?")], id="half an animation"),
    ],
)
def test_a_png_with_odd_metadata_is_its_picture(chunks):
    np.testing.assert_array_equal(images.decode(with_chunks(PICTURE, *chunks)), PICTURE)


def test_a_profile_that_pillow_finds_too_long_is_used():
    pixels = profiles.from_srgb(PICTURE, "Adobe RGB")
    packed = b"icc\0\0" + zlib.compress(wide_profile())
    decoded = images.read(with_chunks(pixels, (b"iCCP", packed), packed_text(2)))
    assert difference(decoded.picture, PICTURE)[0] < 0.4
    broken = images.read(with_chunks(PICTURE, (b"iCCP", b"icc\0\0no zlib")))
    np.testing.assert_array_equal(broken.picture, PICTURE)
    assert broken.note == "its colour profile is not used: it is damaged"


def exif(orientation, tag, kind):
    """An orientation, and beside it a tag whose value is of a wrong kind."""
    entries = struct.pack("<HHIHxx", ExifTags.Base.Orientation, 3, 1, orientation)
    entries += struct.pack("<HHI4s", tag, kind, 1, b"\xff\0\xff\0")
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + bytes(4)


@pytest.mark.filterwarnings("ignore:.*orrupt EXIF data", "ignore:Metadata Warning")
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        (ExifTags.Base.XResolution, 2),  # a text, not a fraction
        (ExifTags.Base.ResolutionUnit, 4),  # 2 ** 24, not up to 65,535
        (ExifTags.Base.Make, 11),  # a float, not a text
        (ExifTags.Base.ExifOffset, 6),  # -1, not a place
    ],
)
def test_one_malformed_tag_beside_a_sound_orientation(file_format, tag, kind):
    options = {"exif": exif(6, tag, kind)}
    options |= {"lossless": True} if file_format == "WEBP" else {}
    options |= {"quality": 100, "subsampling": 0} if file_format == "JPEG" else {}
    content = saved(Image.fromarray(PICTURE), file_format, **options)
    mean, _ = difference(images.decode(content), np.rot90(PICTURE, -1))
    assert mean < 1


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("num_missing", [1, 2])
def test_a_jpeg_that_lacks_its_end_alone_is_whole(progressive, num_missing):
    content = saved(Image.fromarray(PICTURE), "JPEG", progressive=progressive)
    decoded = images.read(content[:-num_missing])
    np.testing.assert_array_equal(decoded.picture, images.decode(content))
    assert decoded.note == "its last bytes are missing; the picture is whole"
    assert images.decode(content[:-num_missing], 40).size == (64, 48)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("num_missing", [20, 100, 1000])
def test_a_jpeg_that_lacks_more_is_none(progressive, num_missing):
    content = saved(Image.fromarray(PICTURE), "JPEG", progressive=progressive)
    with pytest.raises(ImageError, match="truncated"):
        images.decode(content[:-num_missing])


def test_a_jpegs_odd_segments_do_not_count():
    """Photoshop's APP13, which Pillow reads, half there."""
    content = saved(Image.fromarray(PICTURE), "JPEG")
    segment = b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\0\x10"
    odd = b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment
    found = images.decode(content[:2] + odd + content[2:])
    np.testing.assert_array_equal(found, images.decode(content))


@pytest.mark.parametrize("chunks", [[], [(b"pHYs", b"?")]], ids=["sound", "mended"])
def test_want_of_memory_proves_nothing(chunks, monkeypatch):
    def to_srgb(image):
        monkeypatch.undo()
        raise MemoryError

    monkeypatch.setattr(images.colours, "to_srgb", to_srgb)
    with pytest.raises(images.UnprovenError, match="too little memory"):
        images.read(with_chunks(PICTURE, *chunks))


# --- Very large pictures --------------------------------------------------------------


@pytest.fixture
def bound(monkeypatch):
    """As if there were a megabyte for a picture, and strips took nothing."""
    monkeypatch.setattr(memory, "_STRIPS", 0)
    monkeypatch.setenv(memory.MAX_MEMORY, "1")


def large(file_format, size=(640, 480), **options):
    image = Image.fromarray(PICTURE).resize(size)
    return saved(image, file_format, **options)


def test_a_large_jpeg_is_decoded_at_a_fraction(bound, tmp_path):
    # 640 x 480 pixels of 5 bytes are 1.5 MB, a quarter of them less than one.
    content = large("JPEG")
    (tmp_path / "a.jpg").write_bytes(content)
    for file in (content, tmp_path / "a.jpg"):
        decoded = images.read(file)
        assert decoded.picture.size == (320, 240) and decoded.size == (640, 480)
        assert decoded.note == "decoded at 1/2: 640 x 480 pixels"
        # Nothing is lost that the network would see.
        decoded = images.read(file, 60)
        assert decoded.picture.size == (80, 60) and not decoded.note
    turned = images.read(large("JPEG", exif=exif(6, ExifTags.Base.Make, 11)))
    assert turned.picture.size == (240, 320) and turned.size == (480, 640)


def test_other_large_files_are_refused_with_the_setting(bound, monkeypatch):
    refusal = r"640 x 480 pixels of PNG take 2 MB to decode, which are more than 1; JAX"
    with pytest.raises(ImageError, match=refusal):
        images.decode(large("PNG"))
    monkeypatch.setenv(memory.MAX_MEMORY, "2")
    assert images.decode(large("PNG")).size == (640, 480)
    # Behind the pixels it may say that they are turned, which takes a copy.
    sideways = with_chunks(PICTURE, (b"eXIf", exif(6, ExifTags.Base.Make, 2)[6:]))
    chunk = sideways[sideways.index(b"eXIf") - 4 : sideways.index(b"IDAT") - 4]
    content = large("PNG")
    content = content[:-12] + chunk + content[-12:]
    with pytest.raises(
        ImageError, match=r"take 3 MB to decode, which are more than 2;"
    ):
        images.decode(content)
    monkeypatch.setenv(memory.MAX_MEMORY, "3")
    assert images.decode(content).size == (480, 640)
    assert images.read(large("JPEG")).picture.size == (640, 480)
    monkeypatch.setenv(memory.MAX_MEMORY, "many")
    with pytest.raises(ValueError, match="JAXART_MAX_MEMORY='many': a number"):
        memory.most()


@pytest.mark.parametrize(
    ("file_format", "options", "of_pixel"),
    [
        ("PNG", {}, 5),  # the picture, and its grey copy
        ("WEBP", {}, 18),
        ("AVIF", {}, 13),
        ("JPEG2000", {"tile_size": (64, 64)}, 5),
        ("JPEG2000", {}, 5 + 3 * 6),
        ("JPEG", {}, 5),
        ("JPEG", {"progressive": True, "subsampling": 0}, 5 + 6),
        ("JPEG", {"progressive": True, "subsampling": 2}, 5 + 3),
        ("TIFF", {}, 5),
        ("TIFF", {"compression": "tiff_lzw", "tiffinfo": {278: 32}}, 5),
        ("TIFF", {"compression": "tiff_lzw", "tiffinfo": {278: 480}}, 5 + 3),
    ],
)
def test_what_decoding_takes_is_told_by_the_header(
    file_format, options, of_pixel, monkeypatch
):
    monkeypatch.setattr(memory, "_STRIPS", 0)
    content = large(file_format, **options)
    with opening.identify(io.BytesIO(content)) as image:
        num_bytes = memory.needed(image, content) - len(content)
    # Tiles and strips of less than a tenth of the picture are in it, too.
    assert of_pixel <= num_bytes / (640 * 480) < of_pixel + 0.5
