"""Which image files are read; and what to do about those that are not."""

import functools
import importlib.util

from PIL import Image

_HEIF = "HEIC is read by an extra: pip install 'jaxart[heif]'"
_JPEG_XL = "JPEG XL is not read: convert it to PNG (djxl)"
_CAMERA_RAW = "a camera's raw file is not read: develop it to TIFF or JPEG"
_EPS = "EPS is a program for Ghostscript, which is never started: convert it to PNG"
_PDF = "PDF is rendered by programs that are never started: export its pages to PNG"
_METAFILE = "WMF and EMF are drawings that Windows renders: export them to PNG"
_SVG = "SVG is a drawing that browsers render: export it to PNG"
_NO_PICTURE = "{} holds no picture that is read"

# Pillow's names of the formats that are read, those that are told by their first bytes
# first: pixels alone, nothing that is run or rendered.
_RASTERS = (
    *("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "HEIF", "JPEG2000"),
    *("PSD", "PPM", "QOI", "SGI", "ICO", "PCX", "DIB", "TGA"),
)
_WITHIN = {"MPO": "JPEG"}  # is opened as

# By Pillow's names of other formats: why they are not read.
_OTHERS = {
    **{"EPS": _EPS, "WMF": _METAFILE},
    **{name: _NO_PICTURE.format(name) for name in ("BUFR", "GRIB", "HDF5", "MPEG")},
}

# By suffix, of pictures that nobody should lose without a word.
REMEDIES = {
    **dict.fromkeys((".eps", ".ps"), _EPS),
    **dict.fromkeys((".wmf", ".emf"), _METAFILE),
    **{".pdf": _PDF, ".svg": _SVG},
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
    (0, (b"%PDF",), _PDF),
    (0, (b"<svg",), _SVG),
)
_REDUCED, _DNG_VERSION = 254, 50706  # tags of TIFF: NewSubfileType, DNGVersion


@functools.cache
def readable() -> tuple[str, ...]:
    """Pillow's names of the formats that are read; HEIF where pillow-heif is there."""
    Image.init()
    if importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()
    return tuple(name for name in _RASTERS if name in Image.OPEN)


@functools.cache
def suffixes() -> frozenset[str]:
    """Of the files that are taken for pictures, in small letters: `.jpg`."""
    names = readable()
    formats = Image.registered_extensions().items()
    return frozenset(suffix for suffix, of in formats if _WITHIN.get(of, of) in names)


def remedy(suffix: str) -> str:
    """What to do about pictures of a suffix that are not read; '' of other files."""
    suffix = suffix.lower()
    return "" if suffix in suffixes() else REMEDIES.get(suffix, "")


def remedy_of_content(start: bytes) -> str:
    """As `remedy`, of the first 16 bytes of a file."""
    is_heif_read = "HEIF" in readable()
    for place, beginnings, text in _BEGINNINGS:
        is_read = text == _HEIF and is_heif_read
        if not is_read and start[place:].startswith(beginnings):
            return text
    for name in (*_OTHERS, *Image.ID):
        accepts = Image.OPEN[name][1]
        if name not in _RASTERS and accepts and accepts(start) is True:
            return _OTHERS.get(name, f"{name} is not read: convert it to PNG")
    return ""


def remedy_of_thumbnail(image: Image.Image) -> str:
    """As `remedy`, of what Pillow has opened: raw files are TIFFs with a thumbnail."""
    tags = getattr(image, "tag_v2", {})
    if image.format == "TIFF" and (_DNG_VERSION in tags or tags.get(_REDUCED, 0) == 1):
        return _CAMERA_RAW
    return ""
