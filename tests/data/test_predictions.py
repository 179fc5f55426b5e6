"""The table of predictions, and the Wilson interval."""

import csv

import numpy as np
import pytest

from jaxart.data import lists, predictions


@pytest.mark.parametrize(
    ("correct", "total", "expected"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion",
        # table I, method 3 (score): 81/263, 15/148, 0/20, 1/29.
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0000, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
        (29, 29, (0.8830, 1.0000)),
    ],
)
def test_wilson_interval(correct, total, expected):
    low, high = predictions.wilson_interval(correct, total)
    assert (low, high) == pytest.approx(expected, abs=5.1e-5)


def test_predictions_survive_a_csv_reader(tmp_path):
    path = tmp_path / "predictions.csv"
    names = ('a "quoted", name.jpg', "é.jpg")
    probabilities = np.array([[0.25, 0.75], [1.0, 1e-12]], np.float32)
    predictions.write_predictions(
        path, names, np.array([0, 0]), probabilities, ("op art", "x,y")
    )
    with open(path, newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert first == {
        "path": names[0],
        "label": "op art",
        "predicted": "x,y",
        "op art": "0.25",
        "x,y": "0.75",
    }
    assert second["path"] == names[1] and second["predicted"] == "op art"
    assert float(second["x,y"]) == pytest.approx(1e-12)


def test_classes_called_like_columns_have_columns_of_their_own(tmp_path):
    path = tmp_path / "predictions.csv"
    names = ("label", "Path", "predicted", "style", "probability of label", "pop")
    probabilities = np.eye(6, dtype=np.float32)
    predictions.write_predictions(path, "abcdef", np.arange(6), probabilities, names)
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert len({*map(str.lower, header)}) == 9
    assert tuple(predictions.class_of(column) for column in header[3:]) == names
    assert header[:3] == ["path", "label", "predicted"] and header[-1] == "pop"
    for i, row in enumerate(rows):
        assert row[:3] == ["abcdef"[i], names[i], names[i]] and row[3 + i] == "1"
    assert [row[:2] for row in lists.read(path)[1]] == [
        *zip("abcdef", names, strict=True)
    ]
