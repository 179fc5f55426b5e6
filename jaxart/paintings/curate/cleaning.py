"""Which pictures stay: each painting once, under one label, and not too many."""

import collections
import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.cluster.hierarchy import DisjointSet

from jaxart.data import duplicates
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
    num_copies: int  # left out for a larger copy of the same label
    num_two_labels: int  # left out because a copy has another label


def each_once(pictures: Sequence[Picture], max_distance: int) -> Once:
    """Leaves the largest of equal and nearly equal pictures; none under two labels."""

    def quality(i: int) -> tuple[int, str]:
        file = pictures[i].file
        return file.width * file.height, file.sha256

    pairs = duplicates.within([p.file for p in pictures], max_distance)
    left_out: set[int] = set()
    num_copies = num_two_labels = 0
    same = DisjointSet(i for pair in pairs for i in (pair.a, pair.b))
    for pair in pairs:
        same.merge(pair.a, pair.b)
    for members in same.subsets():
        if len({pictures[i].painting.label for i in members}) > 1:
            num_two_labels += len(members)
            left_out.update(members)
        else:
            num_copies += len(members) - 1
            best = max(members, key=quality)
            left_out.update(members - {best})
    rows = []
    for a, b, kind, distance in pairs:
        if a in left_out and b not in left_out:
            a, b = b, a
        action = "drop_both" if a in left_out else "drop_b"
        one, other = pictures[a].painting, pictures[b].painting
        rows.append(
            (one.name, other.name, kind, distance, action, one.label, other.label)
        )
    kept = [i for i in range(len(pictures)) if i not in left_out]
    return Once(kept, sorted(rows), num_copies, num_two_labels)


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
