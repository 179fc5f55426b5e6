"""Red and blue: flipped where they must be, recognised where they are known."""

from pathlib import Path

import jax
import numpy as np
import pytest

from jaxart.weights import WeightsError
from jaxart.weights.channel_order import (
    first_layer_channel_check,
    recognise_channel_order,
    to_bgr,
)

VGG16_CONVOLUTIONS = (
    Path(__file__).parents[2].parent / "shared/data/weights/vgg16_conv.npz"
)


@pytest.fixture
def kernel():
    return np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32)


def oxford_first_layer(order: str):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 3, 64)).astype(np.float32)
    bias = rng.normal(size=64).astype(np.float32)
    kernel[0, 0, 0 if order == "bgr" else 2, 0] = 0.42947057
    bias[0] = 0.73429835
    return kernel, bias


def convolve(images, kernel):
    return jax.lax.conv_general_dilated(
        images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def test_a_flipped_kernel_does_on_bgr_what_it_did_on_rgb(kernel):
    rgb = np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype(np.float32)
    bgr = rgb[..., ::-1]
    np.testing.assert_allclose(
        convolve(bgr, to_bgr(kernel, "rgb")), convolve(rgb, kernel), atol=1e-5
    )
    assert not np.allclose(convolve(bgr, kernel), convolve(rgb, kernel), atol=1)


def test_a_bgr_kernel_stays(kernel):
    np.testing.assert_array_equal(to_bgr(kernel, "bgr"), kernel)


def test_there_are_two_orders(kernel):
    with pytest.raises(WeightsError, match="'grb'.*bgr.*rgb"):
        to_bgr(kernel, "grb")


@pytest.mark.parametrize("order", ["bgr", "rgb"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_oxford_weights_are_recognised(order, dtype):
    kernel, bias = (
        array.astype(dtype).astype(np.float32) for array in oxford_first_layer(order)
    )
    assert recognise_channel_order(kernel, bias) == order
    assert recognise_channel_order(kernel[:, :, ::-1], bias) == (
        "rgb" if order == "bgr" else "bgr"
    )
    assert first_layer_channel_check("a.npz", kernel, bias, order)


@pytest.mark.parametrize(("stated", "right"), [("bgr", "rgb"), ("rgb", "bgr")])
def test_a_contradiction_names_the_right_flag(stated, right):
    kernel, bias = oxford_first_layer(right)
    with pytest.raises(WeightsError, match=rf"a\.npz: .* --channel-order={right}$"):
        first_layer_channel_check("a.npz", kernel, bias, stated)


@pytest.mark.parametrize("order", ["bgr", "rgb"])
def test_unknown_weights_pass_unconfirmed(kernel, order):
    bias = np.zeros(4, np.float32)
    assert recognise_channel_order(kernel, bias) is None
    assert not first_layer_channel_check("a.npz", kernel, bias, order)


def test_the_real_first_layer_is_recognised():
    if not VGG16_CONVOLUTIONS.exists():
        pytest.skip(f"the real VGG16 convolutions are not at {VGG16_CONVOLUTIONS}")
    with np.load(VGG16_CONVOLUTIONS) as arrays:
        kernel, bias = arrays["conv1_1_W"], arrays["conv1_1_b"]
    assert recognise_channel_order(kernel, bias) == "bgr"
    assert recognise_channel_order(kernel[:, :, ::-1], bias) == "rgb"
