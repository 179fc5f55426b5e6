"""Caffe's networks as PyTorch's users convert them: `conv1.weight` ... `fc8.bias`.

The names are Caffe's layers' and the parameters PyTorch's; the layout is Caffe's too,
kernels OIHW (grouped ones with the inputs of one group) and (out, in). The input is
BGR, as Caffe's is: a conversion keeps it.
"""

import re
from pathlib import Path

import numpy as np

from jaxart.weights.errors import WeightsError, refuse_bad_file
from jaxart.weights.layout import Params, from_caffe

_NAME = re.compile(r"((?:conv|fc)\d[\w-]*)\.(weight|bias)")
_PREFIX = "module."  # of torch.nn.DataParallel


def names_caffe_layers(arrays: dict[str, np.ndarray]) -> bool:
    """Tells whether every name is one of a Caffe layer's weight or bias."""
    return all(map(_NAME.fullmatch, _without_prefix(arrays)))


def to_params(path: str | Path, arrays: dict[str, np.ndarray]) -> Params:
    """Turns arrays for which `names_caffe_layers` is true into parameters, in order.

    Raises:
      WeightsError: an array is missing, or is not a layer's.
    """
    layers: Params = {}
    for name, array in _without_prefix(arrays).items():
        layer, _, parameter = name.rpartition(".")
        layers.setdefault(layer, {})[parameter] = array
    with refuse_bad_file(path):
        for layer, pair in layers.items():
            if pair.keys() != {"weight", "bias"}:
                names = " and ".join(pair)
                raise WeightsError(f"{layer} has {names}, not weight and bias")
            weight, bias = pair["weight"], pair["bias"]
            if weight.dtype.kind != "f" or bias.dtype.kind != "f":
                raise WeightsError(f"{layer} is of {weight.dtype} and {bias.dtype}")
        return from_caffe(
            (layer, pair["weight"], pair["bias"]) for layer, pair in layers.items()
        )


def _without_prefix(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if not all(name.startswith(_PREFIX) for name in arrays):
        return arrays
    return {name.removeprefix(_PREFIX): array for name, array in arrays.items()}
