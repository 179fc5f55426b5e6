"""More devices and more processes change nothing: the same losses, the same outcome."""

import csv
import json
import os
import shutil
import signal
import time

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from ml_collections import ConfigDict

from jaxart import runs
from jaxart.devices import processes
from jaxart.models.alexnet import AlexNet
from jaxart.models.layers import trainable
from tests import events, joined

ONE_DEVICE = jax.sharding.SingleDeviceSharding(jax.devices("cpu")[0])
EVERY_LAYER = trainable(AlexNet().layers())
RUNS = {
    "fc7_fc8_cached": {"train_layers": ("fc7", "fc8"), "cache": True},
    "fc7_fc8": {"train_layers": ("fc7", "fc8"), "cache": False},
    # Slowly: losses that jump magnify a rounding, differently on every processor.
    "every_layer": {"train_layers": EVERY_LAYER, "learning_rate": 1e-8},
}


def variants(config, **changes):
    """The three runs, each with a last batch of 7 of 8."""
    for name, fields in RUNS.items():
        run = ConfigDict(json.loads(config.to_json()))
        run.update(
            {"model": "alexnet", "batch_size": 8, "momentum": 0.9} | fields | changes
        )
        yield name, run


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Where the runs on one device lie; they are made by the first test."""
    return tmp_path_factory.mktemp("reference")


def run_all(folder, config, **layout):
    runs = [(run, folder / name) for name, run in variants(config)]
    joined.finish(joined.start(folder, runs, **layout))


@pytest.mark.slow
@pytest.mark.xdist_group("scaling")
@pytest.mark.parametrize(
    ("num_processes", "num_devices"), [(1, 8), (2, 1), (4, 1)], ids=str
)
def test_results_do_not_depend_on_devices_and_processes(
    config, tmp_path, reference, num_processes, num_devices
):
    if not any(reference.iterdir()):
        run_all(reference, config)
    config.cache_dir = str(tmp_path / "own_cache")
    run_all(tmp_path, config, num_processes=num_processes, num_devices=num_devices)
    for name in RUNS:
        one, many = (events.read(folder / name) for folder in (reference, tmp_path))
        assert len(one["train/loss"]) == 4 and len(set(one["train/loss"].values())) == 4
        for tag in ("train/loss", "val/loss", "train/gradient_norm"):
            np.testing.assert_allclose(
                list(one[tag].values()), list(many[tag].values()), rtol=1e-5
            )
        tables = []
        for folder in (reference, tmp_path):
            with open(folder / name / "predictions.csv") as file:
                tables.append(list(csv.DictReader(file)))
        assert len(tables[0]) == 6
        for here, there in zip(*tables, strict=True):
            for column in ("path", "label", "predicted"):
                assert here[column] == there[column]
        result = json.loads((tmp_path / name / "result.json").read_text())
        assert result["devices"] == num_processes * num_devices
        assert result["processes"] == num_processes
        # One process writes what there is one of.
        assert len(list((tmp_path / name).glob("events.*"))) == 1


# --- Stopped, and started again -------------------------------------------------------


def start_pair(folder, paintings, num_epochs=12):
    """Two processes of a run that takes some seconds, as a user starts them."""
    fields = {
        "model": "tinynet",
        "hidden": (16, 16),
        "num_classes": 3,
        "train_data": paintings,
        "val_fraction": 2 / 7,
        "batch_size": 4,
        "num_epochs": num_epochs,
        "train_layers": ("conv5", "fc6", "fc7", "fc8"),
        "optimizer": "adamw",
        "cache_dir": folder.parent / "cache",
        "check_leaks": False,
    }
    flags = [f"--config.{name}={value}" for name, value in fields.items()]
    command = ("-m", "tests.tiny_main", "--config=configs/demo.py", *flags)
    return joined.launch(2, *command, f"--workdir={folder}")


NUM_KILLS = int(os.environ.get("JAXART_TEST_KILLS", 4))


@pytest.mark.slow
@pytest.mark.xdist_group("killed")
def test_a_killed_process_ends_the_run_which_goes_on_as_if_nothing_had_been(
    paintings, tmp_path
):
    run, whole = tmp_path / "killed", tmp_path / "whole"
    for folder in (tmp_path / "warm", whole):
        start_time = time.monotonic()
        joined.finish(start_pair(folder, paintings))
        seconds = time.monotonic() - start_time  # without compiling
    rng = np.random.default_rng(0)
    for number in range(NUM_KILLS):
        # At any moment from when they are joined: features, compiling, steps, saving.
        shutil.rmtree(run, ignore_errors=True)
        wait, victim = rng.uniform(0, 0.7) * seconds, number % 2
        started = start_pair(run, paintings)
        while not run.exists() and all(one.poll() is None for one in started):
            time.sleep(0.01)
        time.sleep(wait)
        if any(process.poll() is not None for process in started):
            joined.finish(started)  # it was quicker
            continue
        started[victim].kill()
        killed = time.monotonic()
        logs = [process.communicate()[1] for process in started]
        took = time.monotonic() - killed
        survivor = logs[1 - victim]
        print(f"{wait:.1f} s, process {victim}: {took:.1f} s, {survivor[-300:]!r}")
        assert took < 60
        status = started[1 - victim].returncode
        if status == 0:  # it had nothing more to do with the other
            assert (run / "result.json").exists()
        else:
            assert status == 1, survivor
            assert processes.LOST in survivor or "were not joined" in survivor
        assert "Traceback" not in survivor, survivor

    joined.finish(start_pair(run, paintings))
    steps = [json.loads((w / "result.json").read_text())["steps"] for w in (run, whole)]
    assert steps == [48, 48]
    ends = [last_checkpoint(folder) for folder in (run, whole)]
    for a, b in zip(*map(jax.tree.leaves, ends), strict=True):
        np.testing.assert_array_equal(a, b)
    content = (whole / "predictions.csv").read_bytes()
    assert (run / "predictions.csv").read_bytes() == content


@pytest.mark.slow
@pytest.mark.xdist_group("killed")
def test_a_signal_to_one_process_stops_all_after_the_same_step(paintings, tmp_path):
    run, whole = tmp_path / "stopped", tmp_path / "whole"
    signals = ((signal.SIGTERM, 1), (signal.SIGINT, 0), (signal.SIGTERM, 0))
    for number, victim in signals:
        before = last_step(run)
        started = start_pair(run, paintings, num_epochs=60)
        while last_step(run) == before and all(one.poll() is None for one in started):
            time.sleep(0.01)
        started[victim].send_signal(number)
        logs = [process.communicate()[1] for process in started]
        statuses = {process.returncode for process in started}
        assert statuses == {128 + number}, logs
        said = f"saved at step {last_step(run)}; the same command goes on"
        assert all(log.endswith(f"jaxart: stopped; {said}\n") for log in logs), logs
    for folder in (run, whole):
        joined.finish(start_pair(folder, paintings, num_epochs=60))
    ends = [last_checkpoint(folder) for folder in (run, whole)]
    for a, b in zip(*map(jax.tree.leaves, ends), strict=True):
        np.testing.assert_array_equal(a, b)


def last_step(workdir):
    steps = (workdir / "checkpoints").glob("*")
    return max((int(step.name) for step in steps if step.name.isdigit()), default=0)


@pytest.mark.slow
@pytest.mark.xdist_group("killed")
def test_a_run_goes_on_with_another_number_of_devices_and_processes(config, tmp_path):
    config.batch_size = 8
    config.train_layers = ("conv5", "fc6", "fc7", "fc8")
    config.momentum = 0.9
    config.learning_rate = 1e-5  # no loss that jumps, and magnifies a rounding
    layouts = [{"num_devices": 8}, {"num_processes": 2}, {}]
    moving = tmp_path / "moving"
    for part, layout in enumerate(layouts, start=1):
        config.num_epochs = 2 * part
        joined.finish(joined.start(tmp_path, [(config, moving)], **layout))
    at_once = tmp_path / "at_once"
    joined.finish(joined.start(tmp_path, [(config, at_once)]))
    ends = [last_checkpoint(folder) for folder in (moving, at_once)]
    for a, b in zip(*map(jax.tree.leaves, ends), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())
    curves = [events.read(folder)["train/loss"] for folder in (moving, at_once)]
    assert list(curves[0]) == list(range(1, 13))
    np.testing.assert_allclose(*(list(c.values()) for c in curves), rtol=1e-5)


def last_checkpoint(workdir):
    """Trained parameters and optimizer state, as they lie on disk."""
    manager = runs.Checkpoints(workdir)
    items = {
        name: ocp.args.StandardRestore(fallback_sharding=ONE_DEVICE)
        for name in ("params", "opt_state")
    }
    found = manager._restore(manager.latest_step, **items)
    manager.close()
    return found.params, found.opt_state
