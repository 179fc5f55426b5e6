"""Small files that would take long, or much memory: told before they are opened."""

import re
import struct

_JPEG, _TIFF = b"\xff\xd8\xff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# Writers of progressive JPEGs make about ten; each is decoded over the whole picture.
_MAX_SCANS = 100
_SCAN, _END = 0xDA, 0xD9
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")

# Pillow joins what comes in pieces by copying all of it for each: a second at most.
_MAX_METADATA = 1 << 26  # bytes before a JPEG's first scan
_MAX_COMMENT = 1 << 22  # bytes before a GIF's first picture

# Bytes of a value, by TIFF's number of its type (TIFF 6.0, section 2; BigTIFF).
_OF_TYPE = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)


def reason(content: bytes) -> str:
    """Why a file is not to be opened; '' where it may be."""
    if content.startswith(_JPEG):
        return _of_jpeg(content)
    if content.startswith(_TIFF):
        return overlapping_tags(content)
    if content.startswith(b"GIF8"):
        return _of_gif(content)
    return ""


def overlapping_tags(content: bytes) -> str:
    """As `reason`, of TIFF's first directory, which EXIF is, too.

    Values of many tags may lie in the same bytes, and Pillow copies them for each.
    """
    order = ">" if content.startswith(b"MM") else "<"
    is_big = content[2:4] in (b"+\0", b"\0+")
    try:
        if is_big:
            (place,) = struct.unpack_from(f"{order}Q", content, 8)
            (count,) = struct.unpack_from(f"{order}Q", content, place)
            entries, entry = content[place + 8 :][: 20 * count], f"{order}xxHQ8x"
        else:
            (place,) = struct.unpack_from(f"{order}I", content, 4)
            (count,) = struct.unpack_from(f"{order}H", content, place)
            entries, entry = content[place + 2 :][: 12 * count], f"{order}xxHI4x"
    except struct.error:
        return ""  # cut short: no tag is read
    whole = len(entries) // struct.calcsize(entry) * struct.calcsize(entry)
    num_bytes = sum(
        _OF_TYPE[kind] * number
        for kind, number in struct.iter_unpack(entry, entries[:whole])
        if kind < len(_OF_TYPE) and _OF_TYPE[kind] * number <= len(content)
    )
    if num_bytes <= 2 * len(content):
        return ""
    return f"its tags hold {num_bytes:,} bytes in a file of {len(content):,}"


def _of_jpeg(content: bytes) -> str:
    place, num_scans = 2, 0
    while marker := _MARKER.search(content, place):
        kind, place = content[marker.start() + 1], marker.end()
        if kind == _END:
            break
        if kind == _SCAN:
            num_scans += 1
            if num_scans == 1 and place > _MAX_METADATA:
                return f"{place:,} bytes of metadata are more than {_MAX_METADATA:,}"
        if kind not in _WITHOUT_LENGTH and place + 2 <= len(content):
            place += struct.unpack_from(">H", content, place)[0]
    if num_scans <= _MAX_SCANS:
        return ""
    return f"a JPEG of {num_scans:,} scans, which are more than {_MAX_SCANS}"


def _of_gif(content: bytes) -> str:
    """Walks the blocks before the first picture (GIF89a, appendix A)."""
    place = 13
    if len(content) > 10 and content[10] & 0x80:
        place += 3 << ((content[10] & 7) + 1)
    start = place
    while content[place : place + 1] == b"!":
        place += 2
        while place < len(content) and content[place]:
            place += 1 + content[place]
        place += 1
        if place - start > _MAX_COMMENT:
            return f"its comments are more than {_MAX_COMMENT:,} bytes"
    return ""
