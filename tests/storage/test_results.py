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
