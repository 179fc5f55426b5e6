"""Lines that survive any stop."""

import json

import pytest

from jaxart import json_lines


def is_entry(entry):
    return "a" in entry


def read(path):
    return [json.loads(line)["a"] for line in path.read_bytes().splitlines()]


def reopen(path):
    seen = []
    lines = json_lines.Appender(path, is_entry, lambda entry: seen.append(entry["a"]))
    return lines, seen


def test_lines_are_there_at_once_and_seen_when_opened_again(tmp_path):
    path = tmp_path / "a.jsonl"
    lines, seen = reopen(path)
    assert seen == []
    for number in range(3):
        lines.append({"a": number})
        assert read(path) == list(range(number + 1))
    lines.close()
    lines, seen = reopen(path)
    lines.close()
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    "tail", [b'{"a": 2', b'{"a": 2}', b'{"b": 2}\n', b"[1]\n", b"\xff\n", b"nonsense\n"]
)
def test_what_is_no_whole_entry_is_cut_off_with_all_behind_it(tmp_path, tail):
    path = tmp_path / "a.jsonl"
    whole = b'{"a": 0}\n{"a": 1}\n'
    path.write_bytes(whole + tail + b'{"a": 3}\n')
    lines, seen = reopen(path)
    assert seen == [0, 1] and path.read_bytes() == whole
    lines.append({"a": 4})
    lines.close()
    assert read(path) == [0, 1, 4]
