"""Sound pictures in files that Pillow refuses: metadata never costs the pixels."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"  # how they begin
_JPEG_END = b"\xff\xd9"

# Chunks of a PNG that make its pixels, and those that say what they mean: their length.
_OF_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS")
_OF_COLOURS = {b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}
_MAX_PROFILE = 1 << 24  # bytes of an ICC profile, unpacked

# Segments of a JPEG that say something of the file: APP1 to APP15, COM. Of the former,
# Adobe's APP14 tells how colours are stored, and APP2 has the colour profile.
_METADATA = {*range(0xE1, 0xF0), 0xFE} - {0xE2, 0xEE}
_START_OF_SCAN = 0xDA

# What may follow the last byte: a decoder that reads on in it shows another picture.
_FOLLOWING = (b"", b"\x55" * 64, b"\xaa" * 64, bytes(range(0x10, 0x60)))


def mended(content: bytes) -> Iterator[tuple[bytes, bytes, str]]:
    """What a file that cannot be decoded may be instead.

    Yields:
      Its content without what is of no use; its colour profile, if that had to be
      taken out; and what is left of the file, as a note.
    """
    if content.startswith(_PNG):
        yield *_png_of_pixels(content), "its metadata is not used: Pillow refuses it"
    elif content.startswith(_JPEG):
        bare = _jpeg_of_pixels(content)
        yield bare, b"", "its metadata is not used: Pillow refuses it"
        if _lacks_its_end_alone(bare):
            ended = content.rstrip(b"\xff") + _JPEG_END
            yield ended, b"", "its last bytes are missing; the picture is whole"


def _png_of_pixels(content: bytes) -> tuple[bytes, bytes]:
    """A PNG less its metadata, and its colour profile."""
    kept, profile, place = [_PNG], b"", len(_PNG)
    while place + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 12 + length
        if kind in _OF_PIXELS or _OF_COLOURS.get(kind) == length:
            kept.append(content[place:end])
        elif kind == b"iCCP":
            packed = content[place + 8 : end - 4].partition(b"\0")[2][1:]
            profile = _unpacked(packed)
        place = end
    return b"".join(kept), profile


def _unpacked(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed, _MAX_PROFILE)
    except zlib.error:
        return b""
    return b"" if unpacker.unconsumed_tail else profile


def _jpeg_of_pixels(content: bytes) -> bytes:
    """A JPEG less its metadata."""
    kept, place = [_JPEG], len(_JPEG)
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker, length = struct.unpack_from(">xBH", content, place)
        if marker == _START_OF_SCAN:
            break
        if marker == 0xFF:  # filled up
            place += 1
            continue
        end = place + 2 + length
        if marker not in _METADATA:
            kept.append(content[place:end])
        place = end
    return b"".join(kept) + content[place:]


def _lacks_its_end_alone(content: bytes) -> bool:
    """Whether a JPEG gives the same picture whatever would follow its last byte.

    Then all of it is there. The decoder fills what is missing with zeros, or reads on
    in what follows.
    """
    content = content.rstrip(b"\xff")
    try:
        pictures = [
            np.asarray(Image.open(io.BytesIO(content + more + _JPEG_END)))
            for more in _FOLLOWING
        ]
    except MemoryError:
        raise
    except Exception:  # as Pillow's decoders raise whatever they stumble over
        return False
    return all(np.array_equal(pictures[0], other) for other in pictures[1:])
