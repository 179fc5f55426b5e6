"""Caffe's other weight file: `.caffemodel.h5`, of `snapshot_format: HDF5`.

The kernel and the bias of layer fc6 are `data/fc6/0` and `data/fc6/1`, as a
`.caffemodel` has them: OIHW and (out, in), the first inner product for C, H, W, the
input BGR. A layer without weights is an empty group. HDF5 keeps no order of groups, so
the layers are known by their names.

Reference: Net::ToHDF5, https://github.com/BVLC/caffe/blob/master/src/caffe/net.cpp
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxart.models import Network
from jaxart.models.layers import trainable
from jaxart.weights.errors import WeightsError
from jaxart.weights.layout import Params, from_caffe
from jaxart.weights.readers import hdf5

_NUMBERS = ("0", "1")  # the kernel, the bias


def is_caffe_h5(path: str | Path) -> bool:
    """Tells by the outermost groups whether a file is a `.caffemodel.h5`.

    Returns:
      False also where HDF5 cannot be read: `keras_h5.read` says why.

    Raises:
      OSError: the file cannot be opened.
    """
    try:
        with hdf5.open_file(path) as file:
            return _has_caffes_groups(file)
    except WeightsError:
        return False


def read(path: str | Path, network: Network) -> Params:
    """Reads a network's layers, as many as there are, from a `.caffemodel.h5`.

    Returns:
      `{'conv1': {'kernel', 'bias'}, ...}` in network order, float32, for BGR input.

    Raises:
      WeightsError: layers that the network does not have, a damaged file, or h5py is
        not installed.
      OSError: the file cannot be opened.
    """
    with hdf5.open_file(path) as file:
        if not _has_caffes_groups(file):
            raise WeightsError(
                "no .caffemodel.h5, which has a group 'data', and 'diff' at the most "
                "beside it"
            )
        blobs = hdf5.find_datasets(file["data"])
        return from_caffe(_read_layers(blobs, trainable(network.layers())))


def _has_caffes_groups(file) -> bool:
    names = set(hdf5.hard_links(file))
    return "data" in names and names <= {"data", "diff"}


def _read_layers(
    blobs: dict, names: tuple[str, ...]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for layer in _layers_in_order(blobs, names):
        kernel, bias = (blobs[layer, number][()] for number in _NUMBERS)
        if kernel.ndim != (2 if layer.startswith("fc") else 4):
            raise WeightsError(
                f"layer {layer!r} has a kernel of shape {kernel.shape} and a bias of "
                f"{bias.shape}"
            )
        yield layer, kernel, bias


def _layers_in_order(blobs: dict, names: tuple[str, ...]) -> list[str]:
    """Returns those of the named layers that have blobs; no others may have any."""
    layers = [name for name in names if any(name == parts[0] for parts in blobs)]
    odd = blobs.keys() ^ {(layer, number) for layer in layers for number in _NUMBERS}
    if odd:
        raise WeightsError(
            f"{'/'.join(('data', *min(odd)))[:80]!r} is missing, or is no kernel or "
            "bias of the network's"
        )
    return layers
