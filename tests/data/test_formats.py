"""What is read, and what to do about pictures that are not."""

import io
import subprocess

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from jaxart.data import formats, images, names
from jaxart.data.images import ImageError
from tests.data import profiles
from tests.data.test_colours import PICTURE, difference, saved

_EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/tmp/x) (w) file\n"


def heic(pixels, **options):
    """A phone's picture."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra `heif`")
    stream = io.BytesIO()
    image = pillow_heif.from_pillow(Image.fromarray(pixels))
    image.save(stream, quality=95, **options)
    return stream.getvalue()


def test_a_phones_picture_is_read_with_its_colours(tmp_path):
    pixels = profiles.from_srgb(PICTURE, "ProPhoto RGB")  # that differ by 13 levels
    content = heic(pixels, icc_profile=profiles.rgb_profile("ProPhoto RGB"))
    (tmp_path / "IMG_1.HEIC").write_bytes(content)
    mean, _ = difference(images.decode(tmp_path / "IMG_1.HEIC"), PICTURE)
    assert mean < 4
    assert names.is_image("IMG_1.HEIC") and not formats.remedy(".heic")
    with pytest.raises(ImageError, match="^damaged: "):  # the extra is there
        images.decode(content[:60])


def test_without_the_extra_a_phones_picture_says_what_to_install(
    without_heif, tmp_path
):
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    with pytest.raises(ImageError, match=r"pip install 'jaxart\[heif\]'"):
        images.decode(tmp_path / "IMG_1.HEIC")
    assert "jaxart[heif]" in formats.remedy(".HEIC")


def test_a_raw_files_thumbnail_is_not_taken_for_its_picture():
    for tag, value in ((50706, b"\1\4\0\0"), (254, 1)):
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[tag] = value
        content = saved(Image.fromarray(PICTURE), "TIFF", tiffinfo=tags)
        with pytest.raises(ImageError, match="raw file is not read: develop"):
            images.decode(content)
    np.testing.assert_array_equal(
        images.decode(saved(Image.fromarray(PICTURE), "TIFF")), PICTURE
    )


@pytest.mark.parametrize(
    ("content", "suffix", "reason"),
    [
        (b"\xff\x0a" + bytes(99), ".jxl", "JPEG XL is not read: convert it to PNG"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), ".JXL", "JPEG XL is not read"),
        (b"\0\0\0\x18ftypcrx " + bytes(99), ".CR3", "raw file is not read"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(99), ".raf", "raw file is not read"),
        (_EPS, ".eps", "EPS is a program for Ghostscript, which is never started"),
        (b"\xc5\xd0\xd3\xc6" + bytes(99) + _EPS, ".ps", "a program for Ghostscript"),
        (b"%PDF-1.7\n" + bytes(99), ".pdf", "PDF is rendered by programs"),
        (b"\xd7\xcd\xc6\x9a" + bytes(99), ".wmf", "that Windows renders"),
        (b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(99), ".emf", "drawings"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", ".svg", "export it to PNG"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "", "HDF5 holds no picture that is read"),
        (b"GRIB\0\0\0\1" + bytes(99), "", "GRIB holds no picture that is read"),
        (b"DDS " + bytes(124), "", "DDS is not read: convert it to PNG"),
    ],
)
@pytest.mark.parametrize("name", [None, "photo.jpg"])
def test_formats_that_are_not_read_say_what_to_do(
    content, suffix, reason, name, tmp_path, monkeypatch
):
    monkeypatch.setattr(subprocess, "Popen", None)  # no program is ever started
    if name:
        (tmp_path / name).write_bytes(content)
        content = tmp_path / name
    with pytest.raises(ImageError, match=reason):
        images.decode(content)
    assert not suffix or reason in formats.remedy(suffix)
    assert not names.is_image(f"a{suffix}")


def test_suffixes_are_of_what_is_read():
    assert {".jpg", ".mpo", ".png", ".tif", ".webp", ".tga"} <= formats.suffixes()
    assert not formats.suffixes() & {".eps", ".wmf", ".h5", ".mpg", ".dds", ".fits"}
    assert not formats.remedy(".jpg") and not formats.remedy(".txt")
