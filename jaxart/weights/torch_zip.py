"""Reads the tensors of a `torch.save` file without PyTorch, and runs nothing of it.

Such a file is a zip: `<name>/data.pkl` is a pickle that describes the tensors, and
`<name>/data/<key>` holds the bytes of the storage `<key>`. The pickle is read as in
`restricted_pickle`: the few names that a dict of tensors needs resolve to inert
classes of ours, every other name and opcode is refused.

Source: https://pytorch.org/docs/stable/notes/serialization.html; torch/_utils.py
(_rebuild_tensor_v2) and torch/serialization.py (persistent_load).
"""

import io
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np

from jaxart.weights.errors import refuse_bad_file
from jaxart.weights.restricted_pickle import (
    _checked_size,
    _Dict,
    _StandIn,
    _Unpickler,
)

_MAX_BYTES = 4 << 30  # VGG16 is 0.55 GB in float32; a zip bomb is more.
_MAX_PICKLE_BYTES = 16 << 20  # VGG16's is 4 kB.

# How a file from before PyTorch 1.6 starts: a pickle of this magic number.
_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def is_torch_zip(path: str | Path) -> bool:
    """Tells whether a file is a zip as `torch.save` writes it, by its directory.

    Raises:
      OSError: the file cannot be opened.
    """
    with open(path, "rb") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                return any(map(_is_pickle_name, archive.namelist()))
        except Exception:  # zipfile raises many kinds at a damaged directory
            return False


def is_legacy_torch_file(path: str | Path) -> bool:
    """Tells whether a file is what `torch.save` wrote before PyTorch 1.6.

    Raises:
      OSError: the file cannot be opened.
    """
    with open(path, "rb") as stream:
        return stream.read(len(_LEGACY_MAGIC)) == _LEGACY_MAGIC


def read_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a dict of tensors.

    Args:
      path: a file written by `torch.save(model.state_dict(), path)`.

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
        if is_legacy_torch_file(path):
            raise ValueError(
                "it is in the format from before PyTorch 1.6; there, "
                "torch.save(torch.load(old), new) writes it anew, and "
                "timm/vgg16.tv_in1k on huggingface.co is the same network as "
                ".safetensors"
            )
        with zipfile.ZipFile(stream) as archive:
            members = _members(archive, Path(path).stat().st_size)
            unpickler = _TorchUnpickler(archive, members)
            content = unpickler.load()
        if not isinstance(content, dict) or not content:
            raise ValueError("the object in it is not a dict of tensors")
        for name, value in content.items():
            if type(name) is not str or not isinstance(value, _Tensor):
                raise ValueError(
                    f"{name!r:.80} in it is not a tensor: a state_dict is read, "
                    "not a checkpoint that contains one"
                )
        # One storage under many names would grow when the arrays are converted.
        arrays = {name: tensor.value for name, tensor in content.items()}
        stored = sum(array.nbytes for array in unpickler.storages.values())
        if sum(array.nbytes for array in arrays.values()) > stored:
            raise ValueError("its tensors share storages, which no network here does")
        return arrays


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


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename[:80]!r} is compressed as torch does not")
    with archive.open(info) as stream:
        # With a size: without one, zipfile inflates first and looks at the size then.
        data = stream.read(info.file_size)
    if len(data) != info.file_size:
        raise ValueError(f"{info.filename[:80]!r} is shorter than the zip says")
    return data


class _StorageType(_StandIn):
    """Stands for `torch.FloatStorage` and its like; only to be named."""

    def __init__(self, dtype: str):
        self.dtype = np.dtype(dtype)


class _Storage(_StandIn):
    """Stands for a storage, which a pickle gets by a persistent id."""

    def __init__(self, array: np.ndarray):
        self.array = array


class _Tensor(_StandIn):
    """Stands for `torch._utils._rebuild_tensor_v2` and the tensor that it makes."""

    def __init__(
        self, storage, offset, size, stride, requires_grad, hooks, metadata=None
    ):
        if type(storage) is not _Storage:
            raise pickle.UnpicklingError("a tensor without a storage")
        num_elements = _checked_size(size)
        _checked_size(stride)
        _checked_size((offset,))
        if len(stride) != len(size):
            raise pickle.UnpicklingError(f"strides {stride} for the shape {size}")
        array = storage.array
        steps = sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        past_end = offset + steps + 1 if num_elements else offset
        # The second test refuses a stride of 0, by which little looks like much.
        if past_end > array.size or num_elements > array.size:
            raise pickle.UnpicklingError(
                f"a tensor of shape {size}, strides {stride} and offset {offset} in a "
                f"storage of {array.size}"
            )
        self.value = np.lib.stride_tricks.as_strided(
            array[offset:],
            size,
            [step * array.itemsize for step in stride],
            writeable=False,
        )


class _OrderedDict(_Dict):
    """Stands for `collections.OrderedDict`; its state is PyTorch's `_metadata`."""

    def __init__(self):
        super().__init__()

    def __setstate__(self, state):
        pass


_ALLOWED_NAMES = {
    ("collections", "OrderedDict"): _OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch", "HalfStorage"): _StorageType("<f2"),
    ("torch", "FloatStorage"): _StorageType("<f4"),
    ("torch", "DoubleStorage"): _StorageType("<f8"),
    # Batch norm counts its batches in one: read, so that its network can be named.
    ("torch", "LongStorage"): _StorageType("<i8"),
}


class _TorchUnpickler(_Unpickler):
    dispatch = _Unpickler.dispatch | {
        pickle.BINPERSID[0]: pickle._Unpickler.load_binpersid
    }

    def __init__(self, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]):
        names = [name for name in members if _is_pickle_name(name)]
        if len(names) != 1:
            raise ValueError(f"the zip holds {len(names)} data.pkl, not one")
        self._folder = names[0].removesuffix("data.pkl")
        if members[names[0]].file_size > _MAX_PICKLE_BYTES:
            raise ValueError(f"its data.pkl is larger than {_MAX_PICKLE_BYTES:,} bytes")
        byte_order = members.get(self._folder + "byteorder")
        if byte_order is not None and (
            byte_order.file_size > 6 or _read_member(archive, byte_order) != b"little"
        ):
            raise ValueError("its numbers are not little endian")
        self._archive, self._members = archive, members
        self.storages: dict[str, np.ndarray] = {}
        super().__init__(io.BytesIO(_read_member(archive, members[names[0]])))

    def find_class(self, module, name):
        """Resolves a name that the pickle asks for, to one of ours or to an error."""
        if (module, name) not in _ALLOWED_NAMES:
            raise pickle.UnpicklingError(
                f"it asks for {f'{module}.{name}'[:80]!r}, which no dict of float "
                "tensors needs"
            )
        return _ALLOWED_NAMES[module, name]

    def persistent_load(self, pid):
        """Reads the storage that an id names, once its size is what the id says."""
        if type(pid) is not tuple or len(pid) != 5 or pid[0] != "storage":
            raise pickle.UnpicklingError("a persistent id that is not of a storage")
        _, storage_type, key, _, num_elements = pid
        _checked_size((num_elements,))
        if type(storage_type) is not _StorageType or type(key) is not str:
            raise pickle.UnpicklingError("a persistent id that torch does not write")
        dtype = storage_type.dtype
        # The key is looked up among the zip's names and is never a path of ours.
        info = self._members.get(f"{self._folder}data/{key}")
        num_bytes = num_elements * dtype.itemsize
        if info is None or info.file_size != num_bytes:
            found = "is not there" if info is None else f"has {info.file_size:,}"
            raise pickle.UnpicklingError(
                f"storage {key[:40]!r} should have {num_bytes:,} bytes and {found}"
            )
        if key not in self.storages:
            data = _read_member(self._archive, info)
            self.storages[key] = np.frombuffer(data, dtype)
        if self.storages[key].dtype != dtype:
            raise pickle.UnpicklingError(f"storage {key[:40]!r} has two types")
        return _Storage(self.storages[key])
