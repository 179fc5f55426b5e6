"""The training loop: frozen layers, the cache, resuming, evaluation, and its files."""

import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxart import runs
from jaxart.data import examples
from jaxart.devices import preemption, stopping
from jaxart.passes import driver
from jaxart.storage import StorageError
from jaxart.training import log, loop, summaries
from jaxart.training.config import HELD
from jaxart.training.loop import train_and_evaluate
from jaxart.training.resuming import ResumeError
from tests import ROOT, events


def final_params(workdir):
    """The last checkpoint's parameters as they lie on disk."""
    manager = runs.Checkpoints(workdir)
    params = manager._manager.restore(manager.latest_step)["params"]
    manager.close()
    return params


def assert_trees_bit_equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for path, x in jax.tree.leaves_with_path(a):
        y = b
        for key in path:
            y = y[key.key]
        np.testing.assert_array_equal(x, y, err_msg=jax.tree_util.keystr(path))


@pytest.mark.parametrize("cache", [True, False])
def test_a_run_with_a_ragged_last_batch_compiles_each_step_once(
    config, tmp_path, monkeypatch, cache
):
    made = []

    def remember(make):
        def remembering(*args, **settings):
            made.append(make(*args, **settings))
            return made[-1]

        return remembering

    for name in ("make_train_step", "make_eval_step"):
        monkeypatch.setattr(loop, name, remember(getattr(loop, name)))
    config.cache = cache
    result = train_and_evaluate(config, tmp_path / "run")
    assert result["num_train"] % config.batch_size and result["steps"] == 8
    assert [step._cache_size() for step in made] == [1, 1]


@pytest.mark.parametrize(
    ("model", "hidden", "train_layers", "views"),
    [
        ("tinynet", (16, 16), ("fc8",), ("whole",)),
        ("tinynet", (16, 16), ("fc7", "fc8"), ("whole", "top_left", "whole_mirrored")),
        pytest.param("alexnet", (16, 16), ("fc8",), ("whole",), marks=pytest.mark.slow),
        pytest.param("vgg16", (), ("fc8",), ("whole",), marks=pytest.mark.slow),
    ],
)
def test_cached_run_equals_uncached_run(
    config, paintings, tmp_path, model, hidden, train_layers, views
):
    config.model = model
    config.hidden = hidden
    config.train_layers = train_layers
    config.views = views
    config.num_epochs = 3
    if model == "vgg16":  # 31 GFLOP an image: few; and random features are large
        few = tmp_path / "few"
        for path in paintings.glob("*/[0-2].png"):
            (few / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, few / path.parent.name)
        config.train_data = str(few)
        config.val_fraction = 1 / 3
        config.learning_rate = 1e-5
    curves, predictions = [], []
    for cache in (True, False):
        config.cache = cache
        result = train_and_evaluate(config, tmp_path / f"{cache}")
        curves.append(events.read(tmp_path / f"{cache}")["train/loss"])
        with open(tmp_path / f"{cache}" / "predictions.csv") as file:
            predictions.append([row["predicted"] for row in csv.DictReader(file)])
        # Each picture counts once, however many views there are of it.
        num_train, num_val = result["num_train"], result["num_val"]
        assert num_train + num_val == (9 if model == "vgg16" else 21)
        assert len(predictions[-1]) == num_val
    cached, uncached = curves
    assert cached.keys() == uncached.keys() and len(cached) >= 6
    assert len(set(cached.values())) > 3  # it does learn something
    np.testing.assert_allclose(
        list(cached.values()), list(uncached.values()), rtol=1e-4
    )
    assert predictions[0] == predictions[1]
    (store,) = (tmp_path / "cache").glob("*/*.npy")
    assert len(np.load(store, mmap_mode="r")) == num_train * len(views) + num_val


def test_a_run_leaves_every_outcome_file(config, tmp_path, paintings):
    bad = tmp_path / "bad"
    for style in paintings.iterdir():
        (bad / style.name).mkdir(parents=True)
        for file in style.iterdir():
            (bad / style.name / file.name).write_bytes(file.read_bytes())
    (bad / "op_stripes" / "note.png").write_text("not a picture")
    config.train_data = str(bad)
    result = train_and_evaluate(config, tmp_path / "run")

    run = tmp_path / "run"
    assert json.loads((run / "result.json").read_text()) == json.loads(
        json.dumps(result)
    )
    assert result["num_skipped"] == 1
    assert result["num_train"] + result["num_val"] == 21
    assert result["steps"] == 2 * math.ceil(result["num_train"] / 4)
    assert result["epochs"] == 2 and result["best_epoch"] in (1, 2)
    assert result["jax_backend"] == jax.default_backend()
    assert result["leaks"] == {"exact": 0, "near": 0, "grey": 0}
    assert result["train_seconds"] > 0 and result["images_per_second"] > 0
    convolutions = 3 * 3 * 3 * 6 + 6 + 3 * 3 * 6 * 8 + 8
    fc = 128 * 16 + 16 + 16 * 16 + 16 + 16 * 3 + 3
    assert result["param_count"] == convolutions + fc
    assert result["trained_param_count"] == 16 * 3 + 3

    with open(run / "skipped.csv") as file:
        (skipped,) = csv.DictReader(file)
    assert skipped["path"] == "op_stripes/note.png"
    assert "not an image" in skipped["reason"]

    with open(run / "predictions.csv") as file:
        rows = list(csv.DictReader(file))
    classes = ["color_fields", "op_stripes", "ruled_grid"]
    assert list(rows[0]) == ["path", "label", "predicted", *classes]
    assert len(rows) == result["num_val"]
    right = 0
    for row in rows:
        shares = [float(row[name]) for name in classes]
        assert math.isclose(sum(shares), 1, rel_tol=1e-4)
        assert row["predicted"] == classes[int(np.argmax(shares))]
        assert (bad / row["path"]).parent.name == row["label"]
        right += row["predicted"] == row["label"]
    assert math.isclose(result["val_accuracy"], right / len(rows), rel_tol=1e-6)
    low, high = result["val_accuracy_ci95"]
    assert low <= result["val_accuracy"] <= high

    saved = json.loads((run / "config.json").read_text())
    assert saved["train_layers"] == ["fc8"]
    assert saved["network"]["classes"] == classes
    assert saved["network"]["preprocessing"]["channel_order"] == "bgr"
    assert not list(run.glob("*.tmp"))


@pytest.mark.parametrize("writer", ["tensorboardx", "tensorflow"])
def test_every_tag_reaches_tensorboard_at_its_steps(config, tmp_path, writer):
    config.writer = writer
    config.display_step = 3
    config.train_layers = ("fc7", "fc8")
    train_and_evaluate(config, tmp_path / "run")
    found = events.read(tmp_path / "run")

    displayed, ends = [3, 6], [4, 8]  # of 2 epochs of 4 steps
    for name in ("loss", "accuracy", "learning_rate", "gradient_norm"):
        assert list(found[f"train/{name}"]) == displayed
    assert list(found["train/learning_rate"].values()) == pytest.approx([0.01, 0.01])
    for layer, elements in (("fc7", 16 * 16), ("fc8", 16 * 3)):
        for tag in (f"{layer}/kernel", f"{layer}/kernel/gradient"):
            assert list(found[tag]) == displayed
            assert all(sum(h.values()) == elements for h in found[tag].values())
        for tag in (f"{layer}/bias", f"{layer}/bias/gradient"):
            assert list(found[tag]) == displayed
    histograms = {tag.split("/")[0] for tag in found if "gradient" in tag} - {"train"}
    assert histograms == {"fc7", "fc8"}  # and none of a frozen layer
    assert not any(tag.startswith(("conv", "fc6")) for tag in found)

    for name in ("loss", "accuracy"):
        assert list(found[f"val/{name}"]) == ends
    for style in ("color_fields", "op_stripes", "ruled_grid"):
        assert list(found[f"val/class_accuracy/{style}"]) == ends
    per_class = [
        found[f"val/class_accuracy/{style}"][8]
        for style in ("color_fields", "op_stripes", "ruled_grid")
    ]
    assert np.mean(per_class) == pytest.approx(found["val/accuracy"][8])  # 2 of each
    pictures = found["val/confusion_matrix"]
    assert list(pictures) == ends
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
    (text,) = (v for tag, v in found.items() if tag.startswith("hyperparameters"))
    assert b"| learning_rate | `0.01` |" in text[1]


@pytest.mark.parametrize("writer", ["tensorboardx", "tensorflow"])
def test_the_hparams_page_has_a_row_for_each_run(config, tmp_path, writer):
    config.writer = writer
    outcome = {}
    for name, rate in (("slow", 0.001), ("fast", 0.01), ("slow", 0.001)):
        config.learning_rate = rate
        outcome[name] = train_and_evaluate(config, tmp_path / "runs" / name)
    rows = events.hparams(tmp_path / "runs")
    assert rows.keys() == outcome.keys()  # a resumed run is one
    for name, (fields, metrics) in rows.items():
        assert fields.keys() == set(config)
        assert fields["learning_rate"] == {"slow": 0.001, "fast": 0.01}[name]
        assert (fields["hidden"], fields["num_classes"]) == ("16,16", 3)
        last = outcome[name]["last_val_accuracy"]
        assert metrics["val/accuracy"] == pytest.approx(last)


def assert_same_curves(whole, resumed):
    """And histograms and pictures: all but the table of hyper-parameters."""
    whole, resumed = events.read(whole), events.read(resumed)
    assert whole.keys() == resumed.keys()
    for tag in whole:
        if not tag.startswith("hyperparameters"):
            assert whole[tag] == resumed[tag], tag


@pytest.mark.parametrize("num_shown", [2, 7], ids=["before a checkpoint", "after one"])
@pytest.mark.parametrize("writer", ["tensorboardx", "tensorflow"])
def test_tensorboard_shows_each_step_of_a_resumed_run_once(
    config, tmp_path, monkeypatch, writer, num_shown
):
    config.writer = writer
    train_and_evaluate(config, tmp_path / "whole")
    write, shown = summaries.write_training, []

    def write_and_stop(*args):
        write(*args)
        shown.append(args)
        if len(shown) == num_shown:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(summaries, "write_training", write_and_stop)
        train_and_evaluate(config, tmp_path / "stopped")
    train_and_evaluate(config, tmp_path / "stopped")
    assert_same_curves(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("stops", [(3,), (4, 6)], ids=str)
def test_a_run_that_is_told_to_stop_goes_on_as_if_it_had_not_been(
    config, tmp_path, monkeypatch, stops, cache
):
    config.train_layers, config.momentum, config.cache = ("fc7", "fc8"), 0.9, cache
    whole = train_and_evaluate(config, tmp_path / "whole")
    for done, stop in zip((0, *stops), stops, strict=False):
        heard = iter([0] * (stop - done - 1) + [signal.SIGTERM])
        with monkeypatch.context() as patch, pytest.raises(stopping.Stopped) as raised:
            patch.setattr(
                preemption.Agreement, "after_step", lambda _, x=heard: next(x)
            )
            train_and_evaluate(config, tmp_path / "stopped")
        assert str(raised.value) == f"saved at step {stop}; the same command goes on"
        assert raised.value.status == 143
        assert not (tmp_path / "stopped" / "result.json").exists()
    resumed = train_and_evaluate(config, tmp_path / "stopped")
    assert_trees_bit_equal(
        final_params(tmp_path / "whole"), final_params(tmp_path / "stopped")
    )
    assert_same_curves(tmp_path / "whole", tmp_path / "stopped")
    for field in ("val_accuracy", "val_loss", "best_epoch", "steps", "temperature"):
        assert whole[field] == resumed[field]
    sessions = json.loads((tmp_path / "stopped" / "sessions.json").read_text())
    firsts = [session["first_step"] for session in sessions["sessions"]]
    assert firsts == [1, *(stop + 1 for stop in stops)]


def test_a_second_training_in_a_workdir_is_refused_before_it_writes(config, tmp_path):
    run = tmp_path / "run"
    with (
        driver.alone(run / HELD),
        pytest.raises(driver.BusyError, match=f"process {os.getpid()} on .* at work"),
    ):
        train_and_evaluate(config, run)
    assert not run.exists()


def test_a_run_does_not_go_on_with_other_images_under_their_names(
    config, paintings, tmp_path
):
    own = tmp_path / "own"
    shutil.copytree(paintings, own)
    config.train_data = str(own)
    train_and_evaluate(config, tmp_path / "run")
    before = (tmp_path / "run" / "training_images.csv").read_bytes()
    (own / "op_stripes").rename(own / "aside")
    (own / "ruled_grid").rename(own / "op_stripes")
    (own / "aside").rename(own / "ruled_grid")
    config.num_epochs += 1
    with pytest.raises(ResumeError, match="op_stripes/.*png is another picture; .*mor"):
        train_and_evaluate(config, tmp_path / "run")
    assert (tmp_path / "run" / "training_images.csv").read_bytes() == before


def test_a_stop_saves_nothing_that_could_not_go_on(config, tmp_path, monkeypatch):
    config.train_layers, config.learning_rate = ("fc7", "fc8"), 1e30
    config.display_step = 100
    monkeypatch.setattr(preemption.Agreement, "after_step", lambda _: signal.SIGTERM)
    with pytest.raises(FloatingPointError, match="not finite after step 1: try a"):
        train_and_evaluate(config, tmp_path / "run")
    assert runs.Checkpoints(tmp_path / "run").latest_step is None


def test_an_update_that_overflows_at_the_very_end_is_no_result(config, tmp_path):
    config.train_layers, config.learning_rate = ("fc7", "fc8"), 1e30
    config.batch_size, config.num_epochs = 16, 1  # one step, whose own loss is finite
    with pytest.raises(FloatingPointError, match="validation loss is nan at step 1"):
        train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run" / "result.json").exists()
    assert runs.Checkpoints(tmp_path / "run").latest_step is None


@pytest.mark.slow
def test_a_run_killed_between_epochs_ends_bit_equal_to_an_uninterrupted_one(
    config, tmp_path
):
    config.train_layers = ("fc7", "fc8")
    config.views = ("whole", "bottom_right_mirrored")
    config.momentum = 0.9
    config.num_epochs = 40
    script = tmp_path / "run.py"
    script.write_text(
        "import json, sys\n"
        "from ml_collections import ConfigDict\n"
        "from jaxart.training import loop\n"
        "from jaxart.models import MODELS\n"
        "from tests.runs import TinyNet\n"
        "MODELS['tinynet'] = TinyNet\n"
        "config = ConfigDict(json.load(open(sys.argv[1])))\n"
        "loop.train_and_evaluate(config, sys.argv[2])\n"
    )
    (tmp_path / "config.json").write_text(config.to_json())

    def start(workdir):
        return subprocess.Popen(
            [sys.executable, script, tmp_path / "config.json", workdir],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )

    whole = start(tmp_path / "whole")
    killed = start(tmp_path / "killed")
    second_epoch = tmp_path / "killed" / "checkpoints" / "8"
    while not second_epoch.exists() and killed.poll() is None:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "result.json").exists()
    _, log = whole.communicate()
    assert whole.returncode == 0, log

    resumed = start(tmp_path / "killed")
    _, log = resumed.communicate()
    assert resumed.returncode == 0, log
    assert_trees_bit_equal(
        final_params(tmp_path / "whole"), final_params(tmp_path / "killed")
    )
    assert_same_curves(tmp_path / "whole", tmp_path / "killed")
    results = [
        json.loads((tmp_path / name / "result.json").read_text())
        for name in ("whole", "killed")
    ]
    for field in ("val_accuracy", "val_loss", "best_epoch", "steps", "num_train"):
        assert results[0][field] == results[1][field]


def test_a_finished_run_is_not_trained_again(config, tmp_path, caplog):
    first = train_and_evaluate(config, tmp_path / "run")
    with caplog.at_level("INFO", logger="jaxart"):
        second = train_and_evaluate(config, tmp_path / "run")
    assert "Resuming" in caplog.text and "after step 8 of 8" in caplog.text
    unstable = {"input_seconds"}
    assert {k: first[k] for k in first if k not in unstable} == {
        k: second[k] for k in second if k not in unstable
    }


def test_the_number_of_classes_is_the_datas_and_stays_it(config, paintings, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(paintings, own)
    config.num_classes, config.train_data = 0, str(own)
    train_and_evaluate(config, tmp_path / "run")
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["num_classes"] == saved["network"]["num_classes"] == 3
    for same in (0, 3):
        config.num_classes = same
        train_and_evaluate(config, tmp_path / "run")
    (own / "another").mkdir()
    shutil.copy(own / "op_stripes" / "0.png", own / "another")
    config.num_classes = 0
    with pytest.raises(ResumeError, match="num_classes=3; this one has num_classes=4"):
        train_and_evaluate(config, tmp_path / "run")


def test_more_epochs_go_on_from_where_the_run_ended(config, tmp_path):
    config.num_epochs = 1
    train_and_evaluate(config, tmp_path / "run")
    config.num_epochs = 2
    assert train_and_evaluate(config, tmp_path / "run")["steps"] == 8


def test_a_workdir_of_another_run_is_refused(config, tmp_path):
    config.num_epochs = 1
    train_and_evaluate(config, tmp_path / "run")
    others = {"train_layers": ("fc7", "fc8"), "hidden": (8, 8), "model": "vgg16"}
    for field, value in others.items():
        other = config.copy_and_resolve_references()
        other[field] = value
        with pytest.raises(ResumeError, match=f"{field}=.*Choose another"):
            train_and_evaluate(other, tmp_path / "run")


def test_a_loss_that_is_not_finite_stops_the_run(config, tmp_path):
    config.learning_rate = 1e30
    config.train_layers = ("fc7", "fc8")  # their product overflows
    config.display_step = 100  # the check does not wait for a display
    with pytest.raises(FloatingPointError, match=r"at step \d.*1e\+30.*learning_rate"):
        train_and_evaluate(config, tmp_path / "run")


def test_the_first_step_that_is_not_finite_is_named():
    losses = [jnp.float32(x) for x in (1.0, math.nan, math.inf)]
    with pytest.raises(FloatingPointError, match="nan at step 9, with learning rate 8"):
        log.check_finite(losses, 10, lambda step: float(step))


def test_too_many_unreadable_images_stop_the_run(config, tmp_path):
    folder = tmp_path / "bad"
    for name in ("color_fields", "op_stripes", "ruled_grid"):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(folder / name / "a.png")
        (folder / name / "b.png").write_text("not a picture")
    config.train_data = str(folder)
    config.val_fraction = 0.5
    with pytest.raises(
        examples.DataError, match=r"3 of 6 images.*b\.png.*skipped\.csv"
    ):
        train_and_evaluate(config, tmp_path / "run")
    assert len((tmp_path / "run" / "skipped.csv").read_text().splitlines()) == 4


def test_a_train_layer_that_does_not_exist_is_an_error_that_lists_the_names(
    config, tmp_path
):
    config.train_layers = ("fc8", "fc9")
    with pytest.raises(ValueError, match="'fc9'.*conv1, conv5.*fc7, fc8"):
        train_and_evaluate(config, tmp_path / "run")


# --- In an object store ---------------------------------------------------------------


@pytest.mark.parametrize("cache", [True, False])
def test_pictures_and_lists_there_train_the_same_network(
    config, paintings, tmp_path, bucket, cache
):
    bucket.put_folder(paintings, "paintings")
    config.cache = cache
    config.num_epochs = 1
    wanted = train_and_evaluate(config, tmp_path / "here")
    config.train_data = f"{bucket.url}/paintings"
    config.cache_dir = str(tmp_path / "another")
    found = train_and_evaluate(config, tmp_path / "there")
    assert {name for name in wanted if wanted[name] != found[name]} <= {
        *("input_seconds", "train_seconds", "images_per_second")
    }
    for name in ("predictions.csv", "leaks.csv", "skipped.csv"):
        content = (tmp_path / "here" / name).read_bytes()
        assert (tmp_path / "there" / name).read_bytes() == content
    here, there = (final_params(tmp_path / name) for name in ("here", "there"))
    assert_trees_bit_equal(here, there)


def checkpoints_in(folder, monkeypatch):
    """As if Orbax took s3://, as it does gs://."""
    for module in (runs, runs.checkpoints):
        monkeypatch.setattr(module, "folder_of", lambda _: str(folder))


def test_a_workdir_there_holds_all_but_checkpoints_that_orbax_keeps(
    config, tmp_path, bucket, monkeypatch
):
    workdir = f"{bucket.url}/run"
    with pytest.raises(StorageError, match="Orbax .* keeps no checkpoints in s3://"):
        train_and_evaluate(config, workdir)
    assert bucket.keys() == []  # found before all else

    checkpoints_in(tmp_path / "orbax", monkeypatch)
    result = train_and_evaluate(config, workdir)
    keys = bucket.keys("run/")
    keys = {key.removeprefix("run/").split(".tfevents")[0] for key in keys}
    assert keys == {
        *("config.json", "result.json", "predictions.csv", "skipped.csv"),
        *("training_images.csv", "validation_images.csv", "sessions.json"),
        *("leaks.csv", "events.out"),
    }
    assert json.loads(bucket.get("run/result.json")) == json.loads(json.dumps(result))


@pytest.mark.parametrize(
    "field, message",
    [
        ("cache_dir", "cache_dir=s3://b/x: must be a local folder"),
        ("train_data", "/x: must be a local folder"),
    ],
)
def test_what_must_be_local_says_so(
    config, tmp_path, bucket, monkeypatch, field, message
):
    workdir = str(tmp_path / "run")
    if field == "train_data":
        checkpoints_in(tmp_path, monkeypatch)
        workdir = f"{bucket.url}/x"
    config[field] = {"cache_dir": "s3://b/x", "train_data": "procedural"}[field]
    with pytest.raises(StorageError) as raised:
        train_and_evaluate(config, workdir)
    assert str(raised.value).endswith(message)
