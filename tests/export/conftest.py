"""A small classifier, a picture, and the answer that an exported file must give."""

import functools

import jax
import numpy as np
import pytest
from PIL import Image

from jaxart.classifier import Classifier
from jaxart.data import images
from jaxart.models import MODELS
from tests import runs

CLASSES = ("red fox", "Öwl, \U0001f989", "Teddy", "sphynx")


@pytest.fixture
def tiny(monkeypatch):
    """Makes a classifier that costs next to nothing, by its resize rule."""
    monkeypatch.setitem(MODELS, "tinynet", runs.TinyNet)
    model = runs.TinyNet(num_classes=4, hidden=(6,))
    params = runs.random_params(model)
    return functools.partial(Classifier, model, params, CLASSES)


@pytest.fixture
def picture(tmp_path):
    """A picture without symmetry, in space or in colour."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, [256, 128, 64], (5, 7, 3), np.uint8)
    path = tmp_path / "picture.png"
    Image.fromarray(blocks).resize((35, 25), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def answer():
    """Our own logits, for images [N, H, W, 3] or for a picture."""

    def run(network, images_or_path):
        if not isinstance(images_or_path, np.ndarray):
            images_or_path = images.load(
                images_or_path,
                resize=network.resize or "antialias",
                **network.model.preprocessing,
            )[None]
        apply = jax.jit(network.model.apply)
        return np.asarray(apply({"params": network.params}, images_or_path))

    return run


@pytest.fixture
def close():
    """Compares logits, relative to the largest; no class may stand out by accident."""

    def check(found, wanted, tolerance=1e-5):
        assert found.shape == wanted.shape
        assert np.ptp(wanted) > 0.5
        np.testing.assert_allclose(found, wanted, atol=tolerance * abs(wanted).max())

    return check
