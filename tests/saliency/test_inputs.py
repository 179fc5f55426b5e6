"""What every method takes, and refuses, of images and targets."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxart.models import MODELS
from jaxart.saliency import methods
from jaxart.saliency.catalogue import METHODS
from tests import ROOT, runs

pytestmark = pytest.mark.usefixtures("quick_compiles")

CHEAP = {"num_samples": 2, "num_steps": 2, "num_masks": 2, "window": 8, "stride": 8}
IMAGES = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32)
every_method = pytest.mark.parametrize("name", METHODS)


@pytest.fixture
def explain(tiny):
    """Any method of `tiny`, as a function of images and targets."""
    variables = {"params": tiny.params}

    def logits_fn(images, relu=tiny.model.relu):
        return tiny.model.clone(relu=relu).apply(variables, images)

    provided = CHEAP | {
        "logits_fn": logits_fn,
        "features_fn": lambda images: tiny.model.apply(variables, images, upto="relu5"),
        "head_fn": lambda x: tiny.model.apply(variables, x, after="relu5"),
        "key": jax.random.key(0),
    }

    def explain(name, images, targets):
        function = getattr(methods, name)
        wanted = inspect.signature(function).parameters
        chosen = {key: provided[key] for key in wanted if key in provided}
        return function(**chosen, images=images, targets=targets)

    return explain


@every_method
def test_numpys_arrays_give_what_jaxs_give(explain, name):
    wanted = jax.jit(lambda *x: explain(name, *x))(IMAGES, jnp.array([3, 0]))
    for targets in (np.array([3, 0]), [3, 0]):
        np.testing.assert_allclose(
            explain(name, IMAGES, targets), wanted, rtol=1e-4, atol=1e-4
        )


@every_method
@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_images_of_integers_are_refused(explain, name, dtype):
    message = f"images of {np.dtype(dtype)}: floating-point numbers.*mean subtracted"
    for array in (np, jnp):
        with pytest.raises(ValueError, match=message):
            explain(name, array.zeros((2, 16, 16, 3), dtype), 0)


@every_method
@pytest.mark.parametrize(
    ("targets", "named"),
    [
        (4, 4),
        (-1, -1),
        (np.int64(4), 4),
        (np.array([3, 7]), 7),
        ([0, -2], -2),
        (jnp.array(5), 5),
        (jnp.array([[0, 1], [2, 4]]), 4),  # against a class that there is not
    ],
    ids=repr,
)
def test_a_target_outside_the_classes_is_refused(explain, name, targets, named):
    message = re.escape(f"targets={named}: the classes are 0 to 3")
    with pytest.raises(ValueError, match=message):
        explain(name, IMAGES, targets)
    with pytest.raises(ValueError, match=message):  # a constant of compiled code
        jax.jit(lambda images: explain(name, images, targets))(IMAGES)


def test_a_target_that_is_no_integer_is_refused(explain):
    with pytest.raises(ValueError, match="targets of float64: classes are integers"):
        explain("gradient", IMAGES, 1.0)


@pytest.mark.parametrize("target", [4, np.int64(-1), jnp.array(9)], ids=repr)
def test_a_class_that_there_is_not_is_not_drawn(tiny, target):
    def logits_fn(images):
        return tiny.model.apply({"params": tiny.params}, images)

    with pytest.raises(ValueError, match=r"targets=.*: the classes are 0 to 3"):
        methods.class_model(logits_fn, target, shape=(16, 16, 3), key=jax.random.key(0))


def test_the_readmes_example_runs(tiny, paint, tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "tinynet", runs.TinyNet)
    monkeypatch.chdir(tmp_path)
    runs.write(tmp_path / "runs/vgg16", tiny.model, tiny.params, tiny.class_names, "")
    paint(0).save("painting.jpg")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (example,) = (block for block in blocks if "methods." in block)
    names = {}
    exec(example, names)
    assert names["maps"].shape == (1, 16, 16, 3)
    assert np.isfinite(names["maps"]).all()
