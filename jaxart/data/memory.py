"""How much memory decoding a picture takes, told by its header before it is decoded.

Bytes a pixel were measured as the peak of a process above its base, less the file and
Pillow's image, with Pillow 12.3 at 36 megapixels: WebP 12.5 (two canvases and a copy),
AVIF 5.1 to 7.4 (planes and a copy; those of 10 and 12 bits are twice as large), HEIF
3.7 to 5, JPEG 2000 5.1 for each component of a tile, SGI 2, a progressive JPEG 2 for
each coefficient. Others decode row by row, TIFFs strip by strip or tile by tile.
"""

import os
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

MAX_MEMORY = "JAXART_MAX_MEMORY"  # of the environment, in MB
_DEFAULT_MB = 600

# Bytes of a pixel in Pillow's images; of other modes it is 4.
_OF_MODE = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_OF_RESULT = 4  # RGB
_OF_DECODER = {"WEBP": 13, "AVIF": 8, "HEIF": 8, "SGI": 3, "QOI": 4, "ICO": 4}
_OF_COMPONENT = 6  # of a tile of JPEG 2000
_OF_COEFFICIENT = 2
_STRIPS = 32_000_000  # bytes, for what is converted at once

# Tags of TIFF.
_SAMPLE_BITS, _COMPRESSION = 258, 259
_STRIP_ROWS, _TILE_WIDTH, _TILE_LENGTH = 278, 322, 323


def most() -> float:
    """Bytes that decoding a picture may take, the file included.

    Raises:
      ValueError: what the environment says is no number.
    """
    text = os.environ.get(MAX_MEMORY) or str(_DEFAULT_MB)
    if not text.isdecimal() or not int(text):
        raise ValueError(f"{MAX_MEMORY}={text!r}: a number of megabytes")
    return int(text) * 1e6


def needed(
    image: Image.Image, content: bytes, *, scale: int = 1, is_turned: bool = False
) -> int:
    """Bytes that the file, its decoder and the picture in RGB take together.

    Args:
      image: what is opened, not yet decoded.
      content: the file.
      scale: the fraction, 1 / scale, at which a JPEG is decoded.
      is_turned: whether the picture is stored in another orientation.
    """
    num_pixels = image.width * image.height
    of_mode = _OF_MODE.get(image.mode, 4)
    num_bytes = num_pixels // scale**2 * of_mode
    # RGB stays where it is, but its grey copy makes the fingerprint.
    is_kept = image.mode == "RGB" and not is_turned and "transparency" not in image.info
    num_bytes += num_pixels // scale**2 * (1 if is_kept else _OF_RESULT)
    return len(content) + num_bytes + _of_decoder(image, content) + _STRIPS


def _of_decoder(image: Image.Image, content: bytes) -> int:
    num_pixels = image.width * image.height
    if isinstance(image, JpegImageFile):
        return _of_coefficients(image) if "progressive" in image.info else 0
    if image.format == "TIFF":
        tags: Any = getattr(image, "tag_v2", {})
        return _of_strip(tags, *image.size)
    if image.format == "JPEG2000":
        num_components = len(image.getbands())
        return min(num_pixels, _tile(content)) * num_components * _OF_COMPONENT
    of_decoder = _OF_DECODER.get(image.format or "", 0)
    is_deep = image.format == "AVIF" and not _has_8_bits(content)
    return num_pixels * (2 if is_deep else 1) * of_decoder


def _of_coefficients(image: Any) -> int:
    """Of a progressive JPEG: all are held until the last scan."""
    layers: Sequence[tuple[int, int, int, int]] = image.layer
    across = max(1, *(h for _, h, _, _ in layers))
    down = max(1, *(v for _, _, v, _ in layers))
    parts = sum(h * v for _, h, v, _ in layers) / (across * down)
    return round(image.width * image.height * parts * _OF_COEFFICIENT)


def _of_strip(tags: Mapping[int, Any], width: int, height: int) -> int:
    """Of a TIFF: libtiff holds a strip or tile, whole, of what is compressed."""
    if tags.get(_COMPRESSION, 1) == 1:
        return 0
    try:
        of_pixel = sum(tags[_SAMPLE_BITS]) / 8
        if _TILE_WIDTH in tags:
            return round(tags[_TILE_WIDTH] * tags[_TILE_LENGTH] * of_pixel)
        return round(min(tags[_STRIP_ROWS], height) * width * of_pixel)
    except (LookupError, TypeError):  # odd tags: all of it, four samples of 16 bits
        return width * height * 8


def _has_8_bits(content: bytes) -> bool:
    """Whether an AVIF's samples are of 8 bits: AV1 in ISOBMFF, section 2.3.3."""
    place = content.find(b"av1C") + 6
    return place < len(content) and not content[place] & 0x40


def _tile(content: bytes) -> int:
    """The pixels of a JPEG 2000's tile: ISO/IEC 15444-1, A.5.1."""
    start = content.find(b"\xff\x4f\xff\x51")
    try:
        width, height = struct.unpack_from(">2I", content, start + 24)
    except struct.error:  # cut short
        return 1 << 62
    return width * height if start >= 0 else 1 << 62


most()  # what the environment says is checked before anything is done
