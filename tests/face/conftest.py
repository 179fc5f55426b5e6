"""A tiny network to ask, as a run leaves it."""

import numpy as np
import pytest
from PIL import Image

import jaxart
from tests import runs

CLASSES = ("red fox", "owl", "Teddy", "sphynx")


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """A run's folder."""
    workdir = tmp_path_factory.mktemp("tiny") / "run"
    model = runs.TinyNet(num_classes=4, hidden=(6,))
    runs.write(workdir, model, runs.random_params(model), CLASSES, "antialias")
    return workdir


@pytest.fixture(scope="session")
def network(tiny_run):
    """Its network."""
    return jaxart.load(tiny_run)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Five PNG pictures of several shapes."""
    root = tmp_path_factory.mktemp("folder")
    rng = np.random.default_rng(0)
    for i in range(5):
        blocks = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
        size = (20 + 3 * i, 30 - i)
        blocks.resize(size, Image.Resampling.NEAREST).save(root / f"{i}.png")
    return root


@pytest.fixture
def picture(folder):
    """The path of the first one."""
    return folder / "0.png"
