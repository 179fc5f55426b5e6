"""Outcome files."""

import csv
import json
import math
from pathlib import Path

import pytest

from jaxart.data import lists
from jaxart.storage import results

FORMULAS = [
    "=cmd.jpg",
    "-x.jpg",
    "'=y.jpg",
    "''-z.jpg",
    "@z.png",
    "+1+1.jpg",
    "＝a.png",
]
TEXTS = ["'quoted'.jpg", "a=b.jpg", "'", "", 'é, "q".jpg', "'a.jpg"]


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


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"val_loss": math.nan}, "val_loss is nan"),
        ({"bins": [{"above": 1.0}, {"above": math.inf}]}, "bins.1.above is inf"),
        ({"a": (0, -math.inf)}, "a.1 is -inf"),
    ],
)
def test_a_figure_that_is_not_finite_is_named(tmp_path, value, where):
    path = tmp_path / "result.json"
    with pytest.raises(results.NotFiniteError, match=rf"result.json: {where}, which"):
        results.write_json(path, value)
    assert not path.exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"b": str}, "b is missing, no str"), ({"a": list}, "a is 1, no list")],
)
def test_fields_of_a_json_file_are_of_their_types(tmp_path, fields, said):
    (tmp_path / "config.json").write_text('{"a": 1}')
    with pytest.raises(results.DamagedError, match=f"config.json: damaged: {said}"):
        results.read_json(tmp_path / "config.json", **fields)


def test_no_text_is_a_spreadsheets_formula(tmp_path):
    path = tmp_path / "x.csv"
    rows = [[text, -0.5, "-0.5"] for text in FORMULAS + TEXTS]
    results.write_csv(path, ["path", "=SUM(A1)", "n"], rows)
    with open(path, newline="", encoding="utf-8") as file:
        header, *seen = csv.reader(file)
    texts = [header[1], *(row[0] for row in seen)]
    assert not [text for text in texts if text.startswith(tuple("=+-@＝"))]
    assert [row[0] for row in seen[len(FORMULAS) :]] == TEXTS
    assert {tuple(row[1:]) for row in seen} == {("-0.5", "-0.5")}
    assert results.read_csv(path) == [
        ["path", "=SUM(A1)", "n"],
        *([text, "-0.5", "-0.5"] for text in FORMULAS + TEXTS),
    ]


def test_names_of_a_table_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "predictions.csv"
    rows = [(name, f"={i}") for i, name in enumerate(FORMULAS)]
    results.write_csv(path, ("path", "label"), rows)
    read = [(row.name, row.label) for row in lists.read(Path(path))[1]]
    assert read == rows


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it has no header"),
        (b'path,"reason\na,b', "no CSV"),
        (b"path,reason\na\n", "row 2 has 1 cells, not 2"),
        (b"path,reason\na,b", "its end is missing"),
        (b"\xff\xfe\0,x\n", "no CSV|it has no column"),
        (b"path,why\n", "it has no column reason"),
    ],
)
def test_a_broken_table_is_named(tmp_path, content, said):
    path = tmp_path / "skipped.csv"
    path.write_bytes(content)
    with pytest.raises(results.DamagedError, match=f"skipped.csv: damaged: ({said})"):
        results.read_dicts(path, "path", "reason")
