"""The layers of VGG16 in order, for readers of files that name them otherwise."""

from pathlib import Path

import numpy as np

from jaxart.weights.errors import WeightsError

CONVOLUTIONS = tuple(
    f"conv{block}_{number}"
    for block, depth in enumerate((2, 2, 3, 3, 3), start=1)
    for number in range(1, depth + 1)
)
FULLY_CONNECTED = ("fc6", "fc7", "fc8")


def in_vgg16_order(
    path: str | Path, params: dict[str, dict[str, np.ndarray]]
) -> dict[str, dict[str, np.ndarray]]:
    """Requires layers to follow on one another as VGG16's do, at whatever widths.

    Args:
      path: the file, for the message.
      params: `{'conv1_1': {'kernel', 'bias'}, ...}` in any order, kernels HWIO and
        (in, out). Fully connected layers may be absent.

    Returns:
      The same in network order, as contiguous float32 arrays.

    Raises:
      WeightsError: a convolution is missing, an array is missing, or a shape does not
        follow from the one before.
    """
    missing = [layer for layer in CONVOLUTIONS if layer not in params]
    if missing:
        raise WeightsError(f"{path}: lacks VGG16's {', '.join(missing)}")
    ordered = {}
    inputs = 3
    for layer in CONVOLUTIONS + FULLY_CONNECTED:
        if layer not in params:
            continue
        kernel, bias = (params[layer].get(name) for name in ("kernel", "bias"))
        if kernel is None or bias is None:
            raise WeightsError(f"{path}: {layer} has only one of kernel and bias")
        if layer in CONVOLUTIONS:
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
                f"{path}: {layer} has a kernel of shape {kernel.shape} and a bias of "
                f"{bias.shape}; VGG16's would be {wanted} and (outputs,)"
            )
        inputs = kernel.shape[-1]
        ordered[layer] = {
            "kernel": np.ascontiguousarray(kernel, np.float32),
            "bias": np.ascontiguousarray(bias, np.float32),
        }
    return ordered
