"""The networks' sizes and shapes, in numbers that prototxts and papers give.

References:
  AlexNet: github.com/BVLC/caffe, models/bvlc_alexnet/train_val.prototxt.
  CaffeNet: the same, models/bvlc_reference_caffenet/train_val.prototxt.
  VGG16, VGG19: Simonyan and Zisserman 2014, table 1, columns D and E.
"""

import functools
import math

import jax
import jax.numpy as jnp
import pytest

from jaxart.models import (
    MODELS,
    VGG16,
    VGG19,
    AlexNet,
    CaffeNet,
    name_of,
    with_todays_name,
)

DENSE = {"fc7": (4096, 4096), "fc8": (4096, 1000)}
ALEXNET_KERNELS = {
    # height, width, inputs of one group, outputs
    "conv1": (11, 11, 3, 96),
    "conv2": (5, 5, 48, 256),  # 2 groups of 96 / 2
    "conv3": (3, 3, 256, 384),
    "conv4": (3, 3, 192, 384),  # 2 groups of 384 / 2
    "conv5": (3, 3, 192, 256),
    "fc6": (9216, 4096),  # 6 * 6 * 256
    **DENSE,
}
VGG16_KERNELS = {
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
    **DENSE,
}
KERNELS = {
    AlexNet: ALEXNET_KERNELS,
    CaffeNet: ALEXNET_KERNELS,
    VGG16: VGG16_KERNELS,
    VGG19: VGG16_KERNELS
    | {"conv3_4": (3, 3, 256, 256)}
    | dict.fromkeys(("conv4_4", "conv5_4"), (3, 3, 512, 512)),
}
SIZES = {AlexNet: 227, CaffeNet: 227, VGG16: 224, VGG19: 224}
NUM_PARAMETERS = {
    # conv1 34,944 + conv2 307,456 + conv3 885,120 + conv4 663,936 + conv5 442,624
    # + fc6 37,752,832 + fc7 16,781,312 + fc8 4,097,000
    AlexNet: 60_965_224,
    CaffeNet: 60_965_224,
    # Convolutions 14,714,688 + fc6 102,764,544 + fc7 16,781,312 + fc8 4,097,000;
    # the paper's table 2 says 138 million.
    VGG16: 138_357_544,
    # VGG16's + conv3_4 590,080 + conv4_4 and conv5_4 2,359,808 each.
    VGG19: 143_667_240,
}
EACH = pytest.mark.parametrize("network", KERNELS)


def image_of(network):
    return jax.ShapeDtypeStruct((1, SIZES[network], SIZES[network], 3), jnp.float32)


def shapes(model):
    """The parameters' shapes; nothing is allocated."""
    return jax.eval_shape(model.init, jax.random.key(0), image_of(type(model)))


@EACH
def test_shapes_and_number_of_parameters(network):
    found = shapes(network())
    assert found.keys() == {"params"}
    assert jax.tree.map(jnp.shape, found["params"]) == {
        name: {"kernel": shape, "bias": shape[-1:]}
        for name, shape in KERNELS[network].items()
    }
    leaves = jax.tree.leaves(found)
    assert all(leaf.dtype == jnp.float32 for leaf in leaves)
    assert sum(math.prod(x.shape) for x in leaves) == NUM_PARAMETERS[network]


@EACH
def test_hidden_widths(network):
    pool5 = KERNELS[network]["fc6"][0]
    for hidden, kernels in {
        (): {"fc8": (pool5, 10)},
        (64,): {"fc6": (pool5, 64), "fc8": (64, 10)},
        (64, 32): {"fc6": (pool5, 64), "fc7": (64, 32), "fc8": (32, 10)},
    }.items():
        params = shapes(network(num_classes=10, hidden=hidden))["params"]
        dense = {name: params[name] for name in params if name.startswith("fc")}
        assert {name: pair["kernel"].shape for name, pair in dense.items()} == kernels
    with pytest.raises(ValueError, match=r"hidden=\(8, 8, 8\): at most two"):
        network(hidden=(8, 8, 8)).layers()


DENSE_NAMES = ("fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8")


@pytest.mark.parametrize(
    ("network", "layers"),
    [
        (
            AlexNet,
            "conv1 relu1 norm1 pool1 conv2 relu2 norm2 pool2 conv3 relu3 conv4 relu4 "
            "conv5 relu5 pool5",
        ),
        (
            CaffeNet,
            "conv1 relu1 pool1 norm1 conv2 relu2 pool2 norm2 conv3 relu3 conv4 relu4 "
            "conv5 relu5 pool5",
        ),
        (
            VGG16,
            "conv1_1 relu1_1 conv1_2 relu1_2 pool1 conv2_1 relu2_1 conv2_2 relu2_2 "
            "pool2 conv3_1 relu3_1 conv3_2 relu3_2 conv3_3 relu3_3 pool3 conv4_1 "
            "relu4_1 conv4_2 relu4_2 conv4_3 relu4_3 pool4 conv5_1 relu5_1 conv5_2 "
            "relu5_2 conv5_3 relu5_3 pool5",
        ),
        (
            VGG19,
            "conv1_1 relu1_1 conv1_2 relu1_2 pool1 conv2_1 relu2_1 conv2_2 relu2_2 "
            "pool2 conv3_1 relu3_1 conv3_2 relu3_2 conv3_3 relu3_3 conv3_4 relu3_4 "
            "pool3 conv4_1 relu4_1 conv4_2 relu4_2 conv4_3 relu4_3 conv4_4 relu4_4 "
            "pool4 conv5_1 relu5_1 conv5_2 relu5_2 conv5_3 relu5_3 conv5_4 relu5_4 "
            "pool5",
        ),
    ],
)
def test_order_of_layers(network, layers):
    assert list(network().layers()) == [*layers.split(), *DENSE_NAMES]


ALEXNET_ACTIVATIONS = {
    "conv1": (55, 55, 96),  # (227 - 11) / 4 + 1
    "pool1": (27, 27, 96),  # (55 - 3) / 2 + 1
    "conv2": (27, 27, 256),
    "pool2": (13, 13, 256),
    "conv3": (13, 13, 384),
    "conv4": (13, 13, 384),
    "conv5": (13, 13, 256),
    "pool5": (6, 6, 256),
    "drop7": (4096,),
    "fc8": (1000,),
}
VGG16_ACTIVATIONS = {
    "relu1_2": (224, 224, 64),
    "pool1": (112, 112, 64),
    "pool2": (56, 56, 128),
    "pool3": (28, 28, 256),
    "pool4": (14, 14, 512),
    "relu5_3": (14, 14, 512),
    "pool5": (7, 7, 512),
    "drop7": (4096,),
    "fc8": (1000,),
}


@pytest.mark.parametrize(
    ("network", "activations"),
    [
        (AlexNet, ALEXNET_ACTIVATIONS),
        (CaffeNet, ALEXNET_ACTIVATIONS),
        (VGG16, VGG16_ACTIVATIONS),
        (VGG19, VGG16_ACTIVATIONS | {"relu5_4": (14, 14, 512)}),
    ],
)
def test_sizes_of_activations(network, activations):
    model = network()
    for name, shape in activations.items():
        run = functools.partial(model.apply, upto=name)
        found = jax.eval_shape(run, shapes(model), image_of(network))
        assert found.shape == (1, *shape), name


@pytest.mark.parametrize("network", [AlexNet, CaffeNet])
def test_lrn_alpha_reaches_both_norms(network):
    layers = network(lrn_alpha=5e-4).layers()
    assert [layers[name].alpha for name in ("norm1", "norm2")] == [5e-4, 5e-4]


@EACH
def test_preprocessing_and_its_name_in_a_config(network):
    # The mean of ImageNet's training set: red 123.68, green 116.779, blue 103.939.
    assert network.preprocessing == {
        "size": SIZES[network],
        "channel_order": "bgr",
        "mean": (103.939, 116.779, 123.68),
    }
    name = network.__name__.lower()
    assert MODELS[name] is network
    assert name_of(network(num_classes=3)) == name


def test_caffenet_was_a_kind_of_alexnet_once():
    facts = {"hidden": [8], "lrn_alpha": 1e-4}
    for order, name in {"norm_pool": "alexnet", "pool_norm": "caffenet"}.items():
        old = facts | {"norm_order": order}
        assert with_todays_name("alexnet", old) == (name, facts)
        assert old["norm_order"] == order  # the caller's
    for name in MODELS:
        assert with_todays_name(name, facts) == (name, facts)
