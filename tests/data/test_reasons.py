"""Reasons and warnings are for people."""

import io
import subprocess
import sys

import pytest
from PIL import Image

from jaxart.data import images, reasons
from jaxart.data.images import ImageError
from tests.data.test_colours import PICTURE, saved


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("image file is\n truncated"), "damaged: image file is truncated"),
        (AssertionError(), "damaged: its reader ends with AssertionError"),
        (
            ValueError("cannot seek in <_io.BytesIO object at 0x7f4bfa9aa950>"),
            "damaged: its reader ends with ValueError (cannot seek in the file)",
        ),
        (MemoryError(), "there was too little memory to decode it"),
        (
            Image.DecompressionBombError("Image size (9 pixels) exceeds, could be"),
            "a picture within it is too large: Image size (9 pixels) exceeds",
        ),
        (Image.UnidentifiedImageError("not an image"), "not an image"),
    ],
)
def test_every_error_is_a_line_that_says_something(error, reason):
    assert reasons.of(error) == reason


def test_a_damaged_file_is_called_so():
    content = saved(Image.fromarray(PICTURE), "BMP")[:-90]
    with pytest.raises(ImageError, match="^damaged: image file is truncated"):
        images.decode(io.BytesIO(content).getvalue())


def test_pillows_warnings_are_counted_in_one_line(tmp_path):
    cut = saved(Image.fromarray(PICTURE), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0")
    (tmp_path / "a.jpg").write_bytes(cut)
    program = (
        "import logging, sys, warnings\n"
        "from jaxart.data import images, reasons\n"
        "logging.basicConfig(level=logging.INFO)\n"
        "reasons.count_warnings()\n"
        "for _ in range(3): images.read(sys.argv[1])\n"
        "logging.getLogger('PIL.TiffImagePlugin').error('%d samples', 2048)\n"
        "warnings.warn('of the program')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.jpg")],
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in done.stderr.splitlines() if "EXIF" in line]
    assert "Pillow warned of odd files: Corrupt EXIF data." in line
    assert "N samples (1)" in line and "2048" not in done.stderr
    assert "of the program" in done.stderr


def test_libtiff_says_nothing_by_itself(tmp_path):
    content = bytearray(saved(Image.fromarray(PICTURE), "TIFF", compression="zstd"))
    content[20:40] = bytes(20)
    (tmp_path / "a.tif").write_bytes(content)
    program = (
        "import sys\n"
        "from jaxart.data import images, reasons\n"
        "if sys.argv[2:]: reasons.silence_libtiff()\n"
        "try: images.read(sys.argv[1])\n"
        "except images.ImageError as error: print(error)\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "a.tif"), *silent],
            capture_output=True,
            text=True,
            check=True,
        )
        for silent in ((), ("silent",))
    ]
    assert said[0].stdout == said[1].stdout and "damaged" in said[1].stdout
    assert "ZSTDDecode" in said[0].stderr and not said[1].stderr
