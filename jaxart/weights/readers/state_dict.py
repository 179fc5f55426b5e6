"""Arrays under PyTorch's names, out of any of the files that hold them.

Which one a file is shows in its first bytes; whose network it is shows in the names.

- `.safetensors`.
- What `torch.save` writes since PyTorch 1.6: a zip, where `<name>/data.pkl` is a pickle
  that describes the tensors, and `<name>/data/<key>` are the bytes of a storage.
- What it wrote before, as torchvision's public VGG16 (`vgg16-397923af.pth`): five
  pickles (a magic number, a version, facts of the machine, the tensors, the keys of
  their storages) and then the storages in the order of the keys, each an int64 number
  of elements and the elements.

The still older files that are tar archives are not read. PyTorch is not needed, and
nothing of the files is run.

Sources: https://docs.pytorch.org/docs/stable/notes/serialization.html;
torch/serialization.py (_legacy_save, _legacy_load);
https://huggingface.co/docs/safetensors.
"""

import io
import os
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors import safe_open

from jaxart.weights.errors import refuse_bad_file
from jaxart.weights.readers.torch_tensors import Storage, TensorUnpickler

_MAX_PICKLE_BYTES = 1 << 20  # VGG16's is 4 kB, and one of lists grows sixtyfold.
_MAX_BYTES = 4 << 30  # VGG16 is 0.55 GB in float32; a zip bomb is more.

_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # a whole pickle
_LEGACY_VERSION = 1001


def is_state_dict_file(path: str | Path) -> bool:
    """Tells by the content whether a file is of a kind that `read` is for."""
    with open(path, "rb") as stream:
        return _find_reader(stream) is not None


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a `.safetensors` or `.pth` file: read-only arrays, in the file's dtypes.

    They are in a `.pth` file's order, and in the names' order for `.safetensors`.
    """
    with (
        open(path, "rb") as stream,
        refuse_bad_file(path, note="; nothing in it was run"),
    ):
        reader = _find_reader(stream) or _read_zip
        return reader(stream)


def _find_reader(stream: io.BufferedReader) -> Callable | None:
    start = stream.read(len(_LEGACY_MAGIC))
    stream.seek(0)
    if start[8:9] == b"{":
        return _read_safetensors
    if start == _LEGACY_MAGIC:
        return _read_legacy
    try:
        with zipfile.ZipFile(stream) as archive:
            is_torch = any(map(_is_pickle_name, archive.namelist()))
            return _read_zip if is_torch else None
    except Exception:  # zipfile raises many kinds at a damaged directory
        return None


def _read_safetensors(stream: io.BufferedReader) -> dict[str, np.ndarray]:
    with safe_open(stream.name, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if not arrays:
        raise ValueError("it holds no arrays")
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


def _read_legacy(stream: io.BufferedReader) -> dict[str, np.ndarray]:
    pickles = io.BytesIO(stream.read(_MAX_PICKLE_BYTES))
    unpickler = TensorUnpickler(pickles)
    _, version, system = (unpickler.load() for _ in range(3))
    if version != _LEGACY_VERSION:
        raise ValueError("it does not start as torch.save's files do")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("its numbers are not little endian")
    tensors = unpickler.load_tensors()
    keys = unpickler.load()
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise ValueError("it does not list its storages")
    if sorted(keys) != sorted(unpickler.storages):
        raise ValueError("the storages it lists are not those of its tensors")
    stream.seek(pickles.tell())
    storages = {key: _read_next(stream, unpickler.storages[key]) for key in keys}
    return {name: tensor.array(storages) for name, tensor in tensors.items()}


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


def _read_zip(stream: io.BufferedReader) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(stream) as archive:
        members = _members(archive, os.fstat(stream.fileno()).st_size)
        pickles = [name for name in members if _is_pickle_name(name)]
        if len(pickles) != 1:
            raise ValueError(f"the zip holds {len(pickles)} data.pkl, not one")
        if members[pickles[0]].file_size > _MAX_PICKLE_BYTES:
            raise ValueError(f"its data.pkl is larger than {_MAX_PICKLE_BYTES:,} bytes")
        folder = pickles[0].removesuffix("data.pkl")
        order = members.get(f"{folder}byteorder")
        if order and (order.file_size > 6 or _read_member(archive, order) != b"little"):
            raise ValueError("its numbers are not little endian")
        pickled = _read_member(archive, members[pickles[0]])
        unpickler = TensorUnpickler(io.BytesIO(pickled))
        tensors = unpickler.load_tensors()
        # A key is looked up among the zip's names and is never a path of ours.
        storages = {
            key: _read_storage(archive, members.get(f"{folder}data/{key}"), storage)
            for key, storage in unpickler.storages.items()
        }
    return {name: tensor.array(storages) for name, tensor in tensors.items()}


def _is_pickle_name(name: str) -> bool:
    return re.fullmatch(r"[^/]+/data\.pkl", name) is not None


def _members(archive: zipfile.ZipFile, size_of_file: int) -> dict[str, zipfile.ZipInfo]:
    """Returns what an archive holds, once its directory has been found plausible."""
    infos = archive.infolist()
    members = {info.filename: info for info in infos}
    if len(members) != len(infos):
        raise ValueError("a member of the zip is there twice")
    if sum(info.file_size for info in infos) > _MAX_BYTES:
        raise ValueError(f"it unpacks to more than {_MAX_BYTES:,} bytes")
    if sum(info.compress_size for info in infos) > size_of_file:
        raise ValueError("the members of the zip lie over one another")
    return members


def _read_storage(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo | None, storage: Storage
) -> np.ndarray:
    if info is None or info.file_size != storage.num_bytes:
        fact = "is not there" if info is None else f"has {info.file_size:,}"
        raise ValueError(
            f"storage {storage.key[:40]!r} should have {storage.num_bytes:,} bytes "
            f"and {fact}"
        )
    return np.frombuffer(_read_member(archive, info), storage.dtype)


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename[:80]!r} is compressed as torch does not")
    with archive.open(info) as stream:
        # With a size: without one, zipfile inflates first and looks at the size then.
        data = stream.read(info.file_size)
    if len(data) != info.file_size:
        raise ValueError(f"{info.filename[:80]!r} is shorter than the zip says")
    return data
