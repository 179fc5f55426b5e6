"""Caffe's networks as PyTorch's users convert them: `conv1.weight` ... `fc8.bias`.

The names are Caffe's layers' and the parameters PyTorch's; the layout is Caffe's too,
kernels OIHW (grouped ones with the inputs of one group) and (out, in). The input is
BGR, as Caffe's is: a conversion keeps it.
"""

import re
from pathlib import Path

import numpy as np

from jaxart.weights.caffe_layout import hwio, in_out
from jaxart.weights.errors import WeightsError, refuse_bad_file

_NAME = re.compile(r"((?:conv|fc)\d[\w-]*)\.(weight|bias)")
_PREFIX = "module."  # of torch.nn.DataParallel


def names_caffe_layers(arrays: dict[str, np.ndarray]) -> bool:
    """Tells whether every name is one of a Caffe layer's weight or bias."""
    return all(map(_NAME.fullmatch, _without_prefix(arrays)))


def to_params(
    path: str | Path, arrays: dict[str, np.ndarray]
) -> dict[str, dict[str, np.ndarray]]:
    """Turns the arrays of a file into parameters.

    Args:
      path: the file, for messages.
      arrays: by names for which `names_caffe_layers` is true.

    Returns:
      `{'conv1': {'kernel', 'bias'}, ...}`, float32, layers in the order of the names.

    Raises:
      WeightsError: an array is missing, or is not a layer's.
    """
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, array in _without_prefix(arrays).items():
        layer, _, parameter = name.rpartition(".")
        layers.setdefault(layer, {})[parameter] = array
    params = {}
    filters = None  # of the convolution just before, if there is one
    for layer, found in layers.items():
        with refuse_bad_file(f"{path}: {layer}"):
            weight, bias = _weight_and_bias(f"{path}: {layer}", found)
            if weight.ndim == 4:
                kernel, filters = hwio(weight), len(bias)
            else:
                kernel, filters = in_out(weight, filters), None
        params[layer] = {"kernel": kernel, "bias": np.array(bias, np.float32)}
    return params


def _without_prefix(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if not all(name.startswith(_PREFIX) for name in arrays):
        return arrays
    return {name.removeprefix(_PREFIX): array for name, array in arrays.items()}


def _weight_and_bias(
    where: str, found: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    if found.keys() != {"weight", "bias"}:
        raise WeightsError(f"{where} has {' and '.join(found)}, not weight and bias")
    weight, bias = found["weight"], found["bias"]
    if weight.dtype.kind != "f" or bias.dtype.kind != "f":
        raise WeightsError(f"{where} is of {weight.dtype} and {bias.dtype}")
    if weight.ndim not in (2, 4) or 0 in weight.shape or bias.shape != weight.shape[:1]:
        raise WeightsError(
            f"{where} has a weight of shape {weight.shape} and a bias of {bias.shape}; "
            "the ones read are (out, in, height, width) or (out, in), and (out,)"
        )
    return weight, bias
