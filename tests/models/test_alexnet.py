"""AlexNet's size and shape, in numbers that Caffe's prototxt gives.

Reference: github.com/BVLC/caffe, models/bvlc_alexnet/train_val.prototxt.
"""

import functools
import math

import jax
import jax.numpy as jnp
import pytest

from jaxart.models import MODELS, AlexNet

KERNELS = {
    # height, width, inputs of one group, outputs
    "conv1": (11, 11, 3, 96),
    "conv2": (5, 5, 48, 256),  # 2 groups of 96 / 2
    "conv3": (3, 3, 256, 384),
    "conv4": (3, 3, 192, 384),  # 2 groups of 384 / 2
    "conv5": (3, 3, 192, 256),
    "fc6": (9216, 4096),  # 6 * 6 * 256
    "fc7": (4096, 4096),
    "fc8": (4096, 1000),
}


def shapes(model, size: int = 227):
    """The parameters' shapes; nothing is allocated."""
    images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), images)


def count(variables) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables))


def test_number_of_parameters():
    # conv1 34,944 + conv2 307,456 + conv3 885,120 + conv4 663,936 + conv5 442,624
    # + fc6 37,752,832 + fc7 16,781,312 + fc8 4,097,000
    assert count(shapes(AlexNet())) == 60_965_224


@pytest.mark.parametrize("norm_order", ["norm_pool", "pool_norm"])
def test_shapes(norm_order):
    found = shapes(AlexNet(norm_order=norm_order))
    assert found.keys() == {"params"}
    assert jax.tree.map(jnp.shape, found["params"]) == {
        name: {"kernel": shape, "bias": shape[-1:]} for name, shape in KERNELS.items()
    }
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(found))


@pytest.mark.parametrize(
    ("hidden", "kernels"),
    [
        ((), {"fc8": (9216, 10)}),
        ((64,), {"fc6": (9216, 64), "fc8": (64, 10)}),
        ((64, 32), {"fc6": (9216, 64), "fc7": (64, 32), "fc8": (32, 10)}),
    ],
)
def test_hidden_widths(hidden, kernels):
    params = shapes(AlexNet(num_classes=10, hidden=hidden))["params"]
    found = {name: params[name]["kernel"].shape for name in params if name[:2] == "fc"}
    assert found == kernels


@pytest.mark.parametrize(
    ("norm_order", "first", "second"),
    [
        ("norm_pool", ["norm1", "pool1"], ["norm2", "pool2"]),  # bvlc_alexnet
        ("pool_norm", ["pool1", "norm1"], ["pool2", "norm2"]),  # CaffeNet
    ],
)
def test_order_of_layers(norm_order, first, second):
    assert list(AlexNet(norm_order=norm_order).layers()) == [
        *("conv1", "relu1", *first),
        *("conv2", "relu2", *second),
        *("conv3", "relu3"),
        *("conv4", "relu4"),
        *("conv5", "relu5", "pool5"),
        *("fc6", "relu6", "drop6"),
        *("fc7", "relu7", "drop7"),
        "fc8",
    ]


@pytest.mark.parametrize("norm_order", ["norm_pool", "pool_norm"])
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("conv1", (1, 55, 55, 96)),  # (227 - 11) / 4 + 1
        ("pool1", (1, 27, 27, 96)),  # (55 - 3) / 2 + 1
        ("conv2", (1, 27, 27, 256)),
        ("pool2", (1, 13, 13, 256)),
        ("conv3", (1, 13, 13, 384)),
        ("conv4", (1, 13, 13, 384)),
        ("conv5", (1, 13, 13, 256)),
        ("pool5", (1, 6, 6, 256)),
        ("drop7", (1, 4096)),
        ("fc8", (1, 1000)),
    ],
)
def test_sizes_of_activations(norm_order, name, shape):
    model = AlexNet(norm_order=norm_order)
    images = jax.ShapeDtypeStruct((1, 227, 227, 3), jnp.float32)
    run = functools.partial(model.apply, upto=name)
    assert jax.eval_shape(run, shapes(model), images).shape == shape


@pytest.mark.parametrize("norm_order", ["pool-norm", "NORM_POOL", ""])
def test_bad_norm_order_names_the_choices(norm_order):
    with pytest.raises(ValueError, match=r"norm_order=.*'norm_pool', 'pool_norm'"):
        AlexNet(norm_order=norm_order).layers()


def test_too_many_hidden_widths():
    with pytest.raises(ValueError, match=r"hidden=\(8, 8, 8\): at most two"):
        AlexNet(hidden=(8, 8, 8)).layers()


def test_lrn_alpha_reaches_both_norms():
    layers = AlexNet(lrn_alpha=5e-4).layers()
    assert [layers[name].alpha for name in ("norm1", "norm2")] == [5e-4, 5e-4]


def test_preprocessing():
    # The mean of ImageNet's training set: red 123.68, green 116.779, blue 103.939.
    assert AlexNet.preprocessing == {
        "size": 227,
        "channel_order": "bgr",
        "mean": (103.939, 116.779, 123.68),
    }


def test_its_name_in_a_config():
    assert MODELS["alexnet"] is AlexNet
