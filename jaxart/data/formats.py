"""Which image files are read; and what to do about those that are not."""

import functools
import importlib.util
from collections.abc import Mapping

from PIL import Image

_HEIF = "HEIC is read by an extra: pip install 'jaxart[heif]'"
_JPEG_XL = "JPEG XL is not read: convert it to PNG (djxl)"
_CAMERA_RAW = "a camera's raw file is not read: develop it to TIFF or JPEG"

# By suffix, of pictures that nobody should lose without a word.
REMEDIES = {
    **dict.fromkeys((".heic", ".heif", ".hif"), _HEIF),
    **{".jxl": _JPEG_XL},
    **dict.fromkeys((".arw", ".cr2", ".cr3", ".dng", ".nef"), _CAMERA_RAW),
    **dict.fromkeys((".orf", ".pef", ".raf", ".rw2", ".srw"), _CAMERA_RAW),
}

# How files of these formats begin, from a byte on.
_BEGINNINGS = (
    (4, (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypheim", b"ftypheis"), _HEIF),
    (4, (b"ftypmif1", b"ftypmsf1"), _HEIF),
    (0, (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"), _JPEG_XL),
    (4, (b"ftypcrx ",), _CAMERA_RAW),
    (0, (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0"), _CAMERA_RAW),
)
_REDUCED, _DNG_VERSION = 254, 50706  # tags of TIFF: NewSubfileType, DNGVersion


@functools.cache
def readable() -> tuple[str, ...]:
    """Pillow's names of the formats that are read.

    Not EPS, which is a program that Ghostscript would run; HEIF where pillow-heif is
    installed.
    """
    Image.init()
    if importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()
    return tuple(name for name in Image.ID if name != "EPS")


def suffixes() -> Mapping[str, str]:
    """Of the files that are taken for pictures, in small letters: `.jpg`."""
    readable()
    return Image.registered_extensions()


def remedy(suffix: str) -> str:
    """What to do about pictures of a suffix that are not read; '' of other files."""
    suffix = suffix.lower()
    return "" if suffix in suffixes() else REMEDIES.get(suffix, "")


def remedy_of_content(start: bytes) -> str:
    """As `remedy`, of the first 16 bytes of a file."""
    for place, beginnings, text in _BEGINNINGS:
        if start[place:].startswith(beginnings):
            return text
    return ""


def remedy_of_thumbnail(image: Image.Image) -> str:
    """As `remedy`, of what Pillow has opened: raw files are TIFFs with a thumbnail."""
    tags = getattr(image, "tag_v2", {})
    if image.format == "TIFF" and (_DNG_VERSION in tags or tags.get(_REDUCED, 0) == 1):
        return _CAMERA_RAW
    return ""
