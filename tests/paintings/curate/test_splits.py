"""Splits: shares, artists on one side, and what they depend on."""

import hashlib

import numpy as np
import pytest

from jaxart.paintings.curate.options import SPLITS
from jaxart.paintings.curate.splits import shuffled, split

RNG = np.random.default_rng(0)
N = 600
label_of = RNG.integers(0, 5, N)
ARTISTS = [
    f"artist {i}" for i in RNG.zipf(1.6, N) % 80
]  # some with many, most with few
DIGESTS = [hashlib.sha256(bytes([i % 256, i // 256])).hexdigest() for i in range(N)]


def make(kind, order=None, fraction=0.2, seed=0, tied=()):
    order = np.arange(N) if order is None else order
    is_val = split(
        kind,
        label_of[order],
        [ARTISTS[i] for i in order],
        [DIGESTS[i] for i in order],
        val_fraction=fraction,
        seed=seed,
        tied=tied,
    )
    unshuffled = np.zeros(N, bool)
    unshuffled[order] = is_val
    return unshuffled


@pytest.mark.parametrize("kind", SPLITS)
def test_input_order_does_not_matter_but_the_seed_does(kind):
    first = make(kind)
    for _ in range(3):
        np.testing.assert_array_equal(make(kind, RNG.permutation(N)), first)
    assert (make(kind, seed=1) != first).any()


@pytest.mark.parametrize("kind", ["stratified", "random"])
def test_other_pictures_are_drawn_otherwise(kind):
    others = [digest[::-1] for digest in DIGESTS]
    options = {"val_fraction": 0.2, "seed": 0}
    assert (split(kind, label_of, ARTISTS, others, **options) != make(kind)).any()


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.25, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_artist_is_on_both_sides_and_every_class_keeps_its_share(fraction, seed):
    is_val = make("artist", fraction=fraction, seed=seed)
    artists = np.array(ARTISTS)
    assert not set(artists[is_val]) & set(artists[~is_val])
    for label in range(5):
        assert abs(is_val[label_of == label].mean() - fraction) < 0.05


def test_random_takes_the_share_of_all_and_stratified_of_each_class():
    assert make("random").sum() == 120
    for label in range(5):
        members = label_of == label
        assert make("stratified")[members].sum() == round(0.2 * members.sum())
    assert any(
        make("random")[label_of == label].sum()
        != round(0.2 * (label_of == label).sum())
        for label in range(5)
    )


def test_artists_are_put_together_so_that_the_worst_class_is_near():
    # One artist has half of class 0; class 1 is two artists', equally.
    labels = np.array([0] * 8 + [1] * 4)
    artists = [*"aaaabcde", *"xxyy"]
    is_val = split("artist", labels, artists, DIGESTS[:12], val_fraction=0.5, seed=0)
    assert is_val[:8].sum() == 4 and is_val[8:].sum() == 2
    assert is_val[:4].all() != is_val[4:8].all()


def test_one_artist_stays_on_one_side():
    is_val = split("artist", label_of, ["a"] * N, DIGESTS, val_fraction=0.2, seed=0)
    assert not is_val.any()


def test_classes_that_nothing_shows_are_no_matter():
    labels = np.where(label_of == 0, 7, label_of)
    is_val = split("artist", labels, ARTISTS, DIGESTS, val_fraction=0.2, seed=0)
    assert abs(is_val.mean() - 0.2) < 0.05


def test_unknown_kind_is_named_with_the_choices():
    with pytest.raises(
        ValueError, match="split='fair': one of artist, stratified, ran"
    ):
        make("fair")


def test_shuffled_is_a_permutation_of_content():
    order = shuffled(DIGESTS, 0)
    assert sorted(order) == list(range(N)) and order != shuffled(DIGESTS, 1)
    turned = shuffled(DIGESTS[::-1], 0)
    assert [N - 1 - i for i in turned] == order


@pytest.mark.parametrize("kind", SPLITS)
def test_tied_pictures_come_on_one_side(kind):
    tied = [(0, 1), (1, 2), (10, 500), (20, 21)]
    for seed in range(5):
        is_val = make(kind, seed=seed, tied=tied)
        assert all(is_val[a] == is_val[b] for a, b in tied)
        assert 0.15 < is_val.mean() < 0.25
        if kind == "artist":
            artists = np.array(ARTISTS)
            assert not {*artists[is_val]} & {*artists[~is_val]}
