"""Which fingerprints are one picture's."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmarks import copies
from jaxart.data import fingerprints, procedural
from jaxart.data.duplicates import Pair, between, within
from jaxart.data.files import File

RNG = np.random.default_rng(0)


def random_hash():
    return RNG.integers(0, 256, 32, np.uint8).tobytes().hex()


def flip(text, count):
    """Another hash, `count` bits away."""
    values = np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))
    values[RNG.choice(256, count, replace=False)] ^= 1
    return np.packbits(values).tobytes().hex()


def picture(sha256, phash=None, mirrored=None):
    return File(
        sha256,
        1,
        random_hash() if phash is None else phash,
        random_hash() if mirrored is None else mirrored,
        width=10,
        height=10,
    )


def test_near_up_to_the_distance_and_no_further():
    first = picture("a")
    others = [picture(str(n), flip(first.phash, n)) for n in (0, 1, 30, 31, 256)]
    assert within([first, *others[:4]], 30)[:3] == [
        Pair(0, 1, "near", 0),
        Pair(0, 2, "near", 1),
        Pair(0, 3, "near", 30),
    ]
    assert within([first, others[3], others[4]], 30) == []


def test_distances_equal_a_count_bit_by_bit():
    pictures = [picture(str(i)) for i in range(40)]

    def distance(a, b):
        words = (int(a, 16), int(b, 16))
        return (words[0] ^ words[1]).bit_count()

    expected = [
        Pair(i, j, "near", nearest)
        for i, a in enumerate(pictures)
        for j, b in enumerate(pictures)
        if i < j
        and (nearest := min(distance(a.phash, b.phash), distance(a.phash, b.mirrored)))
        <= 120
    ]
    assert within(pictures, 120) == expected and len(expected) > 50


def test_mirrored_copy_is_near():
    one = picture("a")
    other = picture("b", flip(one.mirrored, 3), flip(one.phash, 4))
    assert within([one, other], 10) == [Pair(0, 1, "near", 4)]


def test_equal_files_are_paired_with_the_first_and_stand_for_one():
    one = picture("a")
    near = picture("b", flip(one.phash, 5))
    assert within([one, one, near, one], 10) == [
        Pair(0, 1, "exact", 0),
        Pair(0, 2, "near", 5),
        Pair(0, 3, "exact", 0),
    ]


def test_pictures_without_a_hash_are_near_none_but_may_be_equal():
    flat = picture("a", "", "")
    assert within([flat, flat, picture("b", "", "")], 127) == [Pair(0, 1, "exact", 0)]


def test_between_names_the_nearest_for_each_of_those():
    one = picture("a")
    far, near = (picture(str(n), flip(one.phash, n)) for n in (20, 3))
    copy = picture("c", far.phash)
    those = [picture("d"), one, copy]
    assert between([far, near], those, 30) == [
        Pair(1, 1, "near", 3),
        Pair(0, 2, "near", 0),
    ]
    assert between([far, near, one, one], those, 30)[0] == Pair(2, 1, "exact", 0)


@pytest.mark.parametrize(
    "sides", [([], []), ([picture("a")], []), ([], [picture("a")])]
)
def test_nothing_is_near_nothing(sides):
    assert between(*sides, 64) == []
    assert within([], 64) == []


def test_blocks_do_not_change_what_is_found(monkeypatch):
    pictures = [picture(str(i)) for i in range(50)]
    pictures += [picture(f"copy {i}", flip(pictures[i].phash, i)) for i in range(50)]
    whole = within(pictures, 64)
    monkeypatch.setattr("jaxart.data.duplicates._BLOCK", 7)
    assert within(pictures, 64) == whole
    assert [(i, 50 + i) for i in range(50)] == [(a, b) for a, b, *_ in whole]


@pytest.mark.parametrize(
    ("altered", "kind"),
    [("half of the saturation", "near"), ("black and white", "grey"), (None, None)],
)
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_colours_decide_what_near_hashes_are(altered, kind, is_mirrored):
    picture = Image.fromarray(procedural.paint("brush_strokes", 3, 200))
    alter = copies.COPIES[altered] if altered else copies.turned(60)
    other = ImageOps.mirror(alter(picture)) if is_mirrored else alter(picture)
    pair = [
        File(name, **fingerprints.take(x)._asdict())
        for name, x in (("a", picture), ("b", other))
    ]
    expected = [kind] if kind else []
    assert [p.kind for p in within(pair)] == expected
    assert [p.kind for p in between(pair[1:], pair[:1])] == expected


def test_between_prefers_a_copy_in_colour_to_a_nearer_grey_one():
    coloured = bytes(32 * [200, 60, 60] + 32 * [60, 60, 200]).hex()
    one = picture("a")._replace(colours=coloured)
    grey = one._replace(sha256="b", colours="")
    near = one._replace(sha256="c", phash=flip(one.phash, 9))
    assert between([grey, near], [one], 10) == [Pair(1, 0, "near", 9)]
    assert between([grey], [one], 10) == [Pair(0, 0, "grey", 0)]
