"""Networks, pictures and the command line, for the tests of whole runs."""

import json
import os
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from jaxart.classifier import Classifier
from jaxart.models import MODELS
from tests import ROOT, runs

CLASSES = ("red fox", "owl", "Teddy", "sphynx")


class Outcome(NamedTuple):
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def tiny():
    """A classifier of 4 classes that costs next to nothing."""
    model = runs.TinyNet(num_classes=4, hidden=(6,))
    return Classifier(model, runs.random_params(model), CLASSES, "antialias")


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, tiny):
    """`tiny` as a run leaves it; for `command`."""
    workdir = tmp_path_factory.mktemp("tiny") / "run"
    runs.write(workdir, tiny.model, tiny.params, CLASSES, tiny.resize)
    return workdir


@pytest.fixture(scope="session")
def alexnet_run(tmp_path_factory):
    """A small AlexNet as a run leaves it; for `shell`."""
    workdir = tmp_path_factory.mktemp("alexnet") / "run"
    model, params = runs.small_alexnet(num_classes=4)
    runs.write(workdir, model, params, CLASSES, "antialias")
    return workdir


@pytest.fixture
def command(monkeypatch, run_command):
    """Runs the job in this process: quick."""
    monkeypatch.setitem(MODELS, "tinynet", runs.TinyNet)
    return lambda *words: Outcome(*run_command("saliency", *words))


@pytest.fixture(scope="session")
def start():
    """Starts the command line as a user types it."""

    def run(*arguments, module="jaxart.saliency", **environment):
        return subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            env=os.environ | {"JAX_PLATFORMS": "cpu"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


@pytest.fixture(scope="session")
def shell(start):
    """Runs the command line as a user types it."""

    def run(*arguments, **how):
        process = start(*arguments, **how)
        stdout, stderr = process.communicate()
        return Outcome(process.returncode, stdout, stderr)

    return run


@pytest.fixture
def entries():
    """Reads a manifest of one map an image: each record with what it says of it."""

    def read(out):
        lines = (out / "manifest.jsonl").read_text(encoding="ascii").splitlines()
        found = []
        for record in map(json.loads, lines):
            (of_map,) = record.pop("maps")
            files = record["files"] | of_map["files"]
            found.append(record | of_map | {"files": files})
        return found

    return read


@pytest.fixture(scope="session")
def paint():
    """Makes a picture of random blocks of colour."""

    def make(seed, width=20, height=12):
        rng = np.random.default_rng(seed)
        blocks = rng.integers(0, 256, (4, 5, 3), np.uint8)
        image = Image.fromarray(blocks)
        return image.resize((width, height), Image.Resampling.NEAREST)

    return make


@pytest.fixture(scope="session")
def folder(tmp_path_factory, paint):
    """Ten PNG pictures in a folder, in one in it, and in one in that."""
    root = tmp_path_factory.mktemp("folder")
    (root / "b" / "c d").mkdir(parents=True)
    for i in range(10):
        parent = (root, root / "b", root / "b" / "c d")[i % 3]
        paint(i, 20 + i, 12 + 2 * i).save(parent / f"{i}.png")
    return root
