"""What tells a picture from all others: its bytes, and what it looks like.

Looks are a perceptual hash (C. Zauner, "Implementation and benchmarking of perceptual
image hash functions", 2010; imagehash's `phash`): which of the 16 x 16 lowest
frequencies of the grey picture lie above their median. Copies that were recompressed,
resized or cropped by little keep most of the 256 bits; two paintings share about half.
"""

import concurrent.futures
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import imagehash
import numpy as np
from PIL import Image, ImageOps

from jaxart.data import images

HASH_SIDE = 16
_GREY_SIDE = 4 * HASH_SIDE  # what imagehash takes the frequencies of
SIDE_ENOUGH = 2 * _GREY_SIDE  # that JPEGs are decoded to, in pixels

_FLAT = 2.0  # levels of standard deviation below which frequencies are noise
_NUM_THREADS = 4  # Pillow and hashlib work outside of the interpreter's lock

T = TypeVar("T")
R = TypeVar("R")


class Fingerprint(NamedTuple):
    """One picture's.

    Attributes:
      sha256: of the file, in hex.
      phash: what the picture looks like: `imagehash.phash(picture, 16)` in hex, but
        for the few bits that a JPEG's decoding at a fraction may change; '' where it
        is of one colour, and looks like nothing.
      mirrored: the same of the picture flipped left to right.
      width: of the picture, upright, in pixels.
      height: likewise.
    """

    sha256: str
    phash: str
    mirrored: str
    width: int
    height: int


def take(path: str | os.PathLike | bytes) -> Fingerprint:
    """Decodes an image file, all of it, and takes its fingerprint.

    Raises:
      images.ImageError: the file is missing, is no image, or is cut short.
    """
    file = images.fetch(path)
    return of(images.decode(file, SIDE_ENOUGH), file)


def of(picture: Image.Image, path: str | os.PathLike | bytes) -> Fingerprint:
    """The fingerprint of a file that was decoded already.

    Args:
      picture: what `images.decode` made of it, of `SIDE_ENOUGH` or more.
      path: the file, or its content.
    """
    grey = picture.convert("L").resize((_GREY_SIDE, _GREY_SIDE), Image.LANCZOS)
    is_flat = np.std(grey) < _FLAT
    looks = (grey, ImageOps.mirror(grey))
    hashes = ("" if is_flat else str(imagehash.phash(x, HASH_SIDE)) for x in looks)
    return Fingerprint(digest(path), *hashes, *images.read_size(path))


def digest(path: str | os.PathLike | bytes) -> str:
    """SHA-256 of a file, or of its content, in hex."""
    if isinstance(path, bytes):
        return hashlib.sha256(path).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def map_in_threads(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """As `map`, in threads, which take a bounded number of items ahead."""
    items = iter(items)
    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
        while some := list(itertools.islice(items, 16 * _NUM_THREADS)):
            yield from pool.map(function, some)
