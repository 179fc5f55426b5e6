"""Fits pretrained arrays to a network, strictly.

A layer either fits the file or is one that the caller said would start fresh; every
other difference between the two is named, all of them in one error.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxart.storage import AnyPath
from jaxart.weights import canonical
from jaxart.weights.errors import WeightsError
from jaxart.weights.layout import Params

_HEAD = "fc8"


class Merged(NamedTuple):
    """The file's part of the parameters, and where each layer's come from, in order."""

    params: Params  # of the loaded layers, float32
    loaded_layers: tuple[str, ...]
    fresh_layers: tuple[str, ...]  # start from random parameters
    left_out_layers: tuple[str, ...]  # of the file, not of the network


def load(
    path: AnyPath,
    wanted: Mapping[str, Mapping],
    *,
    model: str,
    train_layers: Sequence[str],
    removed_layers: Sequence[str] = (),
) -> Merged:
    """Reads a canonical file, and fits it to a network of that name as `merge` does.

    Raises:
      WeightsError: a bad file, one for another network, or one that does not fit.
      FileNotFoundError: there is no such file.
    """
    metadata = canonical.read_metadata(path)
    if metadata["model"] != model:
        raise WeightsError(
            f"{path}: the weights are for {metadata['model']}, the model is {model}"
        )
    pretrained, _ = canonical.read(path)
    try:
        return merge(wanted, pretrained, train_layers, removed_layers)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None


def merge(
    wanted: Mapping[str, Mapping],
    pretrained: Mapping[str, Mapping],
    train_layers: Sequence[str],
    removed_layers: Sequence[str] = (),
) -> Merged:
    """Finds pretrained arrays for a network.

    Args:
      wanted: the network's parameters, `{layer: {name: array}}`; anything with a
        shape serves as an array, here and in the file's.
      pretrained: the file's parameters.
      train_layers: layers that may start fresh where the file lacks them or has
        another shape. One that fits is loaded.
      removed_layers: layers of the file that the network was built without.

    The head, fc8, may start fresh where its shape differs from the file's, as it does
    with another number of classes.

    Raises:
      WeightsError: arrays are missing from the file, surplus in it, or misshapen; all
        are named with their shapes.
    """
    left_out = [
        layer for layer in pretrained if layer in removed_layers and layer not in wanted
    ]
    fresh = []
    for layer, arrays in wanted.items():
        if layer not in pretrained:
            starts_fresh = layer in train_layers
        else:
            starts_fresh = (
                (layer in train_layers or layer == _HEAD)
                and arrays.keys() == pretrained[layer].keys()
                and _shapes(arrays) != _shapes(pretrained[layer])
            )
        if starts_fresh:
            fresh.append(layer)
    loaded = [layer for layer in wanted if layer not in fresh]
    others = {*fresh, *left_out}
    check_fit(
        {layer: wanted[layer] for layer in loaded},
        {layer: pretrained[layer] for layer in pretrained if layer not in others},
    )
    params = {
        layer: {
            name: np.asarray(pretrained[layer][name], np.float32)
            for name in wanted[layer]
        }
        for layer in loaded
    }
    return Merged(params, tuple(loaded), tuple(fresh), tuple(left_out))


def check_fit(wanted: Mapping[str, Mapping], found: Mapping[str, Mapping]) -> None:
    """Requires a file's parameters to be those of a network, in the same shapes.

    Raises:
      WeightsError: names everything missing, surplus and misshapen, with shapes.
    """
    shapes, stored = _flat_shapes(wanted), _flat_shapes(found)
    differences = {
        "missing from the file": [
            f"{name} {shapes[name]}" for name in shapes if name not in stored
        ],
        "surplus in the file": [
            f"{name} {stored[name]}" for name in stored if name not in shapes
        ],
        "misshapen in the file": [
            f"{name} {stored[name]} where the model has {shapes[name]}"
            for name in shapes
            if name in stored and stored[name] != shapes[name]
        ],
    }
    lines = [
        f"{what}: {', '.join(names)}" for what, names in differences.items() if names
    ]
    if lines:
        raise WeightsError("the weights do not fit the model; " + "; ".join(lines))


def _shapes(arrays: Mapping) -> dict[str, tuple[int, ...]]:
    return {name: tuple(array.shape) for name, array in arrays.items()}


def _flat_shapes(params: Mapping[str, Mapping]) -> dict[str, tuple[int, ...]]:
    return {
        f"{layer}/{name}": shape
        for layer, arrays in params.items()
        for name, shape in _shapes(arrays).items()
    }
