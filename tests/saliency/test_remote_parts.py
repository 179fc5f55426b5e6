"""Records in an object store: in pieces while they are made, one in the end."""

import json

import pytest

from jaxart import storage
from jaxart.data.shares import Share
from jaxart.saliency.remote_parts import RemoteRecords

NAMES = tuple("abcdef")
NOTE = {"counts": 1}


def records(bucket, share, names=NAMES):
    return RemoteRecords(storage.path(f"{bucket.url}/out"), names, 1, share)


def append(bucket, share, *names):
    with records(bucket, share).opened() as manifest:
        for name in names:
            manifest.append({"path": name, "by": str(share)})


def conclude(bucket, share, *names, note=NOTE):
    mine = records(bucket, share)
    with mine.opened() as manifest:
        for name in names:
            manifest.append({"path": name, "by": str(share)})
        with mine.concluded(note) as notes:
            whole = bucket.keys("out/manifest.jsonl")
            assert bool(whole) == bool(notes)
            return notes


def entries(bucket):
    lines = bucket.get("out/manifest.jsonl").decode().splitlines()
    return [tuple(json.loads(line).values()) for line in lines]


def paths(bucket):
    return "".join(path for path, _ in entries(bucket))


def test_the_last_share_puts_them_together_in_the_order_of_the_list(bucket):
    assert conclude(bucket, Share(2, 2), "d", "b", note={"n": 2}) is None
    assert conclude(bucket, Share(1, 2), "e", "a", note={"n": 1}) == [
        *({"n": 1}, {"n": 2})
    ]
    assert paths(bucket) == "abde"
    assert bucket.keys() == ["out/manifest.jsonl"]


def test_what_any_process_has_done_is_done(bucket):
    conclude(bucket, None, "a")
    append(bucket, Share(1, 2), "b")
    append(bucket, Share(2, 2), "c")
    with records(bucket, Share(2, 3)).opened() as manifest:
        assert manifest.done == {"a", "b", "c"}
    with records(bucket, None).opened() as manifest:
        assert manifest.done == {"a", "b", "c"}
        assert bucket.keys() == ["out/manifest.jsonl"]  # taken in


def test_other_images_come_first_and_an_image_keeps_its_first_line(bucket):
    conclude(bucket, None, "x", "b", "y")
    append(bucket, Share(1, 1), "b", "a")
    assert conclude(bucket, None) == [NOTE]
    assert entries(bucket) == [
        *(("x", "None"), ("y", "None"), ("a", "1-of-1"), ("b", "None"))
    ]


def test_what_was_done_before_a_failure_is_in_the_store(bucket):
    with pytest.raises(ZeroDivisionError), records(bucket, None).opened() as manifest:
        manifest.append({"path": "a", "by": ""})
        1 / 0  # noqa: B018
    with records(bucket, None).opened() as manifest:
        assert manifest.done == {"a"}


def test_a_whole_run_takes_in_a_share_that_goes_on(bucket):
    mine = records(bucket, Share(1, 1))
    with mine.opened() as manifest:
        manifest.append({"path": "a", "by": "1"})
        manifest.flush()
        conclude(bucket, None, "c")
        assert paths(bucket) == "ac"
        manifest.append({"path": "b", "by": "1"})
        with mine.concluded(NOTE) as notes:
            assert notes == [NOTE]
    assert paths(bucket) == "abc"


def test_a_share_that_begins_again_is_not_finished(bucket):
    conclude(bucket, Share(1, 2), "a")
    with records(bucket, Share(1, 2)).opened():
        assert conclude(bucket, Share(2, 2), "b") is None
    assert conclude(bucket, Share(1, 2)) == [NOTE, NOTE]
    assert paths(bucket) == "ab"


def test_notes_of_another_list_do_not_count(bucket):
    conclude(bucket, Share(1, 2), "a")
    mine = records(bucket, Share(2, 2), names=NAMES[:3])
    with mine.opened(), mine.concluded(NOTE) as notes:
        assert notes is None
