"""Predictions of whole lists: the tables, the metrics, the features, the command."""

import csv
import functools
import json
import logging
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxart import storage
from jaxart.classifier import Classifier
from jaxart.data import examples, listing, pipeline
from jaxart.data.predictions import write_predictions
from jaxart.devices import layout
from jaxart.passes import driver, outputs
from jaxart.passes.folder import OtherPassError
from jaxart.predict import evaluation, run, tables
from jaxart.predict.tables import Predictions
from jaxart.storage import RemotePath, StorageError
from jaxart.training import steps
from tests import ROOT, runs

CLASSES = ("red fox", "owl", "Teddy", "sphynx")
NUM_IMAGES = 11  # of which b/5.png is none
BROKEN = "b/5.png"


@pytest.fixture(scope="module", autouse=True)
def compile_once():
    """Keeps the compiled steps: the same small networks run again and again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "make_step", functools.cache(run.make_step))
        yield


def tiny_network(class_names):
    model = runs.TinyNet(num_classes=len(class_names), hidden=(6,))
    return Classifier(model, runs.random_params(model), class_names, "antialias")


@pytest.fixture(scope="module")
def tiny():
    return tiny_network(CLASSES)


@pytest.fixture(scope="module")
def wide():
    """More classes than a CSV file has columns for."""
    return tiny_network(tuple(f"class {i}" for i in range(40)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eleven pictures in two folders; one is broken, in the middle of a batch."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for i in range(NUM_IMAGES):
        path = root / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        blocks = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
        blocks.resize((20 + i, 12 + i), Image.Resampling.NEAREST).save(path)
    (root / BROKEN).write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def listed(folder):
    """The pictures as a list: labels are names and indices, and one has none."""
    labels = ("owl", "1", "0", "sphynx", "", "owl", "Teddy", "0", "3", "2", "owl")
    lines = [f"{'ab'[i % 2]}/{i}.png {label}" for i, label in enumerate(labels)]
    path = folder / "list.txt"
    path.write_text("\n".join(lines))
    return path


def direct(network, folder, names, **layers):
    """The network's own answer, computed at once."""
    paths = [folder / name for name in names]
    files = pipeline.ImageFiles(paths, "antialias", network.model.preprocessing)
    images = jax.device_put(files[np.arange(len(paths))])
    apply = jax.jit(functools.partial(network.model.apply, **layers))
    return np.asarray(apply({"params": network.params}, images))


def predict_all(network, source, out, **settings):
    settings = {"batch_size": 4, "resize": "antialias"} | settings
    with driver.alone(outputs.sibling(out, "parts")):
        return run.predict_images(network, listing.read(source), out, **settings)


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_csv_holds_every_class_where_they_are_few(tiny, folder, listed, tmp_path):
    out = tmp_path / "new" / "table.csv"
    assert predict_all(tiny, listed, out)[:2] == (NUM_IMAGES - 1, 1)
    rows = read_csv(out)
    assert list(rows[0]) == ["path", "label", "predicted", *CLASSES]
    names = [row["path"] for row in rows]
    assert names == [n for n in listing.read(listed).names if n != BROKEN]
    probabilities = np.array([[float(row[name]) for name in CLASSES] for row in rows])
    expected = softmax(direct(tiny, folder, names))
    np.testing.assert_allclose(probabilities, expected, rtol=2e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert [row["predicted"] for row in rows] == [
        CLASSES[i] for i in expected.argmax(axis=1)
    ]
    assert [row["label"] for row in rows] == [
        *("owl", "owl", "red fox", "sphynx", ""),
        *("Teddy", "red fox", "sphynx", "Teddy", "owl"),
    ]


@pytest.mark.parametrize("top_k", [None, 3, 100])
def test_csv_holds_the_best_where_classes_are_many(wide, folder, tmp_path, top_k):
    predict_all(wide, folder, tmp_path / "table.csv", top_k=top_k)
    rows = read_csv(tmp_path / "table.csv")
    k = {None: 5, 3: 3, 100: 40}[top_k]
    assert len(rows[0]) == 2 + 2 * k
    assert "label" not in rows[0]  # the folders a and b are no classes
    expected = softmax(direct(wide, folder, [row["path"] for row in rows]))
    for row, probabilities in zip(rows, expected, strict=True):
        best = np.argsort(-probabilities)[:k]
        assert row["predicted"] == row["top_1"]
        for rank, index in enumerate(best, start=1):
            assert row[f"top_{rank}"] == f"class {index}"
            assert float(row[f"probability_{rank}"]) == pytest.approx(
                probabilities[index], rel=2e-5
            )
    assert not (tmp_path / "table.metrics.json").exists()


def test_csv_is_ranked_where_top_k_is_given(tiny, folder, tmp_path):
    predict_all(tiny, folder, tmp_path / "table.csv", top_k=2)
    assert list(read_csv(tmp_path / "table.csv")[0]) == [
        *("path", "predicted", "top_1", "probability_1", "top_2", "probability_2")
    ]


def test_jsonl_holds_indices_names_logits_and_probabilities(wide, folder, tmp_path):
    (tmp_path / "list.csv").write_text(
        f"path,label\n{folder / 'a/0.png'},class 7\n{folder / 'b/1.png'},\n"
    )
    predict_all(wide, tmp_path / "list.csv", tmp_path / "table.jsonl", top_k=7)
    lines = (tmp_path / "table.jsonl").read_text().splitlines()
    first, second = map(json.loads, lines)
    assert first["label"] == "class 7"
    assert list(second) == ["path", "top"]
    logits = direct(wide, folder, [first["path"], second["path"]])
    for line, row, chances in zip(
        (first, second), logits, softmax(logits), strict=True
    ):
        best = np.argsort(-row)[:7].tolist()
        assert [top["index"] for top in line["top"]] == best
        assert [top["name"] for top in line["top"]] == [f"class {i}" for i in best]
        found = np.array([[top["logit"], top["probability"]] for top in line["top"]])
        expected = np.stack([row[best], chances[best]], axis=1)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_parquet_holds_lists(tiny, folder, listed, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    predict_all(tiny, listed, tmp_path / "table.parquet", top_k=2)
    table = parquet.read_table(tmp_path / "table.parquet")
    assert table.column_names == [
        *("path", "label", "top_index", "top_name", "top_logit", "top_probability")
    ]
    types = [
        str(field.type.value_type) for field in table.schema if field.name[3] == "_"
    ]
    assert types == ["int32", "string", "float", "float"]
    columns = table.to_pydict()
    assert columns["label"][:5] == ["owl", "owl", "red fox", "sphynx", None]
    logits = direct(tiny, folder, columns["path"])
    best = np.argsort(-logits, axis=1)[:, :2]
    np.testing.assert_array_equal(columns["top_index"], best)
    assert columns["top_name"] == [[CLASSES[i] for i in row] for row in best]
    for column, values in (
        ("top_logit", logits),
        ("top_probability", softmax(logits)),
    ):
        expected = np.take_along_axis(values, best, axis=1)
        np.testing.assert_allclose(columns[column], expected, rtol=1e-4, atol=1e-6)


def test_missing_pyarrow_is_named_before_anything_runs(
    tiny, folder, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(tables.FormatError, match="pip install .jaxart.parquet"):
        predict_all(tiny, folder, tmp_path / "table.parquet")
    assert not list(tmp_path.iterdir())


def test_batch_sizes_change_nothing(tiny, folder, listed, tmp_path):
    reports, tables = [], []
    for batch_size in (1, 3, 32):
        out = tmp_path / f"{batch_size}.csv"
        outcome = predict_all(tiny, listed, out, batch_size=batch_size)
        reports.append(outcome.metrics)
        tables.append(read_csv(out))
    for report, table in zip(reports, tables, strict=True):
        assert report["confusion"] == reports[0]["confusion"]
        assert report["log_loss"] == pytest.approx(reports[0]["log_loss"], rel=1e-5)
        for row, first in zip(table, tables[0], strict=True):
            assert row["path"] == first["path"]
            for name in CLASSES:
                assert float(row[name]) == pytest.approx(float(first[name]), rel=2e-5)


def test_the_network_is_traced_once(tiny, listed, tmp_path):
    run.make_step.cache_clear()
    predict_all(tiny, listed, tmp_path / "table.csv")
    assert run.make_step(tiny.model, 4, None, 1.0)._cache_size() == 1


@pytest.mark.parametrize("layer", ["conv1", "pool5", "relu6", "fc8"])
def test_features_are_the_layers_activations(tiny, folder, listed, tmp_path, layer):
    outcome = predict_all(tiny, listed, tmp_path / "table.csv", features=layer)
    rows = read_csv(tmp_path / f"table.{layer}.csv")
    assert [int(row["row"]) for row in rows] == list(range(NUM_IMAGES - 1))
    names = [row["path"] for row in rows]
    assert names == [n for n in listing.read(listed).names if n != BROKEN]
    found = np.load(tmp_path / f"table.{layer}.npy", mmap_mode="r")
    assert found.dtype == np.float32
    expected = direct(tiny, folder, names, upto=layer)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    # The table beside it is the same as without them.
    predict_all(tiny, listed, tmp_path / "plain.csv")
    for row, plain in zip(
        read_csv(tmp_path / "table.csv"), read_csv(tmp_path / "plain.csv"), strict=True
    ):
        for name in CLASSES:
            assert float(row[name]) == pytest.approx(float(plain[name]), rel=2e-5)
    assert outcome.num_skipped == 1


def test_a_runs_own_validation_is_reproduced(folder, tmp_path):
    network = tiny_network(("a", "b"))._replace(resize="tf1_bilinear")
    names = [name for name in listing.read(folder).names if name != BROKEN]
    path = folder / "val.txt"  # labels are indices, as in the run's lists
    path.write_text("\n".join(f"{name} {'ab'.index(name[0])}" for name in names))
    # What training does after its last epoch.
    val = examples.read(path, num_classes=2, class_names=network.class_names)
    files = pipeline.ImageFiles(val.paths, network.resize, network.model.preprocessing)
    batches = pipeline.batches(files, val.labels, np.arange(len(names)), batch_size=4)
    eval_step = steps.make_eval_step(
        lambda params, x: network.model.apply({"params": params}, x),
        layout.over_all_devices(),
    )
    metrics, logits = steps.evaluate(eval_step, network.params, batches)
    write_predictions(
        tmp_path / "run.csv", val.names, val.labels, softmax(logits), val.class_names
    )

    for source in (path, folder):  # class folders say the same
        found = predict_all(
            network, source, tmp_path / "table.csv", resize=network.resize
        ).metrics
        assert found["accuracy"] == pytest.approx(metrics["accuracy"], abs=1e-7)
        assert found["log_loss"] == pytest.approx(metrics["loss"], rel=1e-5)
        assert found["confusion"] == metrics["confusion"].tolist()
        table, of_run = (
            sorted(read_csv(tmp_path / name), key=lambda row: row["path"])
            for name in ("table.csv", "run.csv")
        )
        for row, other in zip(table, of_run, strict=True):
            assert list(row) == list(other)
            assert [row[key] for key in ("path", "label", "predicted")] == [
                other[key] for key in ("path", "label", "predicted")
            ]
            for name in ("a", "b"):
                assert float(row[name]) == pytest.approx(float(other[name]), rel=2e-5)


def made_up():
    """Six images of three classes out of seven; the last has no label."""
    indices = np.array(
        [
            [0, 1, 2, 3, 4],  # right
            [0, 1, 2, 3, 4],  # label 1: near
            [1, 0, 2, 3, 4],  # right
            [1, 0, 2, 3, 4],  # label 5: not among the best five
            [0, 2, 1, 3, 4],  # right
            [6, 5, 4, 3, 2],
        ],
        np.int32,
    )
    top = np.array([0.9, 0.6, 0.61, 0.3, 0.62, 0.5], np.float32)
    probabilities = np.tile(top[:, None] / 100, 5)
    probabilities[:, 0] = top
    labels = np.array([0, 1, 1, 5, 0, tables.UNKNOWN], np.int32)
    losses = np.array([0.5, 1.5, 1.0, 4.0, 0.25, np.nan], np.float32)
    names = [f"{i}.png" for i in range(6)]
    return Predictions(
        *(names, labels, tuple("ABCDEFG")),
        *(indices, np.zeros((6, 5), np.float32), probabilities, losses),
    )


def test_metrics_are_as_computed_by_hand():
    report = evaluation.evaluate(made_up())
    assert report["count"] == 5
    assert report["accuracy"] == 3 / 5
    # Wilson: (p + z^2 / 2n -+ z sqrt(p q / n + z^2 / 4 n^2)) / (1 + z^2 / n)
    z, n, p = 1.959963984540054, 5, 0.6
    reach = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    for found, sign in zip(report["accuracy_ci95"], (-1, 1), strict=True):
        expected = (p + z * z / (2 * n) + sign * reach) / (1 + z * z / n)
        assert found == pytest.approx(expected, rel=1e-12)
    assert report["top_5_accuracy"] == 4 / 5
    assert report["log_loss"] == pytest.approx(7.25 / 5)
    assert report["classes"] == ["A", "B", "F"]
    assert report["confusion"] == [[2, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert report["per_class"]["A"] == pytest.approx(
        {"precision": 2 / 3, "recall": 1, "f1": 0.8, "support": 2}
    )
    assert report["per_class"]["B"] == pytest.approx(
        {"precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2, "support": 2}
    )
    assert report["per_class"]["F"] == pytest.approx(
        {"precision": 0, "recall": 0, "f1": 0, "support": 1}
    )
    # Bins of 1/15: 0.6 is the upper end of bin 8; 0.61 and 0.62 lie in bin 9.
    calibration = report["calibration"]
    filled = {i: b for i, b in enumerate(calibration["bins"]) if b["count"]}
    assert len(calibration["bins"]) == 15
    assert {i: b["count"] for i, b in filled.items()} == {4: 1, 9: 3, 13: 1}
    assert filled[9]["confidence"] == pytest.approx((0.6 + 0.61 + 0.62) / 3)
    assert filled[9]["accuracy"] == pytest.approx(2 / 3)
    expected = (0.3 + abs(1.83 - 2) + 0.1) / 5
    assert calibration["expected_calibration_error"] == pytest.approx(expected)
    json.dumps(report, allow_nan=False)
    table = evaluation.table(report).splitlines()
    assert table[0].startswith("accuracy 0.6000 (95 % interval 0.2307 to 0.8824)")
    assert table[1] == "top-5 accuracy 0.8000"
    assert table[-3].split() == ["A", "0.667", "1.000", "0.800", "2"]


def test_calibration_at_the_edges_and_in_the_corner_cases():
    perfect = evaluation.calibrate(np.ones(4), np.ones(4, bool))
    assert perfect["expected_calibration_error"] == 0
    assert perfect["bins"][14]["count"] == 4
    assert perfect["bins"][0]["accuracy"] is None
    # A bin's upper end belongs to it, its lower end to the one below.
    at_edge = evaluation.calibrate(np.array([1 / 15]), np.array([False]))
    assert at_edge["bins"][0]["count"] == 1
    assert at_edge["expected_calibration_error"] == pytest.approx(1 / 15)


def test_without_labels_there_are_no_metrics():
    found = made_up()
    found = found._replace(labels=np.full_like(found.labels, tables.UNKNOWN))
    assert evaluation.evaluate(found) is None


def test_labels_that_are_no_classes_are_said_to_be(tiny, caplog):
    found = listing.Listing(Path(), tuple("abcde"), ("owl", "mouse", "2", "mouse", ""))
    with caplog.at_level(logging.WARNING):
        labels = evaluation.find_labels(found, tiny)
    assert labels.tolist() == [1, -1, 2, -1, -1]
    assert "no classes, and left out: those of 2 images" in caplog.text
    assert "no class is called 'mouse'" in caplog.text


def test_older_metrics_do_not_stay_beside_a_table_without(
    tiny, folder, listed, tmp_path
):
    predict_all(tiny, listed, tmp_path / "table.csv")
    assert (tmp_path / "table.metrics.json").is_file()
    predict_all(tiny, folder, tmp_path / "table.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("table.csv", "table.skipped.csv")
    ]


def test_a_picture_of_which_something_is_left_is_noted(tiny, tmp_path):
    picture = Image.fromarray(np.full((8, 8, 3), 9, np.uint8))
    (tmp_path / "in").mkdir()
    picture.save(tmp_path / "in/sound.png")
    picture.save(tmp_path / "in/odd.png", icc_profile=b"no profile")
    (tmp_path / "out").mkdir()
    out = tmp_path / "out/table.csv"
    predict_all(tiny, tmp_path / "in", out)
    (noted,) = read_csv(tmp_path / "out/table.notes.csv")
    assert noted["path"] == "odd.png"
    assert noted["note"].startswith("its colour profile is not used")
    odd, sound = read_csv(out)
    assert {**odd, "path": ""} == {**sound, "path": ""}
    (tmp_path / "in/odd.png").unlink()
    predict_all(tiny, tmp_path / "in", out)
    assert not (tmp_path / "out/table.notes.csv").exists()


def test_a_failed_run_leaves_what_was_there(tiny, listed, tmp_path, monkeypatch):
    (tmp_path / "table.csv").write_text("earlier")

    def fail(*arguments):
        raise OSError("the disk is gone")

    monkeypatch.setattr(run.folder.Folder, "join_rows", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        predict_all(tiny, listed, tmp_path / "table.csv", features="pool5")
    assert (tmp_path / "table.csv").read_text() == "earlier"
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv", "table.parts"}
    monkeypatch.undo()
    predict_all(tiny, listed, tmp_path / "table.csv", features="pool5")
    assert not list(tmp_path.glob("*.parts")) and len(list(tmp_path.iterdir())) == 5


# Stopped.


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Stopped(BaseException):
    """Ends a run at once, as a kill would."""


@pytest.fixture
def batches(monkeypatch):
    """Counts batches, and ends runs at the one that `stop_at` says."""

    class Batches:
        count, stop_at = 0, None

    def finish(self, *args):
        Batches.count += 1
        if Batches.count == Batches.stop_at:
            raise Stopped
        return real(self, *args)

    real = run.Predicting.finish
    monkeypatch.setattr(run.Predicting, "finish", finish)
    return Batches


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_stopped_run_goes_on_and_leaves_what_another_does(
    tiny, listed, tmp_path, batches, suffix
):
    settings = {"features": "pool5", "top_k": None if suffix == "csv" else 2}
    one, out = tmp_path / "one", tmp_path / "two" / f"table.{suffix}"
    alone = predict_all(tiny, listed, one / f"table.{suffix}", part_size=99, **settings)
    assert len(contents(one)) == 5
    batches.count, batches.stop_at = 0, 2
    with pytest.raises(Stopped):
        predict_all(tiny, listed, out, **settings)
    assert [path.name for path in out.parent.iterdir()] == ["table.parts"]
    batches.count = 0
    with pytest.raises(Stopped):
        predict_all(tiny, listed, out, **settings)
    batches.count, batches.stop_at = 0, None
    assert predict_all(tiny, listed, out, **settings) == alone
    assert batches.count == 1  # of three
    assert contents(out.parent) == contents(one)


def test_a_picture_that_was_replaced_meanwhile_is_predicted_anew(
    tiny, folder, listed, tmp_path, batches
):
    root = shutil.copytree(folder, tmp_path / "in")
    listed = root / "list.txt"
    batches.stop_at = 3
    with pytest.raises(Stopped):
        predict_all(tiny, listed, tmp_path / "out/table.csv", part_size=4)
    batches.count, batches.stop_at = 0, None
    (root / "b/1.png").write_bytes((root / "a/2.png").read_bytes())
    predict_all(tiny, listed, tmp_path / "out/table.csv", part_size=4)
    assert batches.count == 2  # the first of three parts, and the last
    predict_all(tiny, listed, tmp_path / "fresh/table.csv")
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_a_picture_that_went_is_predicted_when_it_is_back(
    tiny, folder, listed, tmp_path, batches, monkeypatch
):
    root = shutil.copytree(folder, tmp_path / "in")
    settings = {"part_size": 4, "features": "pool5"}

    def lose(self, *args):
        (root / "a/0.png").unlink(missing_ok=True)
        return real(self, *args)

    real = run.Predicting.load
    batches.stop_at = 3
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(run.Predicting, "load", lose)
        predict_all(tiny, root / "list.txt", tmp_path / "out/table.csv", **settings)
    batches.stop_at = None
    shutil.copy(folder / "a/0.png", root / "a/0.png")
    for out in ("out", "fresh"):
        predict_all(tiny, root / "list.txt", tmp_path / out / "table.csv", **settings)
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


@pytest.mark.parametrize("suffix", [".json", ".npy"])
@pytest.mark.parametrize("damage", ["zeroed", "cut"])
def test_a_damaged_part_is_predicted_anew(
    tiny, listed, tmp_path, batches, caplog, suffix, damage
):
    settings = {"part_size": 4, "features": "pool5"}
    batches.stop_at = 3
    with pytest.raises(Stopped):
        predict_all(tiny, listed, tmp_path / "out/table.csv", **settings)
    batches.stop_at = None
    path = next((tmp_path / "out/table.parts").glob(f"000000-*{suffix}"))
    content = path.read_bytes()
    path.write_bytes({"zeroed": bytes(len(content)), "cut": content[:-9]}[damage])
    caplog.clear()
    predict_all(tiny, listed, tmp_path / "out/table.csv", **settings)
    assert caplog.text.count(f"{path}: damaged: ") == 1
    predict_all(tiny, listed, tmp_path / "fresh/table.csv", **settings)
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_parts_of_another_run_are_refused(
    tiny, wide, folder, listed, tmp_path, batches
):
    out = tmp_path / "table.csv"
    batches.stop_at = 2
    with pytest.raises(Stopped):
        predict_all(tiny, listed, out)
    relabelled = listed.with_name("relabelled.txt")
    relabelled.write_text(listed.read_text().replace("Teddy", "owl"))
    other = tiny._replace(params=runs.random_params(tiny.model, seed=1))
    for network, source, changed, said in (
        (tiny, listed, {"batch_size": 3}, "batch_size=4; this run has batch_size=3"),
        (tiny, listed, {"features": "conv1"}, "features=None; this run has features="),
        (tiny, listed, {"resize": "crop"}, "resize='antialias'; this run has resize="),
        (other, listed, {}, "network='"),
        (wide, listed, {}, "labels='"),
        (tiny, folder, {}, "images='"),
        (tiny, relabelled, {}, "labels='"),
    ):
        with pytest.raises(OtherPassError, match=f"table.parts was made with {said}"):
            predict_all(network, source, out, **changed)


# The command line.


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory, tiny):
    workdir = tmp_path_factory.mktemp("tiny") / "run"
    runs.write(workdir, tiny.model, tiny.params, CLASSES, tiny.resize)
    return workdir


@pytest.fixture
def command(run_command):
    return functools.partial(run_command, "predict")


@pytest.mark.parametrize("strict", [False, True])
def test_the_command_predicts_and_says_how_right_it_is(
    command, tiny_run, listed, tmp_path, strict
):
    out = tmp_path / "table.csv"
    status, stdout, stderr = command(
        *(f"--workdir={tiny_run}", f"--images={listed}", f"--out={out}"),
        *("--features=pool5", "--batch_size=4", *(["--strict"] if strict else [])),
    )
    assert status == int(strict), stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("table.csv", "table.metrics.json", "table.pool5.csv", "table.pool5.npy"),
        "table.skipped.csv",
    ]
    assert read_csv(tmp_path / "table.skipped.csv") == [
        {"path": BROKEN, "reason": "not an image that Pillow reads"}
    ]
    metrics = json.loads((tmp_path / "table.metrics.json").read_text())
    assert metrics["count"] == 9  # of 11: one is no image, one has no label
    rows = read_csv(out)
    num_right = sum(row["label"] == row["predicted"] for row in rows)
    assert metrics["accuracy"] == pytest.approx(num_right / 9)
    assert (
        f"10 images: {out}\n1 skipped: see {tmp_path / 'table.skipped.csv'}" in stdout
    )
    assert f"accuracy {num_right / 9:.4f} (95 % interval" in stdout
    assert "predicting" in stderr  # the progress bar


def test_the_command_stops_at_limit(command, tiny_run, folder, tmp_path):
    status, stdout, _ = command(
        *(f"--workdir={tiny_run}", f"--images={folder}", "--limit=2", "--strict"),
        f"--out={tmp_path / 'table.jsonl'}",
    )
    assert (status, stdout) == (0, f"2 images: {tmp_path / 'table.jsonl'}\n")


@pytest.mark.parametrize(
    ("there", "name", "said"),
    [
        (
            {"checkpoints/1/x": ""},
            "a.csv",
            "{} is a run of `jaxart train`, whose files",
        ),
        ({"config.json": '{"network": {}}'}, "a.csv", "{} is a run of `jaxart train`"),
        ({"manifest.jsonl": ""}, "manifest.jsonl", "belongs to the maps in its folder"),
        ({"manifest.jsonl": ""}, "skipped.csv", "belongs to the maps in its folder"),
        ({"parts/settings.json": "{}"}, "skipped.csv", "belongs to the maps in its"),
        ({"a.csv": "path,label\n"}, "a.csv", "is there, and no table of predictions"),
        ({"a.jsonl": '{"path": "x"}\n'}, "a.jsonl", "is there, and no table of"),
        ({"a.jsonl": "5\n"}, "a.jsonl", "is there, and no table of predictions"),
        ({"a.parquet": "PAR1"}, "a.parquet", "is there, and no table of predictions"),
        ({"a.parts/mine.txt": ""}, "a.csv", "a.parts is there, and no folder of this"),
    ],
)
def test_other_results_are_not_overwritten(
    command, tiny_run, listed, tmp_path, there, name, said
):
    for file, content in there.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(content)
    before = sorted(tmp_path.rglob("*"))
    status, _, stderr = command(
        f"--workdir={tiny_run}", f"--images={listed}", f"--out={tmp_path / name}"
    )
    assert (status, stderr.count("\n")) == (1, 1)
    assert said.format(tmp_path) in stderr
    assert sorted(tmp_path.rglob("*")) == before
    assert all((tmp_path / file).read_text() == there[file] for file in there)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_an_earlier_table_is_replaced(tiny, folder, tmp_path, suffix):
    out = tmp_path / f"table.{suffix}"
    out.touch()
    for _ in range(2):
        tables.check_replaceable(out)
        predict_all(tiny, folder / "a/0.png", out)
        assert out.stat().st_size


def test_the_command_stops_and_says_what_goes_on(
    command, tiny_run, listed, tmp_path, monkeypatch
):
    calls = []

    def stop(*arguments, **settings):
        calls.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "predict_images", stop)
    status, _, stderr = command(
        *(f"--workdir={tiny_run}", f"--images={listed}", f"--out={tmp_path}/a.csv"),
        *("--ray=auto", "--ray_cpus=2", "--part_size=7"),
    )
    assert status == 130
    assert stderr.endswith("jaxart: stopped; the same command goes on\n")
    assert (calls[0]["ray"], calls[0]["part_size"]) == (("auto", 2), 7)


def test_a_second_one_is_refused_before_jax_is_imported(tmp_path):
    out = tmp_path / "table.csv"
    with driver.alone(tmp_path / "table.parts"):
        code = (
            "import sys; from jaxart.__main__ import main; "
            f"print(main(['predict', '--images=x', '--out={out}'])); "
            "print({'jax', 'flax', 'orbax', 'grain'} & set(sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True
        )
    said = f"jaxart: {tmp_path / 'table.parts'}: process {os.getpid()} on "
    assert done.stderr.startswith(said), done.stderr
    assert done.stderr.endswith(" is at work here\n")
    assert done.stdout == "1\nset()\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out": None}, "--out is missing"),
        ({"images": None}, "--images is missing"),
        ({"out": "table.xlsx"}, "a file that ends in .csv, .jsonl, .parquet"),
        ({"features": "fc9"}, "no layer 'fc9'; the layers are conv1, relu1, pool1,"),
        ({"weights": "w"}, "one of --weights and --workdir says which network"),
        ({"workdir": None}, "one of --weights and --workdir says which network"),
        ({"images": "absent"}, "absent: no such folder, image or list file"),
        ({"workdir": "absent"}, "absent: no run of `jaxart train`"),
        ({"image_root": "absent"}, "none of the 11 images can be read; the first is"),
        ({"out": "list.txt.csv", "images": "list.txt.csv"}, "would overwrite"),
        ({"batch_size": 0}, "--batch_size: '0' is not a whole number from 1 on"),
        ({"resize": "zoom"}, "--resize: invalid choice: 'zoom' (choose from"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_mistakes_are_one_sentence(
    command, tiny_run, listed, tmp_path, monkeypatch, changes, message
):
    monkeypatch.chdir(tmp_path)
    if "list.txt.csv" in changes.values():
        (tmp_path / "list.txt.csv").write_text("path\na.png\n")
    before = sorted(tmp_path.iterdir())
    given = {"workdir": tiny_run, "images": listed, "out": "table.csv"} | changes
    status, stdout, stderr = command(
        *(f"--{name}={value}" for name, value in given.items() if value is not None)
    )
    assert status == 1
    assert message in stderr
    assert stdout == ""
    assert sorted(tmp_path.iterdir()) == before


def test_the_command_as_a_user_types_it(folder, tmp_path):
    model, params = runs.small_alexnet(num_classes=4)
    runs.write(tmp_path / "run", model, params, CLASSES, "antialias")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "jaxart.predict", f"--workdir={tmp_path / 'run'}"),
            *(f"--images={folder / 'a'}", f"--out={tmp_path / 'table.csv'}"),
            *("--limit=3", "--batch_size=2", "--features=pool5"),
        ],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"3 images: {tmp_path / 'table.csv'}\n"
    assert "orbax" not in done.stderr
    # fc8 lies straight on pool5: what is in the one file follows from the other.
    features = np.load(tmp_path / "table.pool5.npy").reshape(3, -1)
    head = {name: np.asarray(array) for name, array in params["fc8"].items()}
    expected = softmax(features @ head["kernel"] + head["bias"])
    rows = read_csv(tmp_path / "table.csv")
    probabilities = [[float(row[name]) for name in CLASSES] for row in rows]
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4)


@pytest.mark.slow
def test_a_killed_command_goes_on(folder, tmp_path):
    model, params = runs.small_alexnet(num_classes=4)
    runs.write(tmp_path / "run", model, params, CLASSES, "antialias")
    for i in range(45):
        shutil.copy(folder / "ab"[i % 2] / f"{i % 2}.png", tmp_path / f"{i}.png")
    (tmp_path / "list.txt").write_text("\n".join(f"{i}.png" for i in range(45)))

    def start(out):
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "jaxart.predict", "--features=pool5"),
                *(f"--workdir={tmp_path / 'run'}", f"--images={tmp_path}/list.txt"),
                *(f"--out={out}", "--batch_size=1"),
            ],
            cwd=ROOT,
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
            stderr=subprocess.PIPE,
            text=True,
        )

    one, out = tmp_path / "one/table.csv", tmp_path / "two/table.csv"
    start(one).communicate()
    killed = start(out)
    while len(list(out.parent.glob("table.parts/0*.json"))) < 3:
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    assert [path.name for path in out.parent.iterdir()] == ["table.parts"]
    again = start(out)
    said = again.communicate()[1]
    assert again.returncode == 0, said
    assert 3 <= int(re.search(r"(\d+) of 45 were done already", said)[1]) < 45
    assert contents(out.parent) == contents(one.parent)


# --- In an object store ---------------------------------------------------------------


@pytest.fixture
def there(folder, listed, bucket):
    bucket.put_folder(folder, "pictures")
    assert f"pictures/{listed.name}" in bucket.keys("pictures/")
    return bucket


def test_a_table_there_is_the_one_here(command, there, tiny_run, folder, tmp_path):
    for root, out in ((folder, tmp_path), (f"{there.url}/pictures", there.url)):
        status, stdout, stderr = command(
            f"--workdir={tiny_run}",
            f"--images={root}/list.txt",
            f"--out={out}/new/table.csv",
            "--features=pool5",
        )
        assert status == 0, stderr
        assert f"10 images: {out}/new/table.csv" in stdout
    wanted = {f"new/{p.name}": p.read_bytes() for p in (tmp_path / "new").iterdir()}
    assert {key: there.get(key) for key in there.keys("new/")} == wanted
    assert len(wanted) == 5


def test_where_the_table_is_all_is(tiny, there, monkeypatch):
    out = storage.path(f"{there.url}/table.csv")
    put = RemotePath.upload

    def fail(path, file):
        if path.name == "table.csv":
            raise StorageError("no answer")
        put(path, file)

    source = storage.path(f"{there.url}/pictures/list.txt")
    with monkeypatch.context() as patch, pytest.raises(StorageError):
        patch.setattr(RemotePath, "upload", fail)
        predict_all(tiny, source, out)
    assert there.keys("table.csv") == [] and there.keys("table.metrics.json")
    predict_all(tiny, source, out)
    assert there.keys("table.csv") == ["table.csv"]

    # An earlier table's metrics would be taken for this one's.
    predict_all(tiny, storage.path(f"{there.url}/pictures/a/0.png"), out)
    assert there.keys("table.") == ["table.csv", "table.skipped.csv"]


def test_what_is_read_there_is_not_overwritten(there):
    source = storage.path(f"{there.url}/pictures/list.csv")
    with pytest.raises(ValueError, match="would overwrite s3://"):
        outputs.check_table(source, source)
    with pytest.raises(ValueError, match="is a folder"):
        outputs.check_table(source.parent, source.with_name("x"))


def test_a_stopped_run_there_goes_on(tiny, listed, there, tmp_path, batches):
    alone = predict_all(tiny, listed, tmp_path / "table.csv", features="pool5")
    source = storage.path(f"{there.url}/pictures/list.txt")
    out = storage.path(f"{there.url}/table.csv")
    batches.count, batches.stop_at = 0, 3
    with pytest.raises(Stopped):
        predict_all(tiny, source, out, features="pool5")
    assert all(key.startswith("table.parts/") for key in there.keys("table"))
    batches.count, batches.stop_at = 0, None
    assert predict_all(tiny, source, out, features="pool5") == alone
    assert batches.count == 1
    wanted = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {key: there.get(key) for key in there.keys("table")} == wanted
    assert len(wanted) == 5


# --- Labels ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("class_names", "labels", "are_names", "wanted"),
    [
        (("1500", "1600"), ("1600", "1500", "1", ""), True, [1, 0, -1, -1]),
        (("1500", "1600"), ("1600", "1500.0", "1"), False, [1, 0, 1]),
        (("Caf\u00e9", "owl"), ("Cafe\u0301", "OWL"), True, [0, 1]),
        (("Cafe\u0301", "owl"), ("Caf\u00e9", " 1.0"), False, [0, 1]),
        (("red fox", "owl"), ("1", "0"), True, [-1, -1]),
    ],
)
def test_names_that_the_network_knows_are_labels(
    tiny, tmp_path, class_names, labels, are_names, wanted
):
    network = tiny._replace(class_names=class_names)
    names = tuple(f"{i}.png" for i in range(len(labels)))
    images = listing.Listing(tmp_path, names, labels, are_names)
    assert evaluation.find_labels(images, network).tolist() == wanted


@pytest.mark.parametrize(
    ("beside", "wanted"),
    [("0 owl\n1 red fox\n", [1, 0]), ("0 owl\n1 wolf\n", [0, 1]), ("", [0, 1])],
)
def test_indices_are_those_of_the_lists_own_classes(tiny, tmp_path, beside, wanted):
    (tmp_path / "list.txt").write_text("a.jpg 0\nb.jpg 1.0\n")
    if beside:
        (tmp_path / "classes.txt").write_text(beside)
    network = tiny._replace(class_names=("red fox", "owl"))
    images = listing.read(tmp_path / "list.txt")
    assert evaluation.find_labels(images, network).tolist() == wanted


def test_folders_called_by_numbers_are_labels_of_a_run_of_them(tiny, folder, tmp_path):
    for name in ("1500", "1600"):
        (tmp_path / "in" / name).mkdir(parents=True)
        shutil.copy(folder / "b/1.png", tmp_path / "in" / name / "x.png")
    network = tiny._replace(class_names=("1500", "1600", "label", "path"))
    predict_all(network, tmp_path / "in", tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == [
        *("path", "label", "predicted", "1500", "1600"),
        *("probability of label", "probability of path"),
    ]
    assert [row[1] for row in rows] == ["1500", "1600"]
    metrics = json.loads((tmp_path / "table.metrics.json").read_text())
    assert metrics["count"] == 2
