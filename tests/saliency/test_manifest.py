"""The record of a run: its lines, and what one says of an image."""

import json
import math

import numpy as np
import pytest

from jaxart.saliency.manifest import (
    describe_image,
    describe_map,
    read_records,
    write_records,
)
from jaxart.saliency.question import Question

ENTRIES = [
    {"path": "a.jpg", "value": 1.5},
    {"path": "b c/é\u2028\n.jpg", "value": [1, {"x": None}]},
    {"path": "latin-\udce9.jpg", "value": 0.1},
]


def test_lines_are_ascii_json_for_any_reader(tmp_path):
    path = tmp_path / "manifest.jsonl"
    write_records(path, ENTRIES)
    lines = path.read_text(encoding="ascii").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == ENTRIES
    assert lines[-1] == ""
    assert list(read_records(path)) == ENTRIES


def test_an_entry_with_nan_leaves_the_record_that_is_there(tmp_path):
    path = tmp_path / "manifest.jsonl"
    write_records(path, ENTRIES)
    with pytest.raises(ValueError, match="JSON"):
        write_records(path, [ENTRIES[0], {"path": "a", "value": math.nan}])
    assert list(read_records(path)) == ENTRIES
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.jsonl"]


# --- What a network says of an image --------------------------------------------------

NAMES = ("ant", "bee", "cat")
QUESTION = Question("grad_cam", {"layer": "relu5"}, "", "predicted")


def describe(names, logits, target, label, against=(), question=QUESTION):
    """An image and its map."""
    values = np.array([[-1, 2], [0, 0.5]], np.float32)
    of_map = describe_map(question, names, logits, [target, *against], values, 1.5)
    return describe_image(names, logits, label) | of_map


def test_three_classes_by_hand():
    # exp of ln 1, ln 6, ln 3, of a sum of 10; plus any constant.
    logits = np.log(np.array([1, 6, 3])).astype(np.float32) + np.float32(2)
    found = describe(NAMES, logits, 2, None)
    top = found.pop("top5")
    assert [(one["index"], one["name"]) for one in top] == [
        (1, "bee"),
        (2, "cat"),
        (0, "ant"),
    ]
    shares = [one["probability"] for one in top]
    assert shares == pytest.approx([0.6, 0.3, 0.1], rel=1e-6)
    assert found == {
        "predicted": 1,
        "predicted_name": "bee",
        "logit": pytest.approx(math.log(6) + 2, rel=1e-6),
        "probability": shares[0],
        "target": 2,
        "target_name": "cat",
        "target_logit": pytest.approx(math.log(3) + 2, rel=1e-6),
        "method": "grad_cam",
        "settings": {"layer": "relu5"},
        "score": "logit",
        "asked": "predicted",
        "map": {"min": -1, "max": 2, "sum": 1.5, "limit": 1.5},
    }
    json.dumps(found)


def test_what_a_target_is_against_is_said():
    question = Question("gradient", {}, "sum", "cat", against="best_other")
    found = describe(NAMES, np.arange(3, dtype=np.float32), 2, None, [1], question)
    said = [found[f"against{what}"] for what in ("", "_name", "_logit")]
    assert said == [1, "bee", 1.0] and found["asked"] == "cat"


def test_a_label_is_said_even_if_it_is_class_0():
    found = describe(NAMES, np.zeros(3, np.float32), 1, 0)
    assert (found["label"], found["label_name"]) == (0, "ant")
    # Of equal ones the first is predicted, as argmax has it.
    assert found["predicted"] == 0 and found["probability"] == pytest.approx(1 / 3)
    assert "label" not in describe(NAMES, np.zeros(3, np.float32), 1, None)


def test_the_top_five_of_many():
    rng = np.random.default_rng(0)
    logits = rng.permutation(100).astype(np.float32)
    found = describe([f"n{i}" for i in range(100)], logits, 0, None)
    indices = [one["index"] for one in found["top5"]]
    assert logits[indices].tolist() == [99, 98, 97, 96, 95]
    # 1 + 1/e + 1/e^2 + ... = e / (e - 1)
    for rank, one in enumerate(found["top5"]):
        assert one["name"] == f"n{one['index']}"
        assert one["probability"] == pytest.approx((1 - 1 / math.e) * math.e**-rank)


def test_logits_of_any_size_give_probabilities():
    found = describe(NAMES, np.array([3e38, -3e38, 0], np.float32), 1, None)
    assert [one["probability"] for one in found["top5"]] == [1, 0, 0]
    assert found["target_logit"] == pytest.approx(-3e38)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_an_error(bad):
    with pytest.raises(FloatingPointError, match="the network's logits are not finite"):
        describe(NAMES, np.array([0, bad, 1], np.float32), 0, None)
