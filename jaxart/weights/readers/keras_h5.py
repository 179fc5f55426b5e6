"""Weights in Keras' HDF5 files, with or without the fully connected layers.

Two layouts are about. The older has the layers' names, as in
`block1_conv1/block1_conv1_W_1:0` or `block1_conv1/block1_conv1/kernel:0`, in whole
models below `model_weights`. Keras 3's `.weights.h5` has `layers/<name>/vars/0` and
`/1`, where the names are mostly those of the classes, numbered: `conv2d`, `conv2d_1`,
... `dense`.

Kernels are HWIO and (in, out) in H,W,C order, as ours are. Keras' VGG16 and VGG19 were
converted from Caffe's and take BGR (preprocessing mode 'caffe'); networks that were
trained in Keras without that preprocessing take RGB, and nothing in the file says so.

Sources: https://github.com/keras-team/keras (keras/src/applications/vgg19.py,
keras/src/legacy/saving/legacy_h5_format.py, keras/src/saving/saving_lib.py).
"""

import re
from pathlib import Path

import numpy as np

from jaxart.models import Network
from jaxart.models.layers import trainable
from jaxart.weights.errors import WeightsError
from jaxart.weights.layout import Params, names_by_order
from jaxart.weights.readers import hdf5

_DENSE = {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}
_PARAMETER_NAMES = {"W": "kernel", "b": "bias", "kernel": "kernel", "bias": "bias"}


def read(path: str | Path, network: Network) -> Params:
    """Reads a network's layers, as many as there are, from an `.h5` file of Keras.

    Layers with Keras' names are told by them. Those with others are taken in order
    where they are as many convolutions as the network has, and up to three fully
    connected layers.

    Returns:
      `{'conv1_1': {'kernel', 'bias'}, ...}` in network order, float32, in the file's
      channel order: BGR for Keras' own networks.

    Raises:
      WeightsError: layers that the network does not have, a damaged file, or h5py is
        not installed.
      OSError: the file cannot be opened.
    """
    ours = {_keras_name(layer): layer for layer in trainable(network.layers())}
    with hdf5.open_file(path) as file:
        found: Params = {}
        for (layer, parameter), dataset in _find_datasets(file, ours).items():
            found.setdefault(layer, {})[parameter] = dataset[()].astype(np.float32)
        params = _with_our_names(found, network, ours)
        return {
            layer: _checked(layer, params[layer])
            for layer in ours.values()
            if layer in params
        }


def _keras_name(layer: str) -> str:
    return _DENSE.get(layer) or re.sub(r"conv(\d+)_(\d+)", r"block\1_conv\2", layer)


def _checked(layer: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if arrays.keys() != {"kernel", "bias"}:
        raise WeightsError(f"{layer} has only one of kernel and bias")
    kernel, bias = arrays["kernel"], arrays["bias"]
    if bias.shape != kernel.shape[-1:]:
        raise WeightsError(
            f"{layer} has a kernel of shape {kernel.shape} and a bias of {bias.shape}"
        )
    return {"kernel": kernel, "bias": bias}


def _find_datasets(file, ours: dict[str, str]) -> dict:
    """Returns the datasets of the layers by layer and parameter, unread."""
    top = file
    for name in ("model_weights", "layers", "_layer_checkpoint_dependencies"):
        if name in hdf5.hard_links(top):
            top = top[name]
    datasets = {}
    for parts, dataset in hdf5.find_datasets(top).items():
        key = _layer_and_parameter(parts, ours)
        if key is None:
            raise WeightsError(
                f"holds {'/'.join(parts)[:80]!r}, which is neither a kernel nor a bias "
                "of a layer of Keras"
            )
        if key in datasets:
            raise WeightsError(f"{key[0]!r:.80} has two arrays {key[1]}")
        datasets[key] = dataset
    return datasets


def _layer_and_parameter(
    parts: tuple[str, ...], ours: dict[str, str]
) -> tuple[str, str] | None:
    """Takes a layer's name and 'kernel' or 'bias' from the path of a dataset."""
    *above, last = parts
    if not above:
        return None
    # A network inside a network (transfer learning) has its layers one level lower.
    layer = next((part for part in above if part in ours), above[0])
    if above[-1] == "vars":
        parameter = {"0": "kernel", "1": "bias"}.get(last)
    else:
        match = re.fullmatch(r"(?:.*_)?(W|b|kernel|bias)(?:_\d+)?(?::0)?", last)
        parameter = match and _PARAMETER_NAMES[match[1]]
    return (layer, parameter) if parameter else None


def _with_our_names(params: dict, network: Network, ours: dict[str, str]) -> Params:
    if any(layer in ours for layer in params):
        unknown = [layer for layer in params if layer not in ours]
        if unknown:
            raise WeightsError(
                f"holds {unknown[0][:80]!r}, which Keras' {type(network).__name__} "
                "does not have"
            )
        return {ours[layer]: arrays for layer, arrays in params.items()}
    convolutions, dense = (_in_order(params, ndim) for ndim in (4, 2))
    names = names_by_order(network, len(convolutions), len(dense))
    theirs = convolutions + dense
    return {name: params[layer] for name, layer in zip(names, theirs, strict=True)}


def _in_order(params: dict, ndim: int) -> list[str]:
    """Sorts the layers with kernels of so many axes by the numbers in their names."""
    numbers = {}
    stems = set()
    for layer, arrays in params.items():
        if "kernel" not in arrays or arrays["kernel"].ndim not in (2, 4):
            raise WeightsError(f"{layer!r:.80} has no kernel of 2 or 4 axes")
        if arrays["kernel"].ndim == ndim:
            number = re.search(r"_(\d{1,9})\Z", layer)
            stems.add(layer[: number.start()] if number else layer)
            numbers[layer] = int(number[1]) if number else 0
    if len(stems) > 1 or len(set(numbers.values())) < len(numbers):
        raise WeightsError(
            f"the names of its layers ({', '.join(numbers):.80}) are neither "
            "Keras' for this network nor numbered"
        )
    return sorted(numbers, key=numbers.__getitem__)
