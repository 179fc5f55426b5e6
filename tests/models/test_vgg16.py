"""VGG16's size and shape, in numbers that the paper gives.

Reference: Simonyan and Zisserman 2014, table 1, column D.
"""

import functools
import math

import jax
import jax.numpy as jnp
import pytest

from jaxart.models import MODELS, VGG16

KERNELS = {
    "conv1_1": (3, 3, 3, 64),
    "conv1_2": (3, 3, 64, 64),
    "conv2_1": (3, 3, 64, 128),
    "conv2_2": (3, 3, 128, 128),
    "conv3_1": (3, 3, 128, 256),
    "conv3_2": (3, 3, 256, 256),
    "conv3_3": (3, 3, 256, 256),
    "conv4_1": (3, 3, 256, 512),
    "conv4_2": (3, 3, 512, 512),
    "conv4_3": (3, 3, 512, 512),
    "conv5_1": (3, 3, 512, 512),
    "conv5_2": (3, 3, 512, 512),
    "conv5_3": (3, 3, 512, 512),
    "fc6": (25088, 4096),  # 7 * 7 * 512
    "fc7": (4096, 4096),
    "fc8": (4096, 1000),
}


def shapes(model):
    """The parameters' shapes; nothing is allocated."""
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), images)


def test_number_of_parameters():
    # Convolutions 14,714,688 + fc6 102,764,544 + fc7 16,781,312 + fc8 4,097,000;
    # the paper's table 2 says 138 million.
    leaves = jax.tree.leaves(shapes(VGG16()))
    assert sum(math.prod(leaf.shape) for leaf in leaves) == 138_357_544


def test_shapes():
    found = shapes(VGG16())
    assert found.keys() == {"params"}
    assert jax.tree.map(jnp.shape, found["params"]) == {
        name: {"kernel": shape, "bias": shape[-1:]} for name, shape in KERNELS.items()
    }
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(found))


@pytest.mark.parametrize(
    ("hidden", "kernels"),
    [
        ((), {"fc8": (25088, 10)}),
        ((64,), {"fc6": (25088, 64), "fc8": (64, 10)}),
        ((64, 32), {"fc6": (25088, 64), "fc7": (64, 32), "fc8": (32, 10)}),
    ],
)
def test_hidden_widths(hidden, kernels):
    params = shapes(VGG16(num_classes=10, hidden=hidden))["params"]
    found = {name: params[name]["kernel"].shape for name in params if name[:2] == "fc"}
    assert found == kernels


def test_order_of_layers():
    assert list(VGG16().layers()) == [
        *("conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1"),
        *("conv2_1", "relu2_1", "conv2_2", "relu2_2", "pool2"),
        *("conv3_1", "relu3_1", "conv3_2", "relu3_2", "conv3_3", "relu3_3", "pool3"),
        *("conv4_1", "relu4_1", "conv4_2", "relu4_2", "conv4_3", "relu4_3", "pool4"),
        *("conv5_1", "relu5_1", "conv5_2", "relu5_2", "conv5_3", "relu5_3", "pool5"),
        *("fc6", "relu6", "drop6"),
        *("fc7", "relu7", "drop7"),
        "fc8",
    ]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("relu1_2", (1, 224, 224, 64)),
        ("pool1", (1, 112, 112, 64)),
        ("pool2", (1, 56, 56, 128)),
        ("pool3", (1, 28, 28, 256)),
        ("pool4", (1, 14, 14, 512)),
        ("relu5_3", (1, 14, 14, 512)),
        ("pool5", (1, 7, 7, 512)),
        ("drop7", (1, 4096)),
        ("fc8", (1, 1000)),
    ],
)
def test_sizes_of_activations(name, shape):
    model = VGG16()
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    run = functools.partial(model.apply, upto=name)
    assert jax.eval_shape(run, shapes(model), images).shape == shape


def test_too_many_hidden_widths():
    with pytest.raises(ValueError, match=r"hidden=\(8, 8, 8\): at most two"):
        VGG16(hidden=(8, 8, 8)).layers()


def test_preprocessing():
    # The mean of ImageNet's training set: red 123.68, green 116.779, blue 103.939.
    assert VGG16.preprocessing == {
        "size": 224,
        "channel_order": "bgr",
        "mean": (103.939, 116.779, 123.68),
    }


def test_its_name_in_a_config():
    assert MODELS["vgg16"] is VGG16
