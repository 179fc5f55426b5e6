"""HDF5 files of unknown origin: what their groups hold, and whether it can be read.

The structure of an HDF5 file is parsed by the HDF5 library. What is added here: no
link is followed to another file, and nothing is read before its size is plausible.
"""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxart.weights.errors import WeightsError, refuse_bad_file

_MAGIC = b"\x89HDF\r\n\x1a\n"
_MAX_DEPTH = 8
_MAX_OBJECTS = 4096


def is_hdf5(path: str | Path) -> bool:
    """Tells by the content whether a file is HDF5."""
    with open(path, "rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC


@contextlib.contextmanager
def open_file(path: str | Path) -> Iterator:
    """Opens an HDF5 file; what goes wrong while it is open is one `WeightsError`."""
    with open(path, "rb"):  # Whether it can be opened is not HDF5's to say.
        pass
    with refuse_bad_file(path):
        try:
            import h5py  # noqa: PLC0415 (an optional dependency)
        except ImportError:
            raise WeightsError(
                "reading HDF5 needs h5py: pip install 'jaxart[hdf5]'"
            ) from None
        with h5py.File(path, "r") as file:
            yield file


def hard_links(group) -> list[str]:
    """Returns the names in a group, none of which leads out of the file."""
    import h5py  # noqa: PLC0415 (an optional dependency)

    if not isinstance(group, h5py.Group):  # Listing a dataset would read it.
        raise WeightsError("has an array where the layers should be")
    if len(group) > _MAX_OBJECTS:
        raise WeightsError("more groups than a network has")
    names = list(group)
    for name in names:
        if type(group.get(name, getlink=True)) is not h5py.HardLink:
            raise WeightsError(
                f"{name[:80]!r} is a link to elsewhere, which is not followed"
            )
    return names


def find_datasets(top) -> dict:
    """Returns the datasets below a group, unread, by the names that lead to them.

    All are plain floats, stored in this file as they are, each in its own place.
    """
    datasets = {}
    num_objects = 0
    pending: list[tuple[tuple[str, ...], Any]] = [((), top)]
    while pending:
        keys, group = pending.pop()
        for name in hard_links(group):
            num_objects += 1
            # A group may be linked into itself: only these two end such a walk.
            if num_objects > _MAX_OBJECTS or len(keys) == _MAX_DEPTH:
                raise WeightsError("more groups than a network has")
            item = group[name]
            if hasattr(item, "keys"):
                pending.append(((*keys, name), item))
            else:
                datasets[*keys, name] = item
    num_stored = sum(_stored_bytes(*item) for item in datasets.items())
    if num_stored > Path(top.file.filename).stat().st_size:
        raise WeightsError("its arrays lie over one another")
    return datasets


def _stored_bytes(keys: tuple[str, ...], dataset) -> int:
    """How much of the file a dataset takes, which is as much as its shape says."""
    import h5py  # noqa: PLC0415 (an optional dependency)

    name = repr("/".join(keys)[:80])
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise WeightsError(f"{name} is no array")
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize not in (2, 4, 8):
        raise WeightsError(f"{name} is of {dataset.dtype}, not of floats")
    plist = dataset.id.get_create_plist()
    is_inside = plist.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED)
    if not is_inside or plist.get_external_count() or dataset.is_virtual:
        raise WeightsError(f"{name} is not stored as an array in this file")
    # HDF5 inflates a chunk to whatever it holds, and loads plugins for the rest.
    if plist.get_nfilters():
        raise WeightsError(
            f"{name} is compressed, as Keras' and Caffe's weights are not; "
            "h5repack -f NONE unpacks such a file"
        )
    # A chunk is read whole, and may be larger than the array.
    num_elements = max(math.prod(dataset.shape), math.prod(dataset.chunks or ()))
    num_bytes = num_elements * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    if num_bytes > stored:
        raise WeightsError(
            f"{name} says shape {dataset.shape}, {num_bytes:,} bytes, but "
            f"has {stored:,} in the file"
        )
    return stored
