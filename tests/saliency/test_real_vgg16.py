"""Methods on the real VGG16 convolutions, under a head of random weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxart.data import images
from jaxart.models import VGG16
from jaxart.saliency.methods.maximization import class_model
from jaxart.saliency.methods.paths import integrated_gradients
from tests import ROOT

pytestmark = [pytest.mark.xdist_group("real_vgg16"), pytest.mark.slow]

DATA = ROOT.parent / "shared/data"
VGG16_CONVOLUTIONS = DATA / "weights/vgg16_conv.npz"
NUM_CLASSES = 10


@pytest.fixture(scope="module")
def network():
    """VGG16 up to pool5, and fc8 straight on it."""
    if not VGG16_CONVOLUTIONS.exists():
        pytest.skip(f"the real VGG16 convolutions are not at {VGG16_CONVOLUTIONS}")
    with np.load(VGG16_CONVOLUTIONS) as arrays:
        params = {
            name[:-2]: {
                "kernel": jnp.asarray(arrays[name]),
                "bias": jnp.asarray(arrays[name[:-1] + "b"]),
            }
            for name in arrays
            if name.endswith("_W")
        }
    fan_in = 7 * 7 * 512
    weights = np.random.default_rng(0).normal(size=(fan_in, NUM_CLASSES))
    params["fc8"] = {
        "kernel": jnp.asarray(weights / np.sqrt(fan_in), jnp.float32),
        "bias": jnp.zeros(NUM_CLASSES),
    }
    model = VGG16(num_classes=NUM_CLASSES, hidden=())
    return functools.partial(model.apply, {"params": params})


def load(paths):
    if not paths or not all(path.exists() for path in paths):
        pytest.skip(f"the pictures are not in {DATA}")
    settings = {"resize": "antialias", **VGG16.preprocessing}
    return jnp.asarray(np.stack([images.load(path, **settings) for path in paths]))


def test_integrated_gradients_complete(network):
    # The score is the mean of pool5: 0.8% off. 50 steps do not see every kink on the
    # way from the mean colour to the picture. Of logits with weights of both signs,
    # whose parts cancel but whose errors do not, 1% to 4% is more usual.
    def mean_of_pool5(x):
        return network(x, upto="pool5").mean((1, 2, 3))[:, None]

    x = load([DATA / "photos/n02007558_flamingo.jpg"])
    ends = jax.jit(mean_of_pool5)(jnp.concatenate([x, jnp.zeros_like(x)]))
    found = integrated_gradients(mean_of_pool5, x, 0, num_steps=50, batch_size=10)
    assert found.shape == x.shape
    assert float(found.sum()) == pytest.approx(float(ends[0, 0] - ends[1, 0]), rel=0.01)


def test_class_model_is_more_of_its_class_than_any_picture(network):
    paths = sorted((DATA / "photos").glob("*.jpg"))
    paths += sorted((DATA / "paintings").glob("*/*.jpg"))[::500]
    x = load(paths)
    assert len(x) >= 12
    logits = jax.jit(network)(x)
    target = 3
    image = class_model(
        network,
        target,
        shape=(224, 224, 3),
        steps=20,
        learning_rate=4.0,
        key=jax.random.key(0),
    )
    found = jax.jit(network)(image[None])[0, target]
    assert found > logits[:, target].max()
