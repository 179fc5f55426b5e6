"""VGG16 weights in Keras' HDF5 files, with or without the fully connected layers.

Two layouts are about. The older has the layers' names, as in
`block1_conv1/block1_conv1_W_1:0` or `block1_conv1/block1_conv1/kernel:0`, in whole
models below `model_weights`. Keras 3's `.weights.h5` has `layers/<name>/vars/0` and
`/1`, where the names are mostly those of the classes, numbered: `conv2d`, `conv2d_1`,
... `dense`.

Kernels are HWIO and (in, out) in H,W,C order, as ours are. Keras' VGG16 was converted
from Caffe's and takes BGR (preprocessing mode 'caffe'); networks that were trained in
Keras without that preprocessing take RGB, and nothing in the file says so.

The structure of an HDF5 file is parsed by the HDF5 library. What this reader adds: no
link is followed to another file, and nothing is read before its size is plausible.

Sources: https://github.com/keras-team/keras (keras/src/applications/vgg16.py,
keras/src/legacy/saving/legacy_h5_format.py, keras/src/saving/saving_lib.py).
"""

import math
import re
from pathlib import Path

import numpy as np

from jaxart.weights.errors import WeightsError, refuse_bad_file
from jaxart.weights.vgg16_layout import CONVOLUTIONS, FULLY_CONNECTED, in_vgg16_order

_MAGIC = b"\x89HDF\r\n\x1a\n"
_MAX_DEPTH = 8
_MAX_OBJECTS = 4096

_KERAS_NAMES = {f"block{name[4]}_conv{name[6]}": name for name in CONVOLUTIONS} | {
    "fc1": "fc6",
    "fc2": "fc7",
    "predictions": "fc8",
}
_PARAMETER_NAMES = {"W": "kernel", "b": "bias", "kernel": "kernel", "bias": "bias"}


def is_hdf5(path: str | Path) -> bool:
    """Tells by the content whether a file is HDF5.

    Raises:
      OSError: the file cannot be opened.
    """
    with open(path, "rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC


def read(path: str | Path) -> dict[str, dict[str, np.ndarray]]:
    """Reads VGG16 from an `.h5` file of Keras.

    Layers with Keras' names for VGG16 are told by them. Those with others are taken
    in order where they are 13 convolutions and no, 1 or 3 fully connected layers.

    Args:
      path: the file.

    Returns:
      `{'conv1_1': {'kernel', 'bias'}, ...}` in network order, float32, in the file's
      channel order: BGR for Keras' own VGG16.

    Raises:
      WeightsError: another network, a damaged file, or h5py is not installed.
      OSError: the file cannot be opened.
    """
    with open(path, "rb"):  # Whether it can be opened is not HDF5's to say.
        pass
    try:
        import h5py  # noqa: PLC0415 (an optional dependency)
    except ImportError as error:
        raise WeightsError(
            f"{path}: reading HDF5 needs h5py: pip install h5py"
        ) from error
    with refuse_bad_file(path), h5py.File(path, "r") as file:
        datasets = _find_datasets(path, file)
        _check_sizes(path, datasets)
        params: dict[str, dict[str, np.ndarray]] = {}
        for (layer, parameter), dataset in datasets.items():
            params.setdefault(layer, {})[parameter] = dataset[()].astype(np.float32)
        return in_vgg16_order(path, _with_our_names(path, params))


def _find_datasets(path, file) -> dict:
    """Returns the datasets of the layers by layer and parameter, unread."""
    top = file
    for name in ("model_weights", "layers", "_layer_checkpoint_dependencies"):
        if name in _hard_links(path, top):
            top = top[name]
    datasets = {}
    num_objects = 0
    pending = [((), top)]
    while pending:
        parts, group = pending.pop()
        for name in _hard_links(path, group):
            num_objects += 1
            # A group may be linked into itself: only these two end such a walk.
            if num_objects > _MAX_OBJECTS or len(parts) == _MAX_DEPTH:
                raise WeightsError(f"{path}: more groups than a network of Keras has")
            item = group[name]
            if hasattr(item, "keys"):
                pending.append(((*parts, name), item))
                continue
            key = _layer_and_parameter((*parts, name))
            if key is None:
                raise WeightsError(
                    f"{path}: holds {'/'.join((*parts, name))[:80]!r}, which is "
                    "neither a kernel nor a bias of a layer"
                )
            if key in datasets:
                raise WeightsError(f"{path}: {key[0]!r:.80} has two arrays {key[1]}")
            datasets[key] = item
    return datasets


def _hard_links(path, group) -> list[str]:
    """Returns the names in a group, none of which leads out of the file."""
    import h5py  # noqa: PLC0415 (an optional dependency)

    if not isinstance(group, h5py.Group):  # Listing a dataset would read it.
        raise WeightsError(f"{path}: has an array where the layers should be")
    if len(group) > _MAX_OBJECTS:
        raise WeightsError(f"{path}: more groups than a network of Keras has")
    names = list(group)
    for name in names:
        if type(group.get(name, getlink=True)) is not h5py.HardLink:
            raise WeightsError(
                f"{path}: {name[:80]!r} is a link to elsewhere, which is not followed"
            )
    return names


def _layer_and_parameter(parts: tuple[str, ...]) -> tuple[str, str] | None:
    """Takes a layer's name and 'kernel' or 'bias' from the path of a dataset."""
    *above, last = parts
    if not above:
        return None
    # A network inside a network (transfer learning) has its layers one level lower.
    layer = next((part for part in above if part in _KERAS_NAMES), above[0])
    if above[-1] == "vars":
        parameter = {"0": "kernel", "1": "bias"}.get(last)
    else:
        match = re.fullmatch(r"(?:.*_)?(W|b|kernel|bias)(?:_\d+)?(?::0)?", last)
        parameter = match and _PARAMETER_NAMES[match[1]]
    return (layer, parameter) if parameter else None


def _check_sizes(path, datasets: dict) -> None:
    """Requires plain stored floats that fit the file, before any is read."""
    import h5py  # noqa: PLC0415 (an optional dependency)

    num_stored = 0
    for (layer, parameter), dataset in datasets.items():
        name = f"{parameter} of {layer!r:.80}"
        if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
            raise WeightsError(f"{path}: {name} is no array")
        if dataset.dtype.kind != "f" or dataset.dtype.itemsize not in (2, 4, 8):
            raise WeightsError(f"{path}: {name} is of {dataset.dtype}, not of floats")
        plist = dataset.id.get_create_plist()
        is_inside = plist.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED)
        if not is_inside or plist.get_external_count() or dataset.is_virtual:
            raise WeightsError(f"{path}: {name} is not stored as an array in this file")
        # HDF5 inflates a chunk to whatever it holds, and loads plugins for the rest.
        if plist.get_nfilters():
            raise WeightsError(
                f"{path}: {name} is compressed, as Keras' weights are not; "
                "h5repack -f NONE unpacks such a file"
            )
        # A chunk is read whole, and may be larger than the array.
        num_elements = max(math.prod(dataset.shape), math.prod(dataset.chunks or ()))
        num_bytes = num_elements * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        if num_bytes > stored:
            raise WeightsError(
                f"{path}: {name} says shape {dataset.shape}, {num_bytes:,} bytes, but "
                f"has {stored:,} in the file"
            )
        num_stored += stored
    if num_stored > Path(path).stat().st_size:
        raise WeightsError(f"{path}: its arrays lie over one another")


def _with_our_names(path, params: dict) -> dict[str, dict[str, np.ndarray]]:
    if any(layer in _KERAS_NAMES for layer in params):
        unknown = [layer for layer in params if layer not in _KERAS_NAMES]
        if unknown:
            raise WeightsError(
                f"{path}: holds {unknown[0][:80]!r}, which Keras' VGG16 does not have"
            )
        return {_KERAS_NAMES[layer]: arrays for layer, arrays in params.items()}
    convolutions = _in_order(path, params, 4)
    fully_connected = _in_order(path, params, 2)
    names = {0: (), 1: FULLY_CONNECTED[-1:], 3: FULLY_CONNECTED}
    count = len(fully_connected)
    if len(convolutions) != len(CONVOLUTIONS) or count not in names:
        raise WeightsError(
            f"{path}: {len(convolutions)} convolutions and {count} fully connected "
            "layers; VGG16 has 13, and none, 1 or 3"
        )
    return {
        ours: params[layer]
        for ours, layer in zip(
            (*CONVOLUTIONS, *names[count]),
            (*convolutions, *fully_connected),
            strict=True,
        )
    }


def _in_order(path, params: dict, ndim: int) -> list[str]:
    """Sorts the layers with kernels of so many axes by the numbers in their names."""
    numbers = {}
    stems = set()
    for layer, arrays in params.items():
        if "kernel" not in arrays or arrays["kernel"].ndim not in (2, 4):
            raise WeightsError(f"{path}: {layer!r:.80} has no kernel of 2 or 4 axes")
        if arrays["kernel"].ndim == ndim:
            stem, number = re.fullmatch(r"(.*?)(?:_(\d{1,9}))?", layer).groups()
            stems.add(stem)
            numbers[layer] = int(number or 0)
    if len(stems) > 1 or len(set(numbers.values())) < len(numbers):
        raise WeightsError(
            f"{path}: the names of its layers ({', '.join(numbers):.80}) are neither "
            "Keras' for VGG16 nor numbered"
        )
    return sorted(numbers, key=numbers.get)
