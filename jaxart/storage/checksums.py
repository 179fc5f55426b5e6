"""Checksums of what is stored: XXH3 of 128 bits, as fast as memory is read.

They tell damage, not an enemy, who could write another one: https://xxhash.com.
"""

import hashlib
import io

import numpy as np
import xxhash


def checksum(*pieces: bytes | np.ndarray) -> str:
    """The checksum of bytes, and of arrays of any type, one after another, in hex."""
    state = xxhash.xxh3_128()
    for piece in pieces:
        if isinstance(piece, np.ndarray):
            piece = np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data
        state.update(piece)
    return state.hexdigest()


def checksum_of_file(file: io.BufferedReader) -> str:
    """As `checksum`, of all that is left to read of an open file."""
    return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()
