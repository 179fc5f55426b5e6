"""The record of a run: what survives a stop, and what it says of an image."""

import json
import math

import numpy as np
import pytest

from jaxart.saliency.manifest import Manifest, describe, read_entries

ENTRIES = [
    {"path": "a.jpg", "value": 1.5},
    {"path": "b c/é\u2028\n.jpg", "value": [1, {"x": None}]},
    {"path": "latin-\udce9.jpg", "value": 0.1},
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out" / "manifest.jsonl"


def fill(path, entries=ENTRIES):
    manifest = Manifest(path)
    for entry in entries:
        manifest.append(entry)
    manifest.close()
    return path


def test_what_is_appended_is_there_at_once_and_later(path):
    manifest = Manifest(path)
    assert manifest.done == set() and list(read_entries(manifest.path)) == []
    for count, entry in enumerate(ENTRIES, start=1):
        manifest.append(entry)
        # Another process sees it: nothing waits in a buffer.
        assert len(path.read_bytes().splitlines()) == count
        assert list(read_entries(manifest.path)) == ENTRIES[:count]
        assert entry["path"] in manifest.done
    manifest.close()
    again = Manifest(path)
    assert again.done == {entry["path"] for entry in ENTRIES}
    again.append({"path": "z"})
    assert list(read_entries(again.path)) == [*ENTRIES, {"path": "z"}]
    again.close()


def test_a_line_is_ascii_json_for_any_reader(path):
    lines = fill(path).read_text(encoding="ascii").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == ENTRIES
    assert lines[-1] == ""


def test_a_line_with_nan_is_refused_and_writes_nothing(path):
    manifest = Manifest(path)
    with pytest.raises(ValueError, match="JSON"):
        manifest.append({"path": "a", "value": math.nan})
    manifest.append(ENTRIES[0])
    manifest.close()
    assert list(read_entries(manifest.path)) == ENTRIES[:1]
    assert manifest.done == {"a.jpg"}


def test_a_last_line_torn_at_any_byte_is_cut_off(path):
    whole = fill(path).read_bytes()
    head = whole[: whole.rindex(b"\n", 0, -1) + 1]
    assert len(head) < len(whole) - 30
    for end in range(len(head), len(whole)):
        path.write_bytes(whole[:end])
        manifest = Manifest(path)
        assert manifest.done == {entry["path"] for entry in ENTRIES[:2]}
        assert path.read_bytes() == head
        manifest.append(ENTRIES[2])
        manifest.close()
        assert path.read_bytes() == whole


def test_a_first_line_torn_at_any_byte_leaves_an_empty_file(path):
    whole = fill(path, ENTRIES[:1]).read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        manifest = Manifest(path)
        assert manifest.done == set()
        manifest.append(ENTRIES[0])
        manifest.close()
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "garbage",
    [
        *(b"\0" * 4096, b"\0" * 99 + b"\n", b"\xff\xfe\x80\n", b"{\n", b"\n"),
        *(b'{"path": "x"', b"7\n", b"null\n", b"[]\n", b"{}\n"),
    ],
    ids=lambda text: repr(text[:6]),
)
def test_garbage_at_the_end_is_cut_off(path, garbage):
    whole = fill(path).read_bytes()
    path.write_bytes(whole + garbage)
    manifest = Manifest(path)
    assert list(read_entries(manifest.path)) == ENTRIES
    assert manifest.done == {entry["path"] for entry in ENTRIES}
    manifest.append({"path": "z"})
    manifest.close()
    assert path.read_bytes() == whole + b'{"path": "z"}\n'


# --- What a network says of an image --------------------------------------------------

NAMES = ("ant", "bee", "cat")


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
    }
    json.dumps(found)


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
