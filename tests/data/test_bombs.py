"""Small files that would take long, or much memory, are refused at once."""

import struct
import time

import numpy as np
import pytest
from PIL import ExifTags, Image

from jaxart.data import images
from jaxart.data.images import ImageError
from tests.data.test_colours import PICTURE, saved

IMAGE = Image.fromarray(PICTURE)


def repeated_scan(count):
    content = saved(IMAGE, "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * count + b"\xff\xd9"


def many_comments():
    gif = saved(IMAGE, "GIF")
    place = 13 + (3 << ((gif[10] & 7) + 1))
    comment = b"!\xfe" + (b"\xff" + b"x" * 255) * 40_000 + b"\0"
    return gif[:place] + comment + gif[place:]


def long_metadata():
    jpeg = saved(IMAGE, "JPEG")
    segment = b"\xff\xe1\xff\xffExif\0\0" + bytes(65527)
    return jpeg[:2] + segment * 1100 + jpeg[2:]


def tags(count=2000, length=1 << 20):
    """TIFF's directory: tags whose values are the same bytes."""
    entries = b"".join(
        struct.pack("<HHII", 40_000 + i, 7, length, 8) for i in range(count)
    )
    directory = struct.pack("<H", count) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", length + 8) + bytes(length) + directory


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (repeated_scan(300), r"a JPEG of 3\d\d scans, which are more than 100"),
        (many_comments(), "its comments are more than 4,194,304 bytes"),
        (long_metadata(), "bytes of metadata are more than 67,108,864"),
        (tags(), "its tags hold 2,097,152,000 bytes in a file of 1,072,"),
    ],
    ids=["scans", "comments", "metadata", "tags"],
)
def test_a_bomb_is_refused_by_its_number(content, reason):
    start = time.process_time()
    with pytest.raises(ImageError, match=reason):
        images.decode(content)
    assert time.process_time() - start < 2


def test_exif_data_that_is_a_bomb_is_not_used():
    decoded = images.read(saved(IMAGE, "PNG", exif=b"Exif\0\0" + tags()))
    np.testing.assert_array_equal(decoded.picture, PICTURE)
    assert decoded.note.startswith("its EXIF data is not used: its tags hold")


def test_what_others_write_is_no_bomb():
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "x" * 60_000
    for content in (
        saved(IMAGE, "JPEG", exif=exif, progressive=True, comment=b"\xff\xda" * 200),
        repeated_scan(80),
        saved(IMAGE, "TIFF", exif=exif, compression="tiff_lzw"),
        saved(IMAGE, "TIFF", big_tiff=True),
        saved(IMAGE, "GIF", comment=b"x" * 10_000),
    ):
        assert images.read(content).note == ""
