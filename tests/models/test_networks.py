"""The networks' sizes and shapes, in numbers that prototxts and papers give.

References:
  AlexNet: github.com/BVLC/caffe, models/bvlc_alexnet/train_val.prototxt.
  VGG16: Simonyan and Zisserman 2014, table 1, column D.
"""

import functools
import math

import jax
import jax.numpy as jnp
import pytest

from jaxart.models import MODELS, VGG16, AlexNet

DENSE = {"fc7": (4096, 4096), "fc8": (4096, 1000)}
KERNELS = {
    AlexNet: {
        # height, width, inputs of one group, outputs
        "conv1": (11, 11, 3, 96),
        "conv2": (5, 5, 48, 256),  # 2 groups of 96 / 2
        "conv3": (3, 3, 256, 384),
        "conv4": (3, 3, 192, 384),  # 2 groups of 384 / 2
        "conv5": (3, 3, 192, 256),
        "fc6": (9216, 4096),  # 6 * 6 * 256
        **DENSE,
    },
    VGG16: {
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
    },
}
SIZES = {AlexNet: 227, VGG16: 224}
NUM_PARAMETERS = {
    # conv1 34,944 + conv2 307,456 + conv3 885,120 + conv4 663,936 + conv5 442,624
    # + fc6 37,752,832 + fc7 16,781,312 + fc8 4,097,000
    AlexNet: 60_965_224,
    # Convolutions 14,714,688 + fc6 102,764,544 + fc7 16,781,312 + fc8 4,097,000;
    # the paper's table 2 says 138 million.
    VGG16: 138_357_544,
}
EACH = pytest.mark.parametrize("network", [AlexNet, VGG16])


def image_of(network):
    return jax.ShapeDtypeStruct((1, SIZES[network], SIZES[network], 3), jnp.float32)


def shapes(model):
    """The parameters' shapes; nothing is allocated."""
    return jax.eval_shape(model.init, jax.random.key(0), image_of(type(model)))


@pytest.mark.parametrize(
    "model", [AlexNet(), AlexNet(norm_order="pool_norm"), VGG16()], ids=repr
)
def test_shapes_and_number_of_parameters(model):
    found = shapes(model)
    assert found.keys() == {"params"}
    assert jax.tree.map(jnp.shape, found["params"]) == {
        name: {"kernel": shape, "bias": shape[-1:]}
        for name, shape in KERNELS[type(model)].items()
    }
    leaves = jax.tree.leaves(found)
    assert all(leaf.dtype == jnp.float32 for leaf in leaves)
    assert sum(math.prod(x.shape) for x in leaves) == NUM_PARAMETERS[type(model)]


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
    ("norm_order", "first", "second"),
    [
        ("norm_pool", ["norm1", "pool1"], ["norm2", "pool2"]),  # bvlc_alexnet
        ("pool_norm", ["pool1", "norm1"], ["pool2", "norm2"]),  # CaffeNet
    ],
)
def test_order_of_alexnets_layers(norm_order, first, second):
    assert list(AlexNet(norm_order=norm_order).layers()) == [
        *("conv1", "relu1", *first),
        *("conv2", "relu2", *second),
        *("conv3", "relu3"),
        *("conv4", "relu4"),
        *("conv5", "relu5", "pool5"),
        *DENSE_NAMES,
    ]


def test_order_of_vgg16s_layers():
    assert list(VGG16().layers()) == [
        *("conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1"),
        *("conv2_1", "relu2_1", "conv2_2", "relu2_2", "pool2"),
        *("conv3_1", "relu3_1", "conv3_2", "relu3_2", "conv3_3", "relu3_3", "pool3"),
        *("conv4_1", "relu4_1", "conv4_2", "relu4_2", "conv4_3", "relu4_3", "pool4"),
        *("conv5_1", "relu5_1", "conv5_2", "relu5_2", "conv5_3", "relu5_3", "pool5"),
        *DENSE_NAMES,
    ]


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
    ("model", "activations"),
    [
        (AlexNet(), ALEXNET_ACTIVATIONS),
        (AlexNet(norm_order="pool_norm"), ALEXNET_ACTIVATIONS),
        (VGG16(), VGG16_ACTIVATIONS),
    ],
)
def test_sizes_of_activations(model, activations):
    for name, shape in activations.items():
        run = functools.partial(model.apply, upto=name)
        found = jax.eval_shape(run, shapes(model), image_of(type(model)))
        assert found.shape == (1, *shape), name


@pytest.mark.parametrize("norm_order", ["pool-norm", "NORM_POOL", ""])
def test_bad_norm_order_names_the_choices(norm_order):
    with pytest.raises(ValueError, match=r"norm_order=.*'norm_pool', 'pool_norm'"):
        AlexNet(norm_order=norm_order).layers()


def test_lrn_alpha_reaches_both_norms():
    layers = AlexNet(lrn_alpha=5e-4).layers()
    assert [layers[name].alpha for name in ("norm1", "norm2")] == [5e-4, 5e-4]


@EACH
def test_preprocessing_and_its_name_in_a_config(network):
    # The mean of ImageNet's training set: red 123.68, green 116.779, blue 103.939.
    assert network.preprocessing == {
        "size": SIZES[network],
        "channel_order": "bgr",
        "mean": (103.939, 116.779, 123.68),
    }
    assert MODELS[network.__name__.lower()] is network
