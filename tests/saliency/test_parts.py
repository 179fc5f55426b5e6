"""Records of shares: apart while they are made, one in the end."""

import json

import pytest
from filelock import FileLock

from jaxart.data.shares import Share
from jaxart.saliency.parts import BusyError, merge, opened

NAMES = tuple("abcdef")


def paths(out):
    lines = (out / "manifest.jsonl").read_text().splitlines()
    return "".join(json.loads(line)["path"] for line in lines)


def append(out, share, *names):
    with opened(out, share, NAMES) as manifest:
        for name in names:
            manifest.append({"path": name, "by": str(share)})


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
    with opened(tmp_path, Share(1, 2), NAMES) as manifest:
        assert manifest.done == {"a", "b"}
    with opened(tmp_path, None, NAMES) as manifest:
        assert manifest.done == {"a", "b", "c"}


def test_other_images_come_first_and_an_image_keeps_one_line(tmp_path):
    append(tmp_path, None, "x", "b", "y")
    append(tmp_path, Share(1, 1), "a")
    append(tmp_path, Share(2, 3), "b", "a")
    merge(tmp_path, NAMES)
    assert paths(tmp_path) == "xyab"
    lines = (tmp_path / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(line)["by"] for line in lines[2:]] == ["1-of-1", "None"]


def test_a_torn_line_of_a_killed_share_does_not_count(tmp_path):
    append(tmp_path, Share(1, 2), "a", "b")
    part = tmp_path / "parts/1-of-2.jsonl"
    part.write_bytes(part.read_bytes()[:-3])
    append(tmp_path, Share(1, 2), "c")
    merge(tmp_path, NAMES)
    assert paths(tmp_path) == "ac"


def test_a_merger_that_was_stopped_before_it_cleared_up_is_repeated(tmp_path):
    append(tmp_path, Share(1, 2), "b", "a")
    part = (tmp_path / "parts/1-of-2.jsonl").read_bytes()
    merge(tmp_path, NAMES)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/1-of-2.jsonl").write_bytes(part)
    merge(tmp_path, NAMES)
    assert paths(tmp_path) == "ab" and not (tmp_path / "parts").exists()


@pytest.mark.parametrize("share", [Share(1, 2), None])
def test_a_share_that_another_process_works_on_is_left_alone(tmp_path, share):
    append(tmp_path, Share(1, 2), "a")
    with FileLock(tmp_path / "parts/1-of-2.lock"):
        with pytest.raises(BusyError, match="parts/1-of-2: another process is working"):
            append(tmp_path, share, "b")
        append(tmp_path, Share(2, 2), "c")
    append(tmp_path, None)
    assert paths(tmp_path) == "ac"
