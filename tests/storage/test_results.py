"""Outcome files."""

import json

import pytest

from jaxart.storage import results


def test_files_are_replaced_whole(tmp_path):
    path = tmp_path / "result.json"
    results.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        results.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe{", b"[1]", b"\0\0"])
def test_a_broken_json_file_is_named(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(results.DamagedError, match="config.json: damaged: no JSON"):
        results.read_json(path)
