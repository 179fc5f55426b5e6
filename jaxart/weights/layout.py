"""The networks' layers in order, and kernels as others have them turned into ours."""

import math
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Float32

from jaxart.weights.errors import WeightsError

# {'conv1': {'kernel', 'bias'}, ...}
Params = dict[str, dict[str, np.ndarray]]

FULLY_CONNECTED = ("fc6", "fc7", "fc8")
ALEXNET_CONVOLUTIONS = ("conv1", "conv2", "conv3", "conv4", "conv5")
VGG16_CONVOLUTIONS = tuple(
    f"conv{block}_{number}"
    for block, depth in enumerate((2, 2, 3, 3, 3), start=1)
    for number in range(1, depth + 1)
)

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


def in_vgg16_order(params: Params) -> Params:
    """Requires layers to follow on one another as VGG16's do, at whatever widths.

    Args:
      params: `{'conv1_1': {'kernel', 'bias'}, ...}` in any order, kernels HWIO and
        (in, out). Fully connected layers may be absent.

    Returns:
      The same in network order, as contiguous float32 arrays.

    Raises:
      WeightsError: a layer or an array is missing, or a shape does not follow.
    """
    missing = [layer for layer in VGG16_CONVOLUTIONS if layer not in params]
    if missing:
        raise WeightsError(f"lacks VGG16's {', '.join(missing)}")
    ordered = {}
    inputs = 3
    for layer in VGG16_CONVOLUTIONS + FULLY_CONNECTED:
        if layer not in params:
            continue
        kernel, bias = (params[layer].get(name) for name in ("kernel", "bias"))
        if kernel is None or bias is None:
            raise WeightsError(f"{layer} has only one of kernel and bias")
        if layer in VGG16_CONVOLUTIONS:
            fits = kernel.ndim == 4 and kernel.shape[:3] == (3, 3, inputs)
            wanted = f"(3, 3, {inputs}, outputs)"
        elif any(name in ordered for name in FULLY_CONNECTED):
            fits = kernel.ndim == 2 and kernel.shape[0] == inputs
            wanted = f"({inputs}, outputs)"
        else:
            fits = kernel.ndim == 2 and kernel.shape[0] % max(inputs, 1) == 0
            wanted = f"(height * width * {inputs}, outputs)"
        if not fits or 0 in kernel.shape or bias.shape != kernel.shape[-1:]:
            raise WeightsError(
                f"{layer} has a kernel of shape {kernel.shape} and a bias of "
                f"{bias.shape}; VGG16's would be {wanted} and (outputs,)"
            )
        inputs = kernel.shape[-1]
        ordered[layer] = {
            "kernel": np.ascontiguousarray(kernel, np.float32),
            "bias": np.ascontiguousarray(bias, np.float32),
        }
    return ordered
