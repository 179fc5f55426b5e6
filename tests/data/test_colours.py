"""Whatever a file's numbers mean, its picture has the colours of sRGB."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from jaxart.data import colours, images
from tests.data import profiles


def painted(saturation=0.35):
    """Smooth colours that all spaces have, with some noise: uint8 [96, 128, 3]."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 1, (6, 8, 3))
    grey = coarse.mean(-1, keepdims=True)
    coarse = 0.15 + 0.7 * (grey + saturation * (coarse - grey))
    pixels = Image.fromarray(np.rint(255 * coarse).astype(np.uint8))
    pixels = np.asarray(pixels.resize((128, 96), Image.Resampling.BICUBIC), int)
    return np.clip(pixels + rng.integers(-3, 4, pixels.shape), 0, 255).astype(np.uint8)


PICTURE = painted()


def difference(picture, pixels):
    """Mean and largest, in levels of 255."""
    levels = np.abs(np.asarray(picture).astype(int) - pixels)
    return levels.mean(), levels.max()


def saved(image, suffix, **options):
    stream = io.BytesIO()
    image.save(stream, suffix, **options)
    return stream.getvalue()


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("name", profiles.SPACES)
def test_a_picture_of_any_space_is_the_picture(name, file_format):
    pixels = profiles.from_srgb(PICTURE, name)
    options = {"icc_profile": profiles.rgb_profile(name)}
    options |= {"lossless": True} if file_format == "WEBP" else {}
    options |= {"quality": 100, "subsampling": 0} if file_format == "JPEG" else {}
    content = saved(Image.fromarray(pixels), file_format, **options)
    decoded = images.read(content)
    assert not decoded.note
    mean, largest = difference(decoded.picture, PICTURE)
    if file_format != "JPEG":  # lossy, and most so where samples stand for much light
        # Of 256 levels of wide or linear spaces, some of sRGB's fall together.
        assert mean < (1.5 if "linear" in name else 0.4)
        assert largest <= (12 if "linear" in name else 3)
    assert mean < (4 if "linear" in name else 1.2)
    if name != "sRGB":  # what it was without its profile
        assert difference(pixels, PICTURE)[0] > 1.5


def test_what_needs_no_transform_gets_none():
    plain = saved(Image.fromarray(PICTURE), "PNG")
    for profile in (profiles.rgb_profile("sRGB"), None):
        content = saved(Image.fromarray(PICTURE), "PNG", icc_profile=profile)
        np.testing.assert_array_equal(images.decode(content), images.decode(plain))
    assert colours._transform(profiles.rgb_profile("sRGB"), "RGB") is None
    wide = profiles.rgb_profile("Adobe RGB")
    assert colours._transform(wide, "RGB") is colours._transform(wide, "RGB")


def test_a_jpeg_at_a_fraction_is_converted_too():
    large = np.asarray(Image.fromarray(PICTURE).resize((1024, 768)))
    content = saved(
        Image.fromarray(profiles.from_srgb(large, "ProPhoto RGB")),
        *("JPEG",),
        quality=95,
        icc_profile=profiles.rgb_profile("ProPhoto RGB"),
    )
    whole, reduced = (images.decode(content, side) for side in (None, 90))
    assert reduced.size == (128, 96)
    scaled = whole.resize((128, 96), Image.Resampling.BOX)
    assert difference(reduced, np.asarray(scaled, int))[0] < 1


@pytest.mark.parametrize("with_alpha", [False, True])
def test_grey_of_another_curve(with_alpha):
    """Light of 0.5 is level 188 of sRGB."""
    wanted = np.array([[0, 64, 128, 188, 255]])
    levels = 255 * profiles.samples(profiles.light(wanted / 255, "srgb"), 1.8)
    image = Image.fromarray(np.rint(levels).astype(np.uint8))
    if with_alpha:
        image.putalpha(255)
    profile = profiles.grey_profile(1.8)
    found = np.asarray(images.decode(saved(image, "PNG", icc_profile=profile)), int)
    assert np.abs(found - wanted[..., None]).max() <= 1
    # Grey in a space of colours is as common.
    profile = profiles.rgb_profile("eciRGB v2")
    levels = 255 * profiles.samples(profiles.light(wanted / 255, "srgb"), "lstar")
    image = Image.fromarray(np.rint(levels).astype(np.uint8))
    found = np.asarray(images.decode(saved(image, "PNG", icc_profile=profile)), int)
    assert np.abs(found - wanted[..., None]).max() <= 1


def inks_to_lab(inks):
    """An imagined press: inks darken by L* and turn to their own hues."""
    cyan, magenta, yellow, black = inks.T
    lightness = 100 - 25 * cyan - 30 * magenta - 5 * yellow - 35 * black
    return np.stack([lightness, 45 * magenta - 20 * cyan, 50 * yellow - 30 * cyan], -1)


@pytest.mark.parametrize("file_format", ["TIFF", "JPEG"])
def test_inks_are_what_their_press_makes_of_them(file_format):
    inks = np.random.default_rng(0).uniform(0, 0.4, (4, 5, 4))
    inks = np.repeat(np.repeat(inks, 16, 0), 16, 1)  # JPEG's own blocks
    levels = np.rint(255 * inks).astype(np.uint8)
    lab = inks_to_lab(levels.reshape(-1, 4) / 255).reshape(*levels.shape[:2], 3)
    wanted = profiles.srgb_of_lab(lab).astype(int)
    options = {"quality": 100, "subsampling": 0} if file_format == "JPEG" else {}
    content = saved(
        Image.fromarray(levels, "CMYK"),
        file_format,
        icc_profile=profiles.cmyk_profile(inks_to_lab),
        **options,
    )
    decoded = images.read(content)
    assert not decoded.note
    assert difference(decoded.picture, wanted)[0] < 0.4
    plain = images.decode(saved(Image.fromarray(levels, "CMYK"), "TIFF"))
    assert difference(plain, wanted)[0] > 10


def test_transparent_and_palette_pictures_are_converted_before_white_shines_through():
    pixels = profiles.from_srgb(PICTURE, "Adobe RGB")
    profile = profiles.rgb_profile("Adobe RGB")
    image = Image.fromarray(pixels)
    image.putalpha(128)
    decoded = images.decode(saved(image, "PNG", icc_profile=profile))
    wanted = np.rint(255 - (255 - PICTURE.astype(int)) * 128 / 255)
    assert difference(decoded, wanted)[0] < 0.5
    indexed = Image.fromarray(pixels).quantize(64)
    wanted = images.decode(saved(indexed.convert("RGB"), "PNG", icc_profile=profile))
    found = images.decode(saved(indexed, "PNG", icc_profile=profile))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("mode", "profile", "note"),
    [
        ("RGB", b"no profile", "its colour profile is not used: cannot"),
        ("RGB", profiles.rgb_profile("Adobe RGB")[:150], "is not used: "),
        ("RGB", profiles.grey_profile(1.8), "it is of GRAY, the pixels are RGB"),
        ("L", profiles.cmyk_profile(inks_to_lab), "it is of CMYK, the pixels are L"),
    ],
)
def test_a_profile_that_cannot_be_used_is_a_note(mode, profile, note):
    image = Image.fromarray(PICTURE).convert(mode)
    decoded = images.read(saved(image, "PNG", icc_profile=profile))
    assert note in decoded.note and "\n" not in decoded.note
    np.testing.assert_array_equal(decoded.picture, image.convert("RGB"))


# --- PNG's own chunks -----------------------------------------------------------------


def with_chunks(pixels, *chunks):
    content = saved(Image.fromarray(pixels), "PNG")
    after = 8 + 25  # the signature and IHDR
    packed = b""
    for kind, data in chunks:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        packed += struct.pack(">I", len(data)) + kind + data + checksum
    return content[:after] + packed + content[after:]


def gamma(value):
    return b"gAMA", struct.pack(">I", round(100_000 * value))


def primaries(name):
    values = [round(100_000 * value) for value in profiles.SPACES[name][0]]
    return b"cHRM", struct.pack(">8I", *values)


@pytest.mark.parametrize(
    ("name", "of_png"), [("Adobe RGB", 1 / 2.19921875), ("ProPhoto RGB", 1 / 1.8)]
)
def test_gamma_and_primaries_of_a_png(name, of_png):
    pixels = profiles.from_srgb(PICTURE, name)
    content = with_chunks(pixels, gamma(of_png), primaries(name))
    assert difference(images.decode(content), PICTURE)[0] < 0.4
    assert difference(pixels, PICTURE)[0] > 2.5


def test_gamma_alone():
    """Linear samples: light of 128 / 255 is level 188."""
    grey = np.full((2, 2, 3), 128, np.uint8)
    found = np.asarray(images.decode(with_chunks(grey, gamma(1.0))), int)
    assert np.abs(found - 188).max() <= 1


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([gamma(0.45455)], id="what writers of sRGB say"),
        pytest.param([gamma(0.45455), primaries("sRGB")], id="and its primaries"),
        pytest.param([(b"sRGB", b"\0"), gamma(1.0)], id="sRGB before gamma"),
        pytest.param([gamma(0.0)], id="no gamma"),
        pytest.param([(b"cHRM", bytes(32))], id="no colours"),
    ],
)
def test_chunks_that_change_nothing(chunks):
    np.testing.assert_array_equal(images.decode(with_chunks(PICTURE, *chunks)), PICTURE)


def test_a_profile_goes_before_other_chunks():
    profile = profiles.rgb_profile("Adobe RGB")
    packed = b"icc\0\0" + zlib.compress(profile)
    pixels = profiles.from_srgb(PICTURE, "Adobe RGB")
    content = with_chunks(pixels, (b"iCCP", packed), gamma(1.0))
    assert difference(images.decode(content), PICTURE)[0] < 0.4
