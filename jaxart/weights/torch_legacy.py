"""Reads `torch.save` files from before PyTorch 1.6, and runs nothing of them.

torchvision's public VGG16 (`vgg16-397923af.pth`) is one. Such a file is five pickles (a
magic number, a version, facts of the machine, the tensors, the keys of their storages)
and then the storages in the order of the keys, each an int64 number of elements and
the elements.

Source: torch/serialization.py (_legacy_save, _legacy_load). The still older files that
are tar archives are not read.
"""

import io
import os
import struct
from pathlib import Path

import numpy as np

from jaxart.weights.errors import refuse_bad_file
from jaxart.weights.torch_tensors import MAX_PICKLE_BYTES, Storage, TensorUnpickler

_MAGIC = 0x1950A86A20F9469CFC6C
_PICKLED_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_VERSION = 1001


def is_legacy_torch_file(path: str | Path) -> bool:
    """Tells whether a file is what `torch.save` wrote before PyTorch 1.6.

    Raises:
      OSError: the file cannot be opened.
    """
    with open(path, "rb") as stream:
        return stream.read(len(_PICKLED_MAGIC)) == _PICKLED_MAGIC


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a dict of tensors.

    Args:
      path: a file written by `torch.save(model.state_dict(), path)` at the time.

    Returns:
      Read-only arrays by name, in the file's order, in its dtypes.

    Raises:
      WeightsError: for anything else, whatever is wrong with it.
      OSError: the file cannot be opened.
    """
    with (
        open(path, "rb") as stream,
        refuse_bad_file(path, note="; nothing in it was run"),
    ):
        pickles = io.BytesIO(stream.read(MAX_PICKLE_BYTES))
        unpickler = TensorUnpickler(pickles)
        _check_start(*(unpickler.load() for _ in range(3)))
        tensors = unpickler.load_tensors()
        keys = _checked_keys(unpickler.load(), unpickler.storages)
        stream.seek(pickles.tell())
        storages = {key: _read_next(stream, unpickler.storages[key]) for key in keys}
        return {name: tensor.array(storages) for name, tensor in tensors.items()}


def _check_start(magic, version, system) -> None:
    if magic != _MAGIC or version != _VERSION:
        raise ValueError("it does not start as torch.save's files do")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("its numbers are not little endian")


def _checked_keys(keys, storages: dict[str, Storage]) -> list[str]:
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise ValueError("it does not list its storages")
    if sorted(keys) != sorted(storages):
        raise ValueError("the storages it lists are not those of its tensors")
    return keys


def _read_next(stream: io.BufferedReader, storage: Storage) -> np.ndarray:
    """Reads the storage where the stream is, once the file is found to hold it."""
    (num_elements,) = struct.unpack("<q", stream.read(8))
    left = os.fstat(stream.fileno()).st_size - stream.tell()
    if num_elements != storage.num_elements or storage.num_bytes > left:
        raise ValueError(
            f"storage {storage.key[:40]!r} should have {storage.num_elements:,} "
            f"elements, {storage.num_bytes:,} bytes; it says {num_elements:,} elements "
            f"and {left:,} bytes are left"
        )
    return np.fromfile(stream, storage.dtype, num_elements)
