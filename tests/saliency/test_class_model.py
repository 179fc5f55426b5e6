"""The command that draws a class, as a user types it."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from jaxart.classifier import ClassifierError
from jaxart.saliency import class_image
from tests import ROOT

# With the command line's other tests, whose network is compiled there.
pytestmark = pytest.mark.xdist_group("saliency_main")


@pytest.fixture
def draw(alexnet_run, tmp_path):
    """Runs the command, to draw.png unless told otherwise."""

    def run(*arguments):
        return subprocess.run(
            [
                *(sys.executable, "-m", "jaxart.saliency.class_model"),
                *(f"--workdir={alexnet_run}", f"--out={tmp_path / 'draw.png'}"),
                *arguments,
            ],
            cwd=ROOT,
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
        )

    return run


def test_a_class_is_drawn(draw, tmp_path):
    done = draw("--class=owl", "--steps=3")
    assert done.returncode == 0, done.stderr
    pixels = np.asarray(Image.open(tmp_path / "draw.png"))
    assert pixels.shape == (227, 227, 3)
    # About mid-grey, and its contrast is stretched to both ends.
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert abs(pixels.mean() - 127.5) < 5
    assert done.stdout.startswith(f"{tmp_path / 'draw.png'}: owl, logit ")
    assert "3/3" in done.stderr  # the progress bar


@pytest.fixture
def faint(tiny):
    """A network whose logits are 0 at the mean image, and flat there; conv5 scaled."""

    def scaled(factor):
        params = jax.tree.map_with_path(
            lambda path, x: 0 * x if path[-1].key == "bias" else x, tiny.params
        )
        kernel = factor * params["conv5"]["kernel"]
        params = params | {"conv5": params["conv5"] | {"kernel": kernel}}
        return tiny._replace(params=params)

    return scaled


def test_a_network_without_biases_is_drawn(faint):
    drawn = class_image.draw(faint(1), 1, steps=100, seed=0)
    assert np.asarray(drawn.picture).std() > 20
    assert drawn.logit > 1 and drawn.probability > 0.5


def test_a_class_that_nothing_moves_is_an_error(faint):
    with pytest.raises(ClassifierError, match="nothing moves the logit of 'owl'"):
        class_image.draw(faint(0), 1, steps=3, seed=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--class=fox"], "jaxart: no class is called 'fox': one of red fox"),
        (["--class=owl", "--out=owl.jpg"], "jaxart: out=owl.jpg: a .png file"),
        (
            ["--class=owl", "--blur=-1"],
            "jaxart: --blur: '-1' is not a number from 0 on",
        ),
    ],
)
def test_mistakes_are_one_sentence(draw, arguments, message, tmp_path):
    done = draw(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "draw.png").exists()
