"""Which pictures are kept for validation: at random, class by class, or by artist.

A split depends on the pictures' content and the seed alone, not on names or order.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.cluster.hierarchy import DisjointSet

from jaxart.paintings.curate.options import SPLITS

_ATTEMPTS = 32


def shuffled(digests: Sequence[str], seed: int) -> list[int]:
    """Indices in an order that the seed and each picture's digest give."""

    def draw(i: int) -> bytes:
        return hashlib.sha256(f"{seed} {digests[i]}".encode()).digest()

    return sorted(range(len(digests)), key=draw)


def split(
    kind: str,
    labels: Int[np.ndarray, " n"],
    artists: Sequence[str],
    digests: Sequence[str],
    *,
    val_fraction: float,
    seed: int,
    tied: Sequence[tuple[int, int]] = (),
) -> Bool[np.ndarray, " n"]:
    """Says of each picture whether it is kept for validation.

    'random' draws from all pictures, 'stratified' from each class; 'artist' draws
    artists, in one spelling each (`paintings.artist_key`), such that each class's share
    is as near to `val_fraction` as whole artists allow. `tied` pictures, by their
    indices, come on one side; so do their artists, where those are drawn.

    Raises:
      ValueError: `kind` is none of `SPLITS`.
    """
    if kind not in SPLITS:
        raise ValueError(f"split={kind!r}: one of {', '.join(SPLITS)}")
    if kind == "artist":
        one = _joined(artists, [(artists[a], artists[b]) for a, b in tied])
        return _by_artist(labels, one, val_fraction, seed)
    order = np.array(shuffled(digests, seed), int)
    is_val = np.zeros(len(labels), bool)
    strata = [labels[order] == label for label in np.unique(labels)]
    for stratum in strata if kind == "stratified" else [np.full(len(labels), True)]:
        members = order[stratum]
        is_val[members[: round(val_fraction * len(members))]] = True
    first = _joined(digests, [(digests[a], digests[b]) for a, b in tied])
    place = {digest: i for i, digest in enumerate(digests)}
    return is_val[[place[digest] for digest in first]]


def _joined(names: Sequence[str], tied: Sequence[tuple[str, str]]) -> list[str]:
    """For each name, the first in the alphabet of those that it is tied to."""
    same = DisjointSet(name for pair in tied for name in pair)
    for one, other in tied:
        same.merge(one, other)
    return [min(same.subset(name)) if name in same else name for name in names]


def _by_artist(
    labels: Int[np.ndarray, " n"],
    artists: Sequence[str],
    val_fraction: float,
    seed: int,
) -> Bool[np.ndarray, " n"]:
    """Of several draws, the one whose worst class is nearest to its share."""
    (names, artist), (classes, label) = (
        np.unique(np.asarray(values), return_inverse=True)
        for values in (artists, labels)
    )
    paintings = np.zeros((len(names), len(classes)))
    np.add.at(paintings, (artist, label), 1)
    fractions = paintings / paintings.sum(0)  # of each class, that is by each artist
    drawn = [
        _draw(fractions, val_fraction, np.random.default_rng((seed, attempt)))
        for attempt in range(_ATTEMPTS)
    ]
    errors = [np.abs(fractions[chosen].sum(0) - val_fraction).max() for chosen in drawn]
    return drawn[int(np.argmin(errors))][artist]


def _draw(
    fractions: Float[np.ndarray, "artists classes"],
    val_fraction: float,
    rng: np.random.Generator,
) -> Bool[np.ndarray, " artists"]:
    """Draws artists as long as that helps; then changes sides as long as that does."""
    chosen = np.zeros(len(fractions), bool)
    error = np.full(fractions.shape[1], -val_fraction)  # of each class's share
    for i in rng.permutation(len(fractions)):
        if np.square(error + fractions[i]).sum() < np.square(error).sum():
            chosen[i] = True
            error += fractions[i]
    while True:
        moved = np.where(chosen[:, None], -fractions, fractions)
        costs = np.square(error + moved).sum(1)
        best = int(np.argmin(costs))
        if costs[best] >= np.square(error).sum() - 1e-12:
            return chosen
        chosen[best] = not chosen[best]
        error += moved[best]
