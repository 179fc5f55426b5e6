"""Our networks against OpenCV's reader of Caffe files, whole and at full size.

The tables below come from the prototxts and the paper, not from `jaxart.models`.

References:
  bvlc_alexnet and bvlc_reference_caffenet: github.com/BVLC/caffe, models,
    train_val.prototxt.
  VGG16: Simonyan and Zisserman 2014, table 1, column D; its prototxt is
    gist.github.com/ksimonyan/211839e770f7b538e2d8.
"""

import jax
import numpy as np
import pytest
from cv2 import dnn

from jaxart.models import VGG16, AlexNet
from tests.models.caffe_files import Layer, caffemodel, prototxt

# One worker runs this file: its fixtures are hundreds of megabytes.
pytestmark = pytest.mark.xdist_group("caffe_parity")

TOLERANCE = 1e-4  # of the largest absolute value

POOL_3_2 = "pool: MAX kernel_size: 3 stride: 2"
POOL_2_2 = "pool: MAX kernel_size: 2 stride: 2"
LRN = "local_size: 5 alpha: 0.0001 beta: 0.75"

NORM1 = Layer("norm1", "LRN", LRN)
NORM2 = Layer("norm2", "LRN", LRN)
POOL1 = Layer("pool1", "Pooling", POOL_3_2)
POOL2 = Layer("pool2", "Pooling", POOL_3_2)


def conv(name: str, settings: str, *shape: int) -> Layer:
    """Shape: outputs, inputs of one group, height, width."""
    return Layer(name, "Convolution", f"num_output: {shape[0]} {settings}", shape)


def relu(name: str) -> Layer:
    return Layer(name, "ReLU")


def fully_connected(pool5_size: int) -> list[Layer]:
    def fc(name: str, *shape: int) -> Layer:
        return Layer(name, "InnerProduct", f"num_output: {shape[0]}", shape)

    return [
        fc("fc6", 4096, pool5_size),
        relu("relu6"),
        Layer("drop6", "Dropout", "dropout_ratio: 0.5"),
        fc("fc7", 4096, 4096),
        relu("relu7"),
        Layer("drop7", "Dropout", "dropout_ratio: 0.5"),
        fc("fc8", 1000, 4096),
    ]


def alexnet_layers(*, pool_first: bool) -> list[Layer]:
    return [
        conv("conv1", "kernel_size: 11 stride: 4", 96, 3, 11, 11),
        relu("relu1"),
        *([POOL1, NORM1] if pool_first else [NORM1, POOL1]),
        conv("conv2", "kernel_size: 5 pad: 2 group: 2", 256, 48, 5, 5),
        relu("relu2"),
        *([POOL2, NORM2] if pool_first else [NORM2, POOL2]),
        conv("conv3", "kernel_size: 3 pad: 1", 384, 256, 3, 3),
        relu("relu3"),
        conv("conv4", "kernel_size: 3 pad: 1 group: 2", 384, 192, 3, 3),
        relu("relu4"),
        conv("conv5", "kernel_size: 3 pad: 1 group: 2", 256, 192, 3, 3),
        relu("relu5"),
        Layer("pool5", "Pooling", POOL_3_2),
        *fully_connected(256 * 6 * 6),
    ]


def vgg16_layers() -> list[Layer]:
    layers = []
    for name, outputs, inputs in [
        ("1_1", 64, 3),
        ("1_2", 64, 64),
        ("pool1", 0, 0),
        ("2_1", 128, 64),
        ("2_2", 128, 128),
        ("pool2", 0, 0),
        ("3_1", 256, 128),
        ("3_2", 256, 256),
        ("3_3", 256, 256),
        ("pool3", 0, 0),
        ("4_1", 512, 256),
        ("4_2", 512, 512),
        ("4_3", 512, 512),
        ("pool4", 0, 0),
        ("5_1", 512, 512),
        ("5_2", 512, 512),
        ("5_3", 512, 512),
        ("pool5", 0, 0),
    ]:
        if outputs:
            shape = (outputs, inputs, 3, 3)
            layers.append(conv(f"conv{name}", "kernel_size: 3 pad: 1", *shape))
            layers.append(relu(f"relu{name}"))
        else:
            layers.append(Layer(name, "Pooling", POOL_2_2))
    return layers + fully_connected(512 * 7 * 7)


def random_blobs(layers: list[Layer]) -> dict[str, list[np.ndarray]]:
    """Weights that keep the size of the activations, from pixels to logits."""
    rng = np.random.default_rng(0)
    blobs = {}
    for layer in layers:
        if layer.shape:
            kernel = rng.standard_normal(layer.shape, dtype=np.float32)
            # He et al. 2015, eq. 10, has 2: it keeps the size, and biases add to it.
            kernel *= np.sqrt(1.6 / np.prod(layer.shape[1:]))
            bias = 10 * rng.standard_normal(layer.shape[0], dtype=np.float32)
            blobs[layer.name] = [kernel, bias]
    return blobs


def random_images(size: int) -> np.ndarray:
    """Two images minus their mean, BCHW: noise, and large patches of even colour."""
    rng = np.random.default_rng(1)
    noise = rng.uniform(0, 255, (3, size, size))
    patches = rng.uniform(0, 255, (3, 8, 8)).repeat(32, axis=1).repeat(32, axis=2)
    images = np.stack([noise, patches[:, :size, :size]])
    mean = np.array([103.939, 116.779, 123.68]).reshape(3, 1, 1)
    return (images - mean).astype(np.float32)


def params_of(
    blobs: dict[str, list[np.ndarray]], pool5_shape: tuple[int, int, int]
) -> dict[str, dict[str, np.ndarray]]:
    """Our parameter tree; `pool5_shape` is Caffe's: channels, height, width."""
    params = {}
    for name, (kernel, bias) in blobs.items():
        if name == "fc6":  # reads pool5 as C, H, W there and as H, W, C here
            kernel = kernel.reshape(-1, *pool5_shape).transpose(2, 3, 1, 0)
            kernel = kernel.reshape(-1, len(bias))
        elif kernel.ndim == 4:
            kernel = kernel.transpose(2, 3, 1, 0)  # OIHW -> HWIO
        else:
            kernel = kernel.T
        params[name] = {"kernel": kernel, "bias": bias}
    return params


def run_caffe(
    layers: list[Layer],
    blobs: dict[str, list[np.ndarray]],
    images: np.ndarray,
    names: list[str],
) -> dict[str, np.ndarray]:
    """The named layers' outputs, channels last."""
    net = dnn.readNetFromCaffe(
        np.frombuffer(prototxt(layers, images.shape), np.uint8),
        np.frombuffer(caffemodel(layers, blobs), np.uint8),
    )
    net.setInput(images)
    outputs = dict(zip(names, net.forward(names), strict=True))
    return {
        name: output.transpose(0, 2, 3, 1) if output.ndim == 4 else output
        for name, output in outputs.items()
    }


def run_ours(model, params, images: np.ndarray, names: list[str]):
    """The named layers' outputs, and as 'logits' the whole network's."""

    @jax.jit  # which also computes once what the slices share
    def run(params, images):
        variables = {"params": params}
        outputs = {name: model.apply(variables, images, upto=name) for name in names}
        return outputs | {"logits": model.apply(variables, images)}

    with jax.default_matmul_precision("float32"):
        outputs = run(params, images.transpose(0, 2, 3, 1))
    return {name: np.asarray(output) for name, output in outputs.items()}


def relative_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def assert_agree(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    logits = theirs["fc8"]
    # A network that answers nearly the same everywhere would agree with anything.
    largest = np.abs(logits).max()
    assert 1 < largest < 1000
    assert (logits.std(axis=1) > 0.1 * largest).all()
    assert relative_error(logits[0], logits[1]) > 0.1

    assert relative_error(ours["logits"], logits) < TOLERANCE
    for name, expected in theirs.items():
        assert relative_error(ours[name], expected) < TOLERANCE, name


ALEXNET_NAMES = ["norm1", "norm2", "conv5", "pool5", "relu6", "fc8"]


@pytest.fixture(scope="module")
def alexnet():
    """Our parameters, and Caffe's outputs with the same weights in both orders."""
    blobs = random_blobs(alexnet_layers(pool_first=False))
    outputs = {
        order: run_caffe(
            alexnet_layers(pool_first=order == "pool_norm"),
            blobs,
            random_images(227),
            ALEXNET_NAMES,
        )
        for order in ("norm_pool", "pool_norm")
    }
    return params_of(blobs, (256, 6, 6)), outputs


@pytest.mark.parametrize("norm_order", ["norm_pool", "pool_norm"])
def test_alexnet(alexnet, norm_order):
    params, outputs = alexnet
    model = AlexNet(norm_order=norm_order)
    ours = run_ours(model, params, random_images(227), ALEXNET_NAMES)
    assert_agree(ours, outputs[norm_order])


@pytest.mark.parametrize("change", [{"norm_order": "pool_norm"}, {"lrn_alpha": 5e-4}])
def test_parity_notices_another_normalisation(alexnet, change):
    params, outputs = alexnet
    logits = run_ours(AlexNet(**change), params, random_images(227), [])["logits"]
    assert relative_error(logits, outputs["norm_pool"]["fc8"]) > 100 * TOLERANCE


def test_vgg16():
    layers = vgg16_layers()
    blobs = random_blobs(layers)
    names = ["pool2", "conv4_2", "pool5", "relu6", "fc8"]
    images = random_images(224)
    theirs = run_caffe(layers, blobs, images, names)
    ours = run_ours(VGG16(), params_of(blobs, (512, 7, 7)), images, names)
    assert_agree(ours, theirs)
