"""Layers by their order, and kernels as others have them turned into ours."""

import math
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Float32

from jaxart.models import Network
from jaxart.models.layers import FC_NAMES, HEAD, trainable
from jaxart.weights.errors import WeightsError

# {'conv1': {'kernel', 'bias'}, ...}
Params = dict[str, dict[str, np.ndarray]]

TORCHVISION_ALEXNET = (
    "torchvision's alexnet, another network than Caffe's AlexNet: 64 filters in the "
    "first layer instead of 96, no groups, no response norm, other sizes"
)

_NUM_AT_ONCE = 64


def from_caffe(layers: Iterable[tuple[str, np.ndarray, np.ndarray]]) -> Params:
    """Turns layers as Caffe and PyTorch have them, in network order, into parameters.

    Args:
      layers: a name, a kernel (out, in, height, width) or (out, in), and a bias (out,)
        each. A fully connected layer after a convolution reads its map as C, H, W.

    Raises:
      WeightsError: an array of another shape.
    """
    params = {}
    filters = None  # of the convolution just before, if there is one
    for name, kernel, bias in layers:
        is_kernel = kernel.ndim in (2, 4) and 0 not in kernel.shape
        if not is_kernel or bias.shape != kernel.shape[:1]:
            raise WeightsError(
                f"layer {name!r} has a kernel of shape {kernel.shape} and a bias of "
                f"{bias.shape}; the ones read are (out, in, height, width) or "
                "(out, in), and (out,)"
            )
        if kernel.ndim == 4:
            kernel, filters = hwio(kernel), len(bias)
        else:
            kernel, filters = _in_out(name, kernel, filters), None
        params[name] = {"kernel": kernel, "bias": np.array(bias, np.float32)}
    return params


def hwio(
    kernel: Float[np.ndarray, "out in height width"],
) -> Float32[np.ndarray, "height width in out"]:
    """Returns a convolution's kernel with its axes in our order, as a copy."""
    num_out, num_in, height, width = kernel.shape
    moved = np.empty((height, width, num_in, num_out), np.float32)
    # A few outputs at a time stay in the cache: fc6 in 0.7 s instead of 1.8 s.
    for start in range(0, num_out, _NUM_AT_ONCE):
        outputs = slice(start, start + _NUM_AT_ONCE)
        moved[..., outputs] = kernel[outputs].transpose(2, 3, 1, 0)
    return moved


def _in_out(
    name: str, kernel: Float[np.ndarray, "out in"], filters: int | None
) -> Float32[np.ndarray, "in out"]:
    """Returns a fully connected layer's kernel transposed, as a copy.

    With `filters` its input is a square map of so many channels: C, H, W there, and
    H, W, C here.
    """
    num_out, num_in = kernel.shape
    channels = filters or num_in
    size = math.isqrt(num_in // channels)
    if size * size * channels != num_in:
        raise WeightsError(
            f"layer {name!r}: {num_in:,} inputs are no square map of {filters} channels"
        )
    maps = kernel.reshape(num_out, channels, size, size)
    return hwio(maps).reshape(num_in, num_out)


def names_by_order(
    network: Network, num_convolutions: int, num_fully_connected: int
) -> tuple[str, ...]:
    """Caffe's names of so many layers with parameters of a network, in order.

    Two fully connected layers are fc6 and fc8, and one is fc8: so `Network.hidden` has
    them.

    Raises:
      WeightsError: the network has another number of convolutions, or there are more
        than three fully connected layers.
    """
    convolutions = trainable(network.convolutions())
    dense = (*FC_NAMES, HEAD)
    if num_convolutions != len(convolutions) or num_fully_connected > len(dense):
        raise WeightsError(
            f"{num_convolutions} convolutions and {num_fully_connected} fully "
            f"connected layers; {type(network).__name__} has {len(convolutions)}, and "
            f"up to {len(dense)}"
        )
    if not num_fully_connected:
        return convolutions
    return (*convolutions, *FC_NAMES[: num_fully_connected - 1], HEAD)
