"""Large pictures are changed strip by strip, and every pixel is as if done at once."""

import numpy as np
import pytest
from PIL import ExifTags, Image

from jaxart.data import images, resizing, strips
from tests.data import profiles
from tests.data.test_colours import saved

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (37, 23, 4), np.uint8)
RGBA, GREY = Image.fromarray(PIXELS), Image.fromarray(PIXELS[..., 0])
RGB = RGBA.convert("RGB")
GREY16 = Image.fromarray(RNG.integers(0, 65536, (37, 23), np.uint16))
PROFILE = profiles.rgb_profile("ProPhoto RGB")


@pytest.mark.parametrize(
    ("image", "file_format", "options"),
    [
        (RGB, "PNG", {}),
        (RGB, "PNG", {"icc_profile": PROFILE}),
        (RGBA, "PNG", {"icc_profile": PROFILE}),
        (RGBA, "WEBP", {"lossless": True}),
        (RGB, "PNG", {"transparency": tuple(PIXELS[5, 5, :3].tolist())}),
        (GREY.convert("P"), "PNG", {"transparency": bytes(range(256))}),
        (RGB, "GIF", {}),
        (Image.merge("LA", [GREY, GREY]), "PNG", {}),
        (GREY16, "PNG", {}),
        (GREY16, "TIFF", {}),
        (RGB.convert("CMYK"), "JPEG", {}),
        (RGB.convert("1"), "PNG", {}),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else "",
)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_strips_make_the_same_picture(
    image, file_format, options, orientation, monkeypatch
):
    if file_format != "GIF":
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        options = options | {"exif": exif}
    content = saved(image, file_format, **options)
    whole = images.read(content)
    monkeypatch.setattr(strips, "_PIXELS", 100)  # strips of 4 rows, the last of 1
    in_strips = images.read(content)
    np.testing.assert_array_equal(in_strips.picture, whole.picture)
    assert in_strips[1:] == whole[1:]
    assert in_strips.picture.mode == "RGB"


def test_16_bit_levels_are_rounded():
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    picture = images.decode(saved(Image.fromarray(levels), "PNG"))
    np.testing.assert_array_equal(
        np.asarray(picture)[..., 0], np.rint(levels / 257).astype(np.uint8)
    )


@pytest.mark.parametrize("view", ["whole", "bottom_left_mirrored"])
def test_single_rows_of_a_large_picture_are_those_of_the_whole(view, monkeypatch):
    tall = Image.fromarray(RNG.integers(0, 256, (300, 9, 3), np.uint8))
    in_rows = resizing.resize_to(tall, 8, "tf1_bilinear", view)
    monkeypatch.setattr(resizing, "_MANY_ROWS", 1000)
    whole = resizing.resize_to(tall, 8, "tf1_bilinear", view)
    np.testing.assert_array_equal(in_rows, whole)
