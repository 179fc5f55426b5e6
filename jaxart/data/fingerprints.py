"""What a picture looks like, as bits.

A perceptual hash (C. Zauner, "Implementation and benchmarking of perceptual image hash
functions", 2010; imagehash's `phash`): which of the 16 x 16 lowest frequencies of the
grey picture lie above their median. Copies that were recompressed, resized or cropped
by little keep most of the 256 bits; two paintings share about half.
"""

from typing import NamedTuple

import imagehash
import numpy as np
from PIL import Image, ImageOps

VERSION = 1  # counts up when the same picture gets other bits

HASH_SIDE = 16
_GREY_SIDE = 4 * HASH_SIDE  # what imagehash takes the frequencies of
SIDE_ENOUGH = 2 * _GREY_SIDE  # that JPEGs are decoded to, in pixels

_FLAT = 2.0  # levels of standard deviation below which frequencies are noise


class Fingerprint(NamedTuple):
    """What a picture looks like, '' where it is of one colour, and like nothing.

    That is `imagehash.phash(picture, 16)` in hex, but for the few bits that a JPEG's
    decoding at a fraction may change.
    """

    phash: str
    mirrored: str  # of the picture flipped left to right


def take(picture: Image.Image) -> Fingerprint:
    """The fingerprint of what `images.decode` made, of `SIDE_ENOUGH` or more."""
    side, lanczos = _GREY_SIDE, Image.Resampling.LANCZOS
    grey = picture.convert("L").resize((side, side), lanczos)
    is_flat = np.std(np.asarray(grey)) < _FLAT
    looks = (grey, ImageOps.mirror(grey))
    return Fingerprint(
        *("" if is_flat else str(imagehash.phash(x, HASH_SIDE)) for x in looks)
    )
