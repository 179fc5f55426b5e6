"""Lines that survive any stop."""

import contextlib
import json

import pytest

from jaxart.paintings.download.record import FAILED, Record


def entry(number):
    return dict.fromkeys(FAILED, "x") | {"id": str(number)}


def line(number):
    return json.dumps(entry(number)).encode() + b"\n"


def reopen(path):
    return contextlib.closing(Record(path))


def test_lines_are_there_at_once_and_seen_when_opened_again(tmp_path):
    path = tmp_path / "a.jsonl"
    with reopen(path) as record:
        assert record.entries == {}
        for number in range(3):
            record.append(entry(number))
            assert path.read_bytes() == b"".join(map(line, range(number + 1)))
    with reopen(path) as record:
        assert list(record.entries.values()) == [entry(0), entry(1), entry(2)]


@pytest.mark.parametrize(
    "tail",
    [
        *(line(2)[:-3], line(2)[:-1], b'{"b": 2}\n', b"{}\n", b"[1]\n", b"7\n"),
        *(b"\xff\n", b"nonsense\n"),
        *(json.dumps(entry(2) | {k: []}).encode() + b"\n" for k in ("id", "url")),
    ],
)
def test_what_is_no_whole_entry_is_cut_off_with_all_behind_it(tmp_path, tail):
    path = tmp_path / "a.jsonl"
    whole = line(0) + line(1)
    path.write_bytes(whole + tail + line(3))
    with reopen(path) as record:
        assert list(record.entries.values()) == [entry(0), entry(1)]
        assert path.read_bytes() == whole
        record.append(entry(4))
    assert path.read_bytes() == whole + line(4)
