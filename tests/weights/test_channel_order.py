"""Red and blue: turned where they must be, recognised where they are known."""

import jax
import numpy as np
import pytest

from jaxart.models import VGG16
from jaxart.weights import WeightsError
from jaxart.weights.channel_order import for_caffe_input, recognise_channel_order
from tests import ROOT

VGG16_CONVOLUTIONS = ROOT.parent / "shared/data/weights/vgg16_conv.npz"
MEAN = VGG16.preprocessing["mean"]  # blue first


@pytest.fixture
def layer():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 3, 64)).astype(np.float32)
    return kernel, rng.normal(size=64).astype(np.float32)


@pytest.fixture
def pixels():
    """Two images, RGB in 0..255."""
    return np.random.default_rng(1).integers(0, 256, size=(2, 8, 8, 3))


def convolve(images, kernel, bias):
    """Without padding, where torchvision's scale makes a difference."""
    images = np.asarray(images, np.float32)
    names = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        images, kernel, (1, 1), "VALID", dimension_numbers=names
    ) + np.asarray(bias)


def torchvision_input(rgb):
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return (rgb / 255 - mean) / std


INPUTS = {
    "bgr": lambda rgb: rgb[..., ::-1] - np.array(MEAN),
    "rgb": lambda rgb: rgb - np.array(MEAN)[::-1],
    "torchvision": torchvision_input,
}


@pytest.mark.parametrize("order", INPUTS)
def test_a_turned_layer_does_on_ours_what_it_did_on_its_own_input(layer, pixels, order):
    wanted = convolve(INPUTS[order](pixels), *layer)
    turned = for_caffe_input(*layer, order, MEAN)
    found = convolve(INPUTS["bgr"](pixels), *turned)
    np.testing.assert_allclose(found, wanted, atol=2e-6 * np.abs(wanted).max())
    if order != "bgr":
        unturned = convolve(INPUTS["bgr"](pixels), *layer)
        assert np.abs(unturned - wanted).max() > 0.1 * np.abs(wanted).max()


def test_a_bgr_layer_stays(layer):
    for found, given in zip(for_caffe_input(*layer, "bgr", MEAN), layer, strict=True):
        np.testing.assert_array_equal(found, given)


def test_there_are_three_orders(layer):
    with pytest.raises(WeightsError, match="'grb'.*bgr.*rgb.*torchvision"):
        for_caffe_input(*layer, "grb", MEAN)


@pytest.mark.parametrize("order", ["bgr", "rgb"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_oxford_weights_are_recognised(layer, order, dtype):
    kernel, bias = layer
    kernel[0, 0, 0 if order == "bgr" else 2, 0] = dtype(0.42947057)
    bias[0] = dtype(0.73429835)
    other = {"bgr": "rgb", "rgb": "bgr"}[order]
    for step, wanted in ((1, order), (-1, other)):
        params = {"conv1_1": {"kernel": kernel[:, :, ::step], "bias": bias}}
        assert recognise_channel_order(params) == wanted


@pytest.mark.parametrize("name", ["conv1_1", "conv1"])
def test_other_weights_are_not(layer, name):
    kernel, bias = layer
    assert recognise_channel_order({name: {"kernel": kernel, "bias": bias}}) is None


def test_other_shapes_are_not(layer):
    kernel, bias = layer
    bias[0] = 0.73429835
    for changed in (kernel[:, :, :1], kernel[0, 0], kernel[:2], kernel[:0]):
        layers = {"conv1_1": {"kernel": changed, "bias": bias}}
        assert recognise_channel_order(layers) is None


def test_the_real_first_layer_is_recognised():
    if not VGG16_CONVOLUTIONS.exists():
        pytest.skip(f"the real VGG16 convolutions are not at {VGG16_CONVOLUTIONS}")
    with np.load(VGG16_CONVOLUTIONS) as arrays:
        kernel, bias = arrays["conv1_1_W"], arrays["conv1_1_b"]
    for step, order in ((1, "bgr"), (-1, "rgb")):
        params = {"conv1_1": {"kernel": kernel[:, :, ::step], "bias": bias}}
        assert recognise_channel_order(params) == order
