"""Fits pretrained arrays to a network, strictly.

A layer either fits the file or is one that the caller said would start fresh; every
other difference between the two is named, all of them in one error.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxart.models.layers import HEAD
from jaxart.storage import AnyPath
from jaxart.weights import canonical
from jaxart.weights.errors import WeightsError
from jaxart.weights.layout import Params


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
    """Finds a file's arrays for a network whose parameters are `wanted`.

    `train_layers` may start fresh where the file lacks them or has another shape, and
    so may fc8 of another shape, as with another number of classes. `removed_layers` are
    those of the file that the network was built without. Anything with a shape serves
    as an array.

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
                (layer in train_layers or layer == HEAD)
                and arrays.keys() == pretrained[layer].keys()
                and _shapes(arrays) != _shapes(pretrained[layer])
            )
        if starts_fresh:
            fresh.append(layer)
    others = {*fresh, *left_out}
    loaded = {layer: wanted[layer] for layer in wanted if layer not in others}
    stored = {layer: pretrained[layer] for layer in pretrained if layer not in others}
    check_fit(loaded, stored)
    params = {
        layer: {name: np.asarray(stored[layer][name], np.float32) for name in arrays}
        for layer, arrays in loaded.items()
    }
    return Merged(params, tuple(loaded), tuple(fresh), tuple(left_out))


def check_fit(wanted: Mapping[str, Mapping], stored: Mapping[str, Mapping]) -> None:
    """Requires a file's parameters to be those of a network, in the same shapes.

    Raises:
      WeightsError: names everything missing, surplus and misshapen, with shapes.
    """
    ours, theirs = _flat_shapes(wanted), _flat_shapes(stored)
    differences = {
        "missing from the file": [
            f"{name} {ours[name]}" for name in ours if name not in theirs
        ],
        "surplus in the file": [
            f"{name} {theirs[name]}" for name in theirs if name not in ours
        ],
        "misshapen in the file": [
            f"{name} {theirs[name]} where the model has {ours[name]}"
            for name in ours
            if name in theirs and theirs[name] != ours[name]
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
