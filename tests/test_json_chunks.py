import json

import pytest

from jaxart import json_chunks, storage


@pytest.fixture
def folder(bucket):
    return storage.path(f"{bucket.url}/lines")


def read(folder):
    keys = sorted(folder.keys_below())
    return list(json_chunks.read([folder / key for key in keys]))


def test_lines_are_put_after_seconds_and_in_the_end(folder, monkeypatch):
    lines = json_chunks.Appender(folder)
    lines.append({"n": 1})
    assert read(folder) == []
    monkeypatch.setattr(json_chunks, "_SECONDS", 0.0)
    lines.append({"n": 2})
    assert read(folder) == [{"n": 1}, {"n": 2}]
    monkeypatch.undo()
    lines.append({"n": 3})
    lines.close()
    lines.close()
    assert read(folder) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert len(folder.keys_below()) == 2


def test_two_processes_in_one_folder_lose_nothing(folder):
    for n in range(2):
        lines = json_chunks.Appender(folder)
        lines.append({"n": n})
        lines.close()
    assert sorted(map(json.dumps, read(folder))) == ['{"n": 0}', '{"n": 1}']


def test_objects_that_are_gone_are_left_out(folder):
    assert list(json_chunks.read([folder / "none.jsonl"])) == []
