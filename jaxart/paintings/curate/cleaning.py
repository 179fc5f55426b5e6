"""Which pictures stay: each painting once, under one label, and not too many."""

import collections
import math
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from scipy.cluster.hierarchy import DisjointSet

from jaxart.data import duplicates, palettes
from jaxart.paintings.curate import splits
from jaxart.paintings.curate.paintings import Picture

DUPLICATES_HEADER = (
    *("path_a", "path_b", "kind", "distance", "action"),
    *("label_a", "label_b"),
)


class Once(NamedTuple):
    """Which pictures remain when each painting stays once."""

    kept: list[int]  # their indices
    rows: list[tuple]  # of duplicates.csv: each pair, and what became of it
    num_copies: int  # left out for a larger or coloured copy of the same label
    num_two_labels: int  # left out because a copy has another label
    tied: list[tuple[str, str]]  # contents of grey pairs of which both remain


def each_once(
    pictures: Sequence[Picture], max_distance: int, grey_copies: str = "drop"
) -> Once:
    """Leaves the largest of equal and nearly equal pictures; none under two labels.

    `grey_copies='drop'` leaves out the grey picture of a grey pair, too; 'keep' leaves
    both.
    """

    def quality(i: int) -> tuple[int, str]:
        file = pictures[i].file
        return file.width * file.height, file.sha256

    def num_labels(indices: Iterable[int]) -> int:
        return len({pictures[i].painting.label for i in indices})

    pairs = duplicates.within([p.file for p in pictures], max_distance)
    same = DisjointSet(i for pair in pairs for i in (pair.a, pair.b))
    for pair in pairs:
        # A grey copy is one of all colourings, which are not copies of each other.
        if pair.kind != "grey":
            same.merge(pair.a, pair.b)
    two_labels: set[int] = set()
    copies: set[int] = set()
    for members in same.subsets():
        if num_labels(members) > 1:
            two_labels |= members
        copies |= members - {max(members, key=quality)}
    for pair in pairs:
        if pair.kind == "grey" and grey_copies == "drop":
            a, b = same.subset(pair.a), same.subset(pair.b)
            if num_labels(a | b) > 1:
                two_labels |= a | b
            copies |= same.subset(_greyer(pictures, pair))
    left_out = copies | two_labels
    kept = [i for i in range(len(pictures)) if i not in left_out]
    tied = [
        (pictures[pair.a].file.sha256, pictures[pair.b].file.sha256)
        for pair in pairs
        if not {pair.a, pair.b} & left_out
    ]
    rows = sorted(_row(pictures, pair, left_out) for pair in pairs)
    return Once(kept, rows, len(copies - two_labels), len(two_labels), tied)


def _greyer(pictures: Sequence[Picture], pair: duplicates.Pair) -> int:
    """Which of a grey pair is the grey one."""
    ends = (pair.a, pair.b)
    return ends[palettes.strengths([pictures[i].file.colours for i in ends]).argmin()]


def _row(
    pictures: Sequence[Picture], pair: duplicates.Pair, left_out: Collection[int]
) -> tuple:
    """What duplicates.csv says of a pair: the one that stays, if one does, is first."""
    a, b, kind, distance = pair
    if a in left_out and b not in left_out:
        a, b = b, a
    num_left_out = (a in left_out) + (b in left_out)
    action = ("keep_both", "drop_b", "drop_both")[num_left_out]
    one, other = pictures[a].painting, pictures[b].painting
    return one.name, other.name, kind, distance, action, one.label, other.label


def cap(
    pictures: Sequence[Picture],
    *,
    max_per_class: int | None,
    max_per_artist: int | None,
    seed: int,
) -> list[str]:
    """Why each picture is one too many of its class or artist; '' where it is not.

    Which ones stay is drawn by seed and content. An artist's pictures are counted in
    each class; unknown artists are nobody's.
    """
    class_bound = math.inf if max_per_class is None else max_per_class
    artist_bound = math.inf if max_per_artist is None else max_per_artist
    reasons = [""] * len(pictures)
    of_class: collections.Counter[str] = collections.Counter()
    of_artist: collections.Counter[tuple[str, str]] = collections.Counter()
    for i in splits.shuffled([p.file.sha256 for p in pictures], seed):
        label, artist = pictures[i].painting.label, pictures[i].artist
        if artist and of_artist[label, artist] >= artist_bound:
            reasons[i] = f"beyond {max_per_artist} pictures of the artist in the class"
        elif of_class[label] >= class_bound:
            reasons[i] = f"beyond {max_per_class} pictures of the class"
        else:
            of_class[label] += 1
            of_artist[label, artist] += 1
    return reasons
