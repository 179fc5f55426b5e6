"""Records of shares: apart while they are made, one in the end."""

import contextlib
import json

import pytest
from filelock import FileLock

from jaxart.data.shares import Share
from jaxart.parts import BusyError
from jaxart.saliency.parts import Records

NAMES = tuple("abcdef")


def paths(out):
    lines = (out / "manifest.jsonl").read_text().splitlines()
    return "".join(json.loads(line)["path"] for line in lines)


def opened(out, share, names=NAMES, batch_size=1):
    return Records(out, names, batch_size, share).opened()


def append(out, share, *names, **settings):
    with opened(out, share, **settings) as manifest:
        for name in names:
            manifest.append({"path": name, "by": str(share)})


def merge(out):
    append(out, None)


def test_parts_become_one_in_the_order_of_the_list(tmp_path):
    append(tmp_path, Share(2, 2), "d", "b")
    append(tmp_path, Share(1, 2), "e", "a")
    assert not (tmp_path / "manifest.jsonl").exists()
    append(tmp_path, None, "c")
    assert paths(tmp_path) == "abdec"
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.jsonl"]


def test_a_share_knows_what_it_and_the_whole_have_done(tmp_path):
    append(tmp_path, None, "a")
    append(tmp_path, Share(1, 2), "b")
    append(tmp_path, Share(2, 2), "c")
    with opened(tmp_path, Share(1, 2)) as manifest:
        assert manifest.done == {"a", "b"}
    with opened(tmp_path, None) as manifest:
        assert manifest.done == {"a", "b", "c"}


def test_other_images_come_first_and_an_image_keeps_one_line(tmp_path):
    append(tmp_path, None, "x", "b", "y")
    append(tmp_path, Share(1, 1), "a")
    append(tmp_path, Share(2, 3), "b", "a")
    merge(tmp_path)
    assert paths(tmp_path) == "xyab"
    lines = (tmp_path / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(line)["by"] for line in lines[2:]] == ["1-of-1", "None"]


def test_a_torn_line_of_a_killed_share_does_not_count(tmp_path):
    append(tmp_path, Share(1, 2), "a", "b")
    part = tmp_path / "parts/1-of-2.jsonl"
    part.write_bytes(part.read_bytes()[:-3])
    append(tmp_path, Share(1, 2), "c")
    merge(tmp_path)
    assert paths(tmp_path) == "ac"


def test_a_merger_that_was_stopped_before_it_cleared_up_is_repeated(tmp_path):
    append(tmp_path, Share(1, 2), "b", "a")
    part = (tmp_path / "parts/1-of-2.jsonl").read_bytes()
    merge(tmp_path)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/1-of-2.jsonl").write_bytes(part)
    merge(tmp_path)
    assert paths(tmp_path) == "ab" and not (tmp_path / "parts").exists()


@pytest.mark.parametrize("share", [Share(1, 2), None])
def test_a_share_that_another_process_works_on_is_left_alone(tmp_path, share):
    append(tmp_path, Share(1, 2), "a")
    with FileLock(tmp_path / "parts/1-of-2.lock"):
        with pytest.raises(BusyError, match="parts/1-of-2: another process is working"):
            append(tmp_path, share, "b")
        append(tmp_path, Share(2, 2), "c")
    merge(tmp_path)
    assert paths(tmp_path) == "ac"


@pytest.mark.parametrize(
    ("share", "changed"),
    [
        (Share(1, 3), {}),
        (Share(1, 2), {"batch_size": 2}),
        (Share(1, 2), {"names": tuple("abc")}),
    ],
)
def test_shares_of_another_division_are_taken_in_unless_one_is_worked_on(
    tmp_path, share, changed
):
    append(tmp_path, Share(1, 2), "a")
    append(tmp_path, Share(2, 2), "b")
    busy = pytest.raises(BusyError, match="parts/2-of-2: another process is working")
    with FileLock(tmp_path / "parts/2-of-2.lock"), busy:
        append(tmp_path, share, "c", **changed)
    with opened(tmp_path, share, **changed) as manifest:
        assert manifest.done == {"a", "b"}
    assert paths(tmp_path) == "ab"
    assert not (tmp_path / "parts/2-of-2.jsonl").exists()


def test_the_last_to_finish_gets_all_notes_and_the_whole_record(tmp_path):
    for number, name in ((2, "b"), (3, "c"), (1, "a")):
        share = Share(number, 3)
        records = Records(tmp_path, NAMES, 1, share)
        append(tmp_path, share, name)
        with records.opened(), records.concluded({"by": number}) as notes:
            if number != 1:
                assert notes is None and not (tmp_path / "manifest.jsonl").exists()
            else:
                assert [note["by"] for note in notes] == [1, 2, 3]
                assert paths(tmp_path) == "abc"
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.jsonl"]


def test_a_conclusion_that_was_stopped_is_repeated(tmp_path):
    share = Share(1, 1)
    records = Records(tmp_path, NAMES, 1, share)
    append(tmp_path, share, "a")
    for attempt in range(2):
        with (
            contextlib.suppress(KeyboardInterrupt),
            records.opened() as manifest,
            records.concluded({"n": 0}) as notes,
        ):
            assert manifest.done == {"a"} and notes == [{"n": 0}]
            if not attempt:
                raise KeyboardInterrupt
        assert paths(tmp_path) == "a" and (tmp_path / "parts").exists() != attempt
