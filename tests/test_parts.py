"""Folders of parts: who may work on what, and who puts them together."""

import json

import pytest
from filelock import FileLock

from jaxart.data.shares import Share
from jaxart.parts import BusyError, OtherPartsError, Parts, are_in, digest


@pytest.fixture
def parts(tmp_path):
    return Parts(tmp_path / "new/parts", {"images": "abc", "layer": None})


def finish(parts, share, **note):
    """The notes, if all are finished, and the note that the share had before."""
    with parts.working(share) as before, parts.finished(share, note) as notes:
        return notes, before


def test_the_last_gets_the_notes_in_order_and_the_folder_goes(parts):
    assert not are_in(parts.folder)
    assert finish(parts, Share(3, 3), n=3) == (None, None)
    assert are_in(parts.folder) and parts.every_share() == [
        Share(i, 3) for i in (1, 2, 3)
    ]
    assert finish(parts, Share(1, 3), n=1) == (None, None)
    assert finish(parts, Share(3, 3), n=4) == (None, {"n": 3})
    assert finish(parts, Share(2, 3), n=2) == ([{"n": 1}, {"n": 2}, {"n": 4}], None)
    assert not are_in(parts.folder) and not parts.folder.exists()


def test_a_share_that_is_worked_on_again_is_not_finished(parts):
    finish(parts, Share(1, 2), n=1)
    with parts.working(Share(1, 2)) as note:
        assert note == {"n": 1}
        assert finish(parts, Share(2, 2)) == (None, None)
        with parts.finished(Share(1, 2), note) as notes:
            assert notes == [{"n": 1}, {}]


def test_nobody_works_on_a_share_twice_at_once(parts):
    busy = {"match": "parts/1-of-2: another process is working on this share"}
    with parts.working(Share(1, 2)):
        with pytest.raises(BusyError, **busy), parts.working(Share(1, 2)):
            pass
        with pytest.raises(BusyError, **busy), parts.taken_in():
            pass
        finish(parts, Share(2, 2))
    with parts.taken_in():
        assert parts.path(Share(2, 2), ".json").is_file()
    assert not parts.folder.exists()


@pytest.mark.parametrize(
    ("settings", "count", "said"),
    [
        ({"images": "x", "layer": None}, 2, "images='abc'; this run has images='x'"),
        ({"images": "abc", "layer": "f"}, 2, "layer=None; this run has layer='f'"),
        ({"images": "abc", "layer": None}, 3, "count=2; this run has count=3"),
    ],
)
def test_parts_of_other_work_are_refused_or_taken_in(parts, settings, count, said):
    finish(parts, Share(1, 2), n=1)
    other, share = Parts(parts.folder, settings), Share(2, count)
    refused = pytest.raises(
        OtherPartsError, match=f"parts holds parts made with {said}"
    )
    with refused, other.working(share):
        pass
    assert parts.path(Share(1, 2), ".json").exists()

    def take_in():
        taken.append(parts.path(Share(1, 2), ".json").exists())

    taken = []
    busy = pytest.raises(BusyError, match="2-of-2: another process")
    with parts.working(Share(2, 2)), busy, other.working(share, take_in):
        pass
    with other.working(share, take_in) as note:
        assert taken == [True] and note is None
    assert not parts.path(Share(1, 2), ".json").exists()
    assert json.loads((parts.folder / "settings.json").read_text())["count"] == count


def test_who_waits_while_the_parts_are_put_together_begins_anew(parts, monkeypatch):
    finish(parts, Share(1, 2))

    class Slow(FileLock):
        """As if the other share were the last to finish in the meantime."""

        def acquire(self, *args, **kwargs):
            lock = super().acquire(*args, **kwargs)
            if not waited:
                waited.append(True)
                for path in parts.folder.iterdir():
                    path.unlink()
                parts.folder.rmdir()
            return lock

    waited = []
    monkeypatch.setattr("jaxart.parts.FileLock", Slow)
    assert finish(parts, Share(1, 2)) == (None, None)
    assert waited and parts.every_share()[1:] == [Share(2, 2)]
    assert finish(parts, Share(2, 2)) == ([{}, {}], None)


def test_digests_tell_lists_apart():
    lists = (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["c", "ab"], ["\udce9"])
    assert len({digest(some) for some in lists}) == len(lists)
    assert digest(("ab", "c")) == digest(iter(["ab", "c"]))
