"""Which pictures are one picture: equal files, near copies, and grey ones.

Two paintings' hashes differ in about half of their 256 bits. Recompressing and resizing
change at most 12, cropping 3 % on each side 62 in nine of ten paintings. Mirrored
copies are found too. Pictures whose hashes are near, but whose colours are not one
picture's (`colours`), are different works.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int

from jaxart.data import palettes
from jaxart.data.choices import MAX_DISTANCE
from jaxart.data.files import File
from jaxart.data.fingerprints import HASH_SIDE

_BITS = HASH_SIDE**2
_BLOCK = 1024  # pictures that are compared with as many at once; pairs by colour

KINDS = ("exact", "near", "grey")  # the surest first


class Pair(NamedTuple):
    """Two pictures that are one, by their indices."""

    a: int
    b: int
    kind: str  # 'exact' where the files are equal; 'grey' where one has lost its colour
    distance: int  # bits in which the hashes differ, mirrored or not; 0 of equal files

    @property
    def rank(self) -> tuple[int, int]:
        """Lower is surer."""
        return KINDS.index(self.kind), self.distance


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
    for pair in _near(distinct, distinct, max_distance):
        if pair.a < pair.b:
            pairs.append(pair._replace(a=unique[pair.a], b=unique[pair.b]))
    return sorted(pairs)


def between(
    known: Sequence[File], others: Sequence[File], max_distance: int = MAX_DISTANCE
) -> list[Pair]:
    """Each of the others (b) that is also among the known, with the surest (a)."""
    first = _first_by_content(known)
    nearest: dict[int, Pair] = {}
    for pair in _near(known, others, max_distance):
        if pair.b not in nearest or pair.rank < nearest[pair.b].rank:
            nearest[pair.b] = pair
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
) -> Iterator[Pair]:
    """Near and grey copies, of the others or of them mirrored."""
    for row in range(0, len(known), _BLOCK):
        ours = known[row : row + _BLOCK]
        signs = _signs([picture.phash for picture in ours])
        # Among themselves, each pair once.
        for column in range(row if known is others else 0, len(others), _BLOCK):
            theirs = others[column : column + _BLOCK]
            surest: dict[tuple[int, int], Pair] = {}
            for is_mirrored in (False, True):
                hashes = [p.mirrored if is_mirrored else p.phash for p in theirs]
                # Equal signs less differing ones: 256 - 2 * distance.
                agreement = signs @ _signs(hashes).T
                places = np.argwhere(agreement >= _BITS - 2 * max_distance)
                kinds = _kinds(ours, theirs, places, is_mirrored)
                for (i, j), kind in zip(places.tolist(), kinds, strict=True):
                    if kind:
                        distance = (_BITS - int(agreement[i, j])) // 2
                        pair = Pair(row + i, column + j, kind, distance)
                        best = surest.get((i, j), pair)
                        surest[i, j] = min(best, pair, key=lambda pair: pair.rank)
            yield from (surest[place] for place in sorted(surest))


def _kinds(
    ours: Sequence[File],
    theirs: Sequence[File],
    places: Int[np.ndarray, "n 2"],
    is_mirrored: bool,
) -> list[str]:
    """What the colours of pairs say that they are; '' where they are two works."""
    kinds: list[str] = []
    for start in range(0, len(places), _BLOCK):
        block = places[start : start + _BLOCK].tolist()
        difference, is_grey = palettes.compare(
            [ours[i].colours for i, _ in block],
            [theirs[j].colours for _, j in block],
            is_mirrored=is_mirrored,
        )
        names = np.where(is_grey, "grey", "near")
        kinds += np.where(difference <= 1, names, "").tolist()
    return kinds


def _signs(hashes: Sequence[str]) -> Float32[np.ndarray, "n bits"]:
    """-1 and 1 for each bit; 0 of pictures without a hash, which are near none."""
    content = bytes.fromhex("".join(text or "0" * (_BITS // 4) for text in hashes))
    bits = np.unpackbits(np.frombuffer(content, np.uint8)).reshape(-1, _BITS)
    is_known = np.array([[text != ""] for text in hashes])
    return (2 * bits.astype(np.float32) - 1) * is_known
