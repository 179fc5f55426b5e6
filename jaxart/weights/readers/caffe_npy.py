"""Caffe weights as one pickled dict in a `.npy` file, as caffe-tensorflow writes them.

Two layouts are about: `{'conv1': [kernel, bias]}` (`bvlc_alexnet.npy`) and
`{'conv1': {'weights': kernel, 'biases': bias}}` (caffe-tensorflow's later ones).
Kernels are HWIO, fully connected ones (in, out); the input is BGR, as Caffe's is.

Source: https://github.com/ethereon/caffe-tensorflow (convert.py, transformers.py).
"""

from pathlib import Path

import numpy as np

from jaxart.weights.errors import WeightsError, refuse_bad_file
from jaxart.weights.layout import Params
from jaxart.weights.readers.restricted_pickle import StoredArray, read_pickled_npy


def read(path: Path) -> Params:
    """Reads a Caffe `.npy` file.

    Returns:
      `{'conv1': {'kernel', 'bias'}, ...}`, float32, layers in the file's order.

    Raises:
      WeightsError: the file is not such a dict; nothing in it is run.
      OSError: the file cannot be opened.
    """
    content = read_pickled_npy(path)
    with refuse_bad_file(path):
        if not isinstance(content, dict) or not content:
            raise WeightsError("the object in it is not a dict of layers")
        pairs = {}
        for key, value in content.items():
            layer = _text(key)
            if layer in pairs:
                raise WeightsError(f"layer {layer} is there twice")
            pairs[layer] = _kernel_and_bias(layer, value)
        # One array under many names would grow beyond the file when it is converted.
        num_bytes = sum(array.nbytes for pair in pairs.values() for array in pair)
        if num_bytes > path.stat().st_size:
            raise WeightsError("layers share arrays, which no network here does")
        return {
            layer: {
                "kernel": np.ascontiguousarray(kernel, np.float32),
                "bias": np.ascontiguousarray(bias, np.float32),
            }
            for layer, (kernel, bias) in pairs.items()
        }


def _kernel_and_bias(layer: str, value) -> tuple[np.ndarray, np.ndarray]:
    value = _unboxed(value)
    if isinstance(value, dict):
        named = {_text(key): item for key, item in value.items()}
        value = [named.pop("weights", None), named.pop("biases", None), *named.values()]
    if isinstance(value, list | tuple) and len(value) == 2:
        kernel, bias = map(_unboxed, value)
        if (
            isinstance(kernel, np.ndarray)
            and isinstance(bias, np.ndarray)
            and bias.ndim == 1
        ):
            return kernel, bias
    raise WeightsError(
        f"layer {layer} is neither [kernel, bias] nor {{'weights': kernel, 'biases': "
        "bias} with a bias of one dimension"
    )


def _unboxed(value):
    return value.value if isinstance(value, StoredArray) else value


def _text(key: str | bytes) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else key
