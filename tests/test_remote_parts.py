"""Shares that leave parts in an object store, and know nothing of each other."""

import pytest

from jaxart import remote_parts, storage
from jaxart.data.shares import Share
from jaxart.parts import OtherPartsError
from jaxart.remote_parts import RemoteParts

SETTINGS = {"images": "abc", "size": 3}


@pytest.fixture
def folder(bucket):
    return storage.path(f"{bucket.url}/parts")


@pytest.fixture
def parts(folder, tmp_path):
    """The folder as one process after the other sees it."""
    count = iter(range(9))

    def make(**changed):
        local = tmp_path / str(next(count))
        local.mkdir()
        return RemoteParts(folder, SETTINGS | changed, local)

    return make


def finish(left, share):
    left.path(share, ".txt").write_text(f"part {share}")
    return left.finished(share, {"by": str(share)})


def test_the_last_one_has_the_files_of_all(parts, folder):
    assert not remote_parts.are_in(folder)
    with finish(parts(), Share(2, 2)) as notes:
        assert notes is None
    assert remote_parts.are_in(folder)
    last = parts()
    assert last.every_share() == [Share(1, 2), Share(2, 2)]
    with last.working(Share(2, 2)) as note:
        assert note == {"by": "2-of-2"}
    with last.working(Share(1, 2)) as note:
        assert note is None
    with finish(last, Share(1, 2)) as notes:
        assert notes == [{"by": "1-of-2"}, {"by": "2-of-2"}]
        assert last.path(Share(2, 2), ".txt").read_text() == "part 2-of-2"
    assert folder.keys_below() == []


def test_what_fails_in_the_end_can_be_tried_again(parts, folder):
    with pytest.raises(ZeroDivisionError), finish(parts(), Share(1, 1)):
        1 / 0  # noqa: B018
    again = parts()
    with again.working(Share(1, 1)) as note:
        assert note == {"by": "1-of-1"}
    with again.finished(Share(1, 1), note) as notes:
        assert notes == [note]
        assert again.path(Share(1, 1), ".txt").read_text() == "part 1-of-1"
    assert folder.keys_below() == []


def test_two_that_are_both_the_last_do_the_same(parts, folder):
    with finish(parts(), Share(1, 2)):
        pass
    with finish(parts(), Share(2, 2)) as notes, finish(parts(), Share(2, 2)) as others:
        assert notes == others and len(notes) == 2
    assert folder.keys_below() == []


@pytest.mark.parametrize(
    "changed, share, message",
    [
        ({"size": 4}, Share(2, 2), "made with size=3; this run has size=4"),
        ({}, Share(2, 3), "made with count=2; this run has count=3"),
    ],
)
def test_other_parts_are_refused(parts, changed, share, message):
    with finish(parts(), Share(1, 2)):
        pass
    with (
        pytest.raises(OtherPartsError, match=message),
        parts(**changed).working(share),
    ):
        pass
