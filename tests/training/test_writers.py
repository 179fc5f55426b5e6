"""Both writers, read back with TensorBoard's own reader."""

import contextlib
import importlib.util
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxart import storage
from jaxart.report import curves
from jaxart.training import summaries, writers
from tests import events

# Two buckets: [-1, 0) holds 3 values, [0, 1] holds 5.
ROWS = np.array([[-1.0, 0.0, 3.0], [0.0, 1.0, 5.0]])
LOGS = {
    "loss": 1.5,
    "accuracy": 0.25,
    "gradient_norm": 3.0,
    "histograms": {
        "value": {"fc8": {"kernel": ROWS, "bias": ROWS}},
        "gradient": {"fc8": {"kernel": 2 * ROWS, "bias": ROWS}},
    },
}


@pytest.mark.parametrize("kind", ["tensorboardx", "tensorflow"])
def test_what_is_written_is_read_back(tmp_path, kind):
    writer = writers.create_writer(kind, tmp_path)
    summaries.write_config(writer, 0, {"model": "vgg16", "hidden": ()})
    summaries.write_training(writer, 7, LOGS, 0.01)
    confusion = np.array([[3, 1], [0, 0]])
    metrics = {"loss": 0.5, "accuracy": 0.75, "confusion": confusion}
    summaries.write_validation(writer, 8, metrics, ("baroque", "cubism"))
    writer.flush()
    writer.close()
    found = events.read(tmp_path)
    assert found["train/loss"] == {7: 1.5}
    assert found["train/accuracy"] == {7: 0.25}
    assert found["train/gradient_norm"] == {7: 3.0}
    assert found["train/learning_rate"] == {7: pytest.approx(0.01)}
    for tag in ("fc8/kernel", "fc8/bias", "fc8/bias/gradient"):
        assert found[tag] == {7: {0.0: 3.0, 1.0: 5.0}}
    assert found["fc8/kernel/gradient"] == {7: {0.0: 6.0, 2.0: 10.0}}
    assert found["val/loss"] == {8: 0.5}
    assert found["val/class_accuracy/baroque"] == {8: 0.75}
    assert "val/class_accuracy/cubism" not in found  # it has no examples
    assert found["val/confusion_matrix"][8].startswith(b"\x89PNG")
    (text,) = (v[0] for tag, v in found.items() if tag.startswith("hyperparameters"))
    assert b"| model | `'vgg16'` |\n| hidden | `()` |" in text


@pytest.mark.parametrize("kind", ["tensorboardx", "tensorflow"])
def test_the_rest_of_the_interface(tmp_path, kind):
    writer = writers.create_writer(kind, tmp_path)
    values = np.array([0.0, 0.1, 0.9, 1.0])
    writer.write_histograms(1, {"values": values}, num_buckets={"values": 2})
    writer.write_images(2, {"one": np.zeros((4, 5, 3), np.uint8)})
    writer.write_hparams({"learning_rate": 0.1, "hidden": (1, 2)})
    writer.write_videos(3, {"video": np.zeros((1, 2, 4, 4, 3))})
    writer.flush()
    writer.close()
    found = events.read(tmp_path)
    assert sum(found["values"][1].values()) == 4
    assert list(found["one"]) == [2]
    assert "_hparams_/session_start_info" in events.all_tags(tmp_path)
    assert "video" not in found


@pytest.mark.parametrize("kind", ["tensorboardx", "tensorflow"])
def test_a_session_takes_the_place_of_an_older_ones_later_steps(tmp_path, kind):
    for session, steps in enumerate([range(1, 8), range(5, 10), range(3, 5)]):
        time.sleep(1.1)  # event files are named by the second
        writer = writers.create_writer(kind, tmp_path, first_step=steps.start)
        for step in steps:
            logs = LOGS | {"loss": 10 * session + step}
            summaries.write_training(writer, step, logs, 0.01)
        metrics = {"loss": session, "accuracy": 0.5, "confusion": np.eye(2, dtype=int)}
        summaries.write_validation(writer, steps[-1], metrics, ("baroque", "cubism"))
        writer.flush()
        writer.close()
    read = events.read(tmp_path)
    assert read["train/loss"] == {1: 1.0, 2: 2.0, 3: 23.0, 4: 24.0}
    assert list(read["fc8/kernel/gradient"]) == [1, 2, 3, 4]
    assert read["val/loss"] == {4: 2.0}
    assert list(read["val/confusion_matrix"]) == [4]
    for tag, values in curves.read(tmp_path).items():
        assert dict(values) == read[tag]


def test_each_writer_is_the_one_of_its_name(tmp_path, monkeypatch):
    writer = writers.create_writer("tensorflow", tmp_path)
    assert type(writer).__module__.startswith("clu.metric_writers")
    writer.close()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    writer = writers.create_writer("tensorboardx", tmp_path)
    assert isinstance(writer, writers.TensorboardXWriter)
    writer.close()
    with pytest.raises(ModuleNotFoundError, match=r"jaxart\[tensorflow\]"):
        writers.check_installed("tensorflow")


def test_both_writers_have_clus_methods():
    from clu.metric_writers import interface  # noqa: PLC0415 (imports TensorFlow)

    wanted = interface.MetricWriter.__abstractmethods__
    assert wanted <= set(dir(writers.TensorboardXWriter))


def test_raw_summaries_of_other_plugins_are_refused(tmp_path):
    writer = writers.TensorboardXWriter(tmp_path)
    with pytest.raises(ValueError, match="x: a summary of plugin None, no histogram"):
        writer.write_summaries(0, {"x": ROWS})
    writer.close()


def test_pytorch_is_not_imported_and_can_be(tmp_path):
    (tmp_path / "torch.py").write_text("print('imported')")
    program = f"""
from pathlib import Path
from jaxart.training import writers
writers.create_writer("tensorboardx", Path({os.fspath(tmp_path / "run")!r})).close()
print("written")
import torch
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": os.fspath(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["written", "imported"]


@pytest.mark.parametrize("kind", ["tensorboardx", "tensorflow"])
def test_event_files_are_put_into_an_object_store_at_each_flush(tmp_path, bucket, kind):
    def read():
        for key in bucket.keys("run/"):
            assert key.startswith("run/events.out.tfevents.")
            (tmp_path / key.removeprefix("run/")).write_bytes(bucket.get(key))
        return events.read(tmp_path).get("loss", {})

    logdir = storage.path(f"{bucket.url}/run")
    with contextlib.closing(writers.create_writer(kind, logdir)) as writer:
        writer.write_scalars(1, {"loss": 0.5})
        for _ in range(500):  # tensorboardX's thread may lag behind
            writer.flush()
            if read():
                break
        assert read() == {1: 0.5}
        writer.write_scalars(2, {"loss": 0.25})
    assert read() == {1: 0.5, 2: 0.25}


@pytest.mark.parametrize("kind", ["tensorboardx", "tensorflow"])
def test_sessions_of_one_second_stay_apart_and_in_order(tmp_path, kind):
    for value in (1.0, 2.0, 3.0):
        writer = writers.create_writer(kind, tmp_path, first_step=int(value))
        for step in range(int(value), 4):
            writer.write_scalars(step, {"loss": value})
        writer.close()
    assert events.read(tmp_path)["loss"] == {1: 1.0, 2: 2.0, 3: 3.0}
