"""Each painting once, under one label; caps by content."""

import pytest

from jaxart.data.files import File
from jaxart.paintings.curate.cleaning import cap, each_once
from jaxart.paintings.curate.paintings import Painting, Picture

GREY = bytes(64 * [128, 128, 128])
RED_LEFT = bytes(32 * [200, 60, 60] + 32 * [60, 60, 200])
GREEN_LEFT = bytes(32 * [60, 200, 60] + 32 * [200, 60, 200])


def picture(
    name, label="x", sha256=None, bits=0, size=10, artist="", where=0, colours=GREY
):
    """A picture whose hash has `bits` bits set from bit `where` on."""
    value = ((1 << bits) - 1) << where
    phash = f"{value:064x}"
    mirrored = "5" * 64  # 128 bits away from what has few bits set
    file = File(
        sha256 or name, 1, phash, mirrored, colours.hex(), width=size, height=size
    )
    return Picture(Painting(name, label, artist, "", "", name), file)


def test_the_largest_copy_stays():
    pictures = [
        picture("small", size=5),
        picture("large", size=20, bits=3),
        picture("middle", size=10, bits=6),
        picture("other", bits=100),
    ]
    once = each_once(pictures, 10)
    assert once.kept == [1, 3]
    assert (once.num_copies, once.num_two_labels) == (2, 0)
    assert once.rows == [
        ("large", "middle", "near", 3, "drop_b", "x", "x"),
        ("large", "small", "near", 3, "drop_b", "x", "x"),
        ("small", "middle", "near", 6, "drop_both", "x", "x"),
    ]


def test_a_picture_under_two_labels_is_dropped_from_both_with_all_its_copies():
    pictures = [
        picture("a", "x", sha256="same"),
        picture("b", "y", sha256="same"),
        picture("c", "x", bits=4),
        picture("d", "x", bits=60),
    ]
    once = each_once(pictures, 10)
    assert once.kept == [3]
    assert (once.num_copies, once.num_two_labels) == (0, 3)
    assert once.rows == [
        ("a", "b", "exact", 0, "drop_both", "x", "y"),
        ("a", "c", "near", 4, "drop_both", "x", "x"),
    ]


def test_chains_are_one_cluster():
    pictures = [picture(str(i), bits=8 * i) for i in range(4)]
    assert each_once(pictures, 8).kept == [3]  # of equal size, the last digest


def test_equal_files_leave_one():
    once = each_once([picture("a", sha256="s"), picture("b", sha256="s")], 10)
    assert once.kept == [0] and once.rows[0][:5] == ("a", "b", "exact", 0, "drop_b")


def test_nothing_twice_leaves_all():
    pictures = [picture(str(i), bits=40 * i) for i in range(6)]
    assert each_once(pictures, 30) == ([0, 1, 2, 3, 4, 5], [], 0, 0, [])


@pytest.fixture
def many():
    """Two classes of 12 pictures, half of each by one artist."""
    return [
        picture(f"{label}{i}", label, artist="Anna" if i % 2 else f"painter {i}")
        for label in "xy"
        for i in range(12)
    ]


def test_caps_count_by_class_and_by_artist_in_the_class(many):
    reasons = cap(many, max_per_class=5, max_per_artist=2, seed=0)
    for label in "xy":
        kept = [
            p
            for p, why in zip(many, reasons, strict=True)
            if p.painting.label == label and not why
        ]
        assert len(kept) == 5
        assert sum(p.artist == "anna" for p in kept) <= 2
    assert {why for why in reasons if why} == {
        "beyond 5 pictures of the class",
        "beyond 2 pictures of the artist in the class",
    }


def test_who_stays_depends_on_content_and_seed_not_on_order(many):
    def kept(pictures, seed):
        reasons = cap(pictures, max_per_class=5, max_per_artist=None, seed=seed)
        return {
            p.painting.name for p, why in zip(pictures, reasons, strict=True) if not why
        }

    assert kept(many, 0) == kept(many[::-1], 0) != kept(many, 1)


def test_no_cap_keeps_all_and_unknown_artists_are_not_one():
    pictures = [picture(str(i)) for i in range(9)]
    for max_per_artist in (None, 1):
        reasons = cap(
            pictures, max_per_class=None, max_per_artist=max_per_artist, seed=0
        )
        assert reasons == [""] * 9


@pytest.mark.parametrize("label", ["x", "y"])
@pytest.mark.parametrize("grey_copies", ["drop", "keep"])
def test_a_grey_copy_of_two_colourings_does_not_make_them_one(label, grey_copies):
    pictures = [
        picture("green", colours=GREEN_LEFT),
        picture("grey", label, size=99),
        picture("red", colours=RED_LEFT),
        picture("red copy", size=5, colours=RED_LEFT),
    ]
    once = each_once(pictures, 10, grey_copies)
    action_of = {row[:2]: row[4] for row in once.rows}
    assert action_of.pop(("red", "red copy")) in ("drop_b", "drop_both")
    if grey_copies == "keep":
        assert once.kept == [0, 1, 2] and (once.num_copies, once.num_two_labels) == (
            1,
            0,
        )
        assert once.tied == [("green", "grey"), ("grey", "red")]
        assert action_of[("green", "grey")] == action_of[("grey", "red")] == "keep_both"
    elif label == "x":
        assert once.kept == [0, 2] and (once.num_copies, once.num_two_labels) == (2, 0)
        assert action_of[("green", "grey")] == action_of[("red", "grey")] == "drop_b"
        assert once.tied == []
    else:  # nobody knows which label is right
        assert once.kept == [] and once.num_two_labels == 4
