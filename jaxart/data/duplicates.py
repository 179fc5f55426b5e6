"""Which pictures are one picture: equal files, and near copies by perceptual hash.

Two paintings' hashes differ in about half of their 256 bits. Recompressing and resizing
change at most 12, cropping 3 % on each side 62 in nine of ten paintings. Mirrored
copies are found too. Hues do not count, light and dark do.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from jaxart.data.choices import MAX_DISTANCE
from jaxart.data.files import File
from jaxart.data.fingerprints import HASH_SIDE

_BITS = HASH_SIDE**2
_BLOCK = 1024  # pictures that are compared with as many at once


class Pair(NamedTuple):
    """Two pictures that are one, by their indices."""

    a: int
    b: int
    kind: str  # 'exact' where the files are equal, or 'near'
    distance: int  # bits in which the hashes differ, mirrored or not; 0 of equal files


def within(pictures: Sequence[File], max_distance: int = MAX_DISTANCE) -> list[Pair]:
    """Pairs among pictures, `a` before `b`.

    Of several equal files, the first stands for all: each other one is paired with it
    alone.
    """
    first = _first_by_content(pictures)
    origins = [first[picture.sha256] for picture in pictures]
    pairs = [Pair(a, b, "exact", 0) for b, a in enumerate(origins) if a != b]
    unique = list(first.values())
    distinct = [pictures[i] for i in unique]
    for a, b, distance in _near(distinct, distinct, max_distance):
        if a < b:
            pairs.append(Pair(unique[a], unique[b], "near", distance))
    return sorted(pairs)


def between(
    known: Sequence[File], others: Sequence[File], max_distance: int = MAX_DISTANCE
) -> list[Pair]:
    """Each of the others (b) that is also among the known, with the nearest (a)."""
    first = _first_by_content(known)
    nearest: dict[int, Pair] = {}
    for a, b, distance in _near(known, others, max_distance):
        if b not in nearest or distance < nearest[b].distance:
            nearest[b] = Pair(a, b, "near", distance)
    for b, picture in enumerate(others):
        if picture.sha256 in first:
            nearest[b] = Pair(first[picture.sha256], b, "exact", 0)
    return [nearest[b] for b in sorted(nearest)]


def _first_by_content(pictures: Sequence[File]) -> dict[str, int]:
    first: dict[str, int] = {}
    for i, picture in enumerate(pictures):
        first.setdefault(picture.sha256, i)
    return first


def _near(
    known: Sequence[File], others: Sequence[File], max_distance: int
) -> Iterator[tuple[int, int, int]]:
    """Pairs whose hashes, or that of the one and the mirrored other, are near."""
    for row in range(0, len(known), _BLOCK):
        signs = _signs([picture.phash for picture in known[row : row + _BLOCK]])
        # Among themselves, each pair once.
        for column in range(row if known is others else 0, len(others), _BLOCK):
            block = others[column : column + _BLOCK]
            plain = _signs([picture.phash for picture in block])
            mirrored = _signs([picture.mirrored for picture in block])
            # Equal signs less differing ones: 256 - 2 * distance.
            agreement = np.maximum(signs @ plain.T, signs @ mirrored.T)
            for i, j in np.argwhere(agreement >= _BITS - 2 * max_distance):
                distance = (_BITS - int(agreement[i, j])) // 2
                yield row + int(i), column + int(j), distance


def _signs(hashes: Sequence[str]) -> Float32[np.ndarray, "n bits"]:
    """-1 and 1 for each bit; 0 of pictures without a hash, which are near none."""
    content = bytes.fromhex("".join(text or "0" * (_BITS // 4) for text in hashes))
    bits = np.unpackbits(np.frombuffer(content, np.uint8)).reshape(-1, _BITS)
    is_known = np.array([[text != ""] for text in hashes])
    return (2 * bits.astype(np.float32) - 1) * is_known
