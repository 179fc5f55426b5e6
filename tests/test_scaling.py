"""More devices and more processes change nothing: the same losses, the same outcome."""

import csv
import json

import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxart.models.alexnet import AlexNet
from jaxart.models.layers import trainable
from tests import events, joined

EVERY_LAYER = trainable(AlexNet().layers())
RUNS = {
    "fc7_fc8_cached": {"train_layers": ("fc7", "fc8"), "cache": True},
    "fc7_fc8": {"train_layers": ("fc7", "fc8"), "cache": False},
    "every_layer": {"train_layers": EVERY_LAYER, "learning_rate": 1e-4},
}


def variants(config, **changes):
    """The three runs, each with a last batch of 7 of 8."""
    for name, fields in RUNS.items():
        run = ConfigDict(json.loads(config.to_json()))
        run.update({"batch_size": 8, "momentum": 0.9} | fields | changes)
        yield name, run


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Where the runs on one device lie; they are made by the first test."""
    return tmp_path_factory.mktemp("reference")


def run_all(folder, config, **layout):
    runs = [(run, folder / name) for name, run in variants(config)]
    joined.finish(joined.start(folder, runs, **layout))


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
