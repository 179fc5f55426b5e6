"""What a picture looks like, as bits, and its colours, as a few fields.

A perceptual hash (C. Zauner, "Implementation and benchmarking of perceptual image hash
functions", 2010; imagehash's `phash`): which of the 16 x 16 lowest frequencies of the
grey picture lie above their median. Copies that were recompressed, resized or cropped
by little keep most of the 256 bits; two paintings share about half. Hues do not count
in it, so the colours of a few fields go with it.
"""

from typing import NamedTuple

import numpy as np
import scipy.fft
from jaxtyping import Float64
from PIL import Image

VERSION = 2  # counts up when the same picture gets another fingerprint

HASH_SIDE = 16
_GREY_SIDE = 4 * HASH_SIDE  # that the frequencies are taken of, as imagehash does
SIDE_ENOUGH = 2 * _GREY_SIDE  # that JPEGs are decoded to, in pixels

FIELDS_SIDE = 8  # fields of one colour along each side

_FLAT = 2.0  # levels of standard deviation below which frequencies are noise


class Fingerprint(NamedTuple):
    """What a picture looks like, in hex.

    The hashes are `imagehash.phash(picture, 16)`, but for the few bits that a JPEG's
    decoding at a fraction may change; '' where a picture is of one light, like nothing.
    """

    phash: str
    mirrored: str  # of the picture flipped left to right
    colours: str  # mean red, green and blue of 8 x 8 fields, row by row


def take(picture: Image.Image) -> Fingerprint:
    """The fingerprint of what `images.decode` made, of `SIDE_ENOUGH` or more."""
    side, lanczos = _GREY_SIDE, Image.Resampling.LANCZOS
    grey = np.asarray(picture.convert("L").resize((side, side), lanczos), float)
    low = np.asarray(scipy.fft.dctn(grey))[:HASH_SIDE, :HASH_SIDE]
    # Waves that are odd about the middle change their sign in the mirror.
    mirrored = low * (-1.0) ** np.arange(HASH_SIDE)
    is_flat = np.std(grey) < _FLAT
    hashes = ("" if is_flat else _above_median(x) for x in (low, mirrored))
    return Fingerprint(*hashes, colours=_fields(picture).tobytes().hex())


def _above_median(frequencies: Float64[np.ndarray, "side side"]) -> str:
    return np.packbits(frequencies > np.median(frequencies)).tobytes().hex()


def _fields(picture: Image.Image) -> Image.Image:
    side = FIELDS_SIDE
    # At a smaller gap the fields' edges would lie up to a quarter of a field off.
    return picture.resize((side, side), Image.Resampling.BOX, reducing_gap=8.0)
