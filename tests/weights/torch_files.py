"""Writes files as `torch.save` does, without PyTorch; what hostile ones may hold."""

import collections
import io
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import pytest

KINDS = {"e": "HalfStorage", "f": "FloatStorage", "d": "DoubleStorage"}
ITEM_SIZES = {"HalfStorage": 2, "FloatStorage": 4, "DoubleStorage": 8}
SYSTEM = {
    "protocol_version": 1001,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}
START = (0x1950A86A20F9469CFC6C, 1001, SYSTEM)

FLOATS = np.arange(6, dtype=np.float32)
# The same in a pickle written by hand: a storage "0", and a tensor of all of it.
STORAGE_ID = (
    b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x06t"
)
VIEW = b"(" + STORAGE_ID + b"QK\x00K\x06\x85K\x01\x85t"
ORDERED_DICT = b"ccollections\nOrderedDict\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
TENSOR = REBUILD + VIEW[:-1] + b"\x89" + ORDERED_DICT + b")RtR"


class Storage:
    """A storage to be pickled: the bytes of `data` under a key."""

    def __init__(self, kind, key, data, num_elements):
        self.kind, self.key, self.data = kind, key, data
        self.num_elements = num_elements


class Tensor:
    """Pickles as a tensor does."""

    def __init__(self, storage, offset, size, stride, *metadata):
        self.arguments = (storage, offset, size, stride, False)
        self.metadata = metadata

    def __reduce__(self):
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (*self.arguments, collections.OrderedDict(), *self.metadata)


class Call:
    """Pickles to a call of a function."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def tensor(array, key="0", size=None, stride=None, offset=0, num_elements=None):
    """A contiguous tensor, or one that says something else."""
    kind = KINDS.get(array.dtype.char, "LongStorage")
    num_elements = array.size if num_elements is None else num_elements
    storage = Storage(kind, key, array.tobytes(), num_elements)
    if stride is None:
        stride = tuple(step // array.itemsize for step in array.strides)
    return Tensor(storage, offset, array.shape if size is None else size, stride)


def state_dict(arrays):
    """What `torch.nn.Module.state_dict` returns."""
    content = collections.OrderedDict(
        (name, tensor(array, str(key)))
        for key, (name, array) in enumerate(arrays.items())
    )
    content._metadata = collections.OrderedDict(
        [("", {"version": 1}), ("features", {"version": 1})]
    )
    return content


def write_zip(path, content, compression=zipfile.ZIP_STORED, members=(), pickled=None):
    """Writes what `torch.save` writes since PyTorch 1.6."""
    stream = io.BytesIO()
    storages = _dump(content, stream, ())
    written = {
        "data.pkl": stream.getvalue() if pickled is None else pickled,
        "byteorder": b"little",
        **{f"data/{key}": storage.data for key, storage in storages.items()},
        "version": b"3\n",
        ".data/serialization_id": b"0" * 40,
        **dict(members),
    }
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in written.items():
            if data is not None:
                archive.writestr(f"vgg16/{name}", data)
    return path


def write_legacy(
    path, content, pickled=None, start=START, keys=None, counts=None, view=None
):
    """Writes what `torch.save` wrote before."""
    stream = io.BytesIO()
    for each in start:
        stream.write(pickle.dumps(each, 2))
    if pickled is None:
        storages = _dump(content, stream, (view,))
    else:
        storages = _dump(content, io.BytesIO(), (view,))
        stream.write(pickled)
    pickle.dump(sorted(storages) if keys is None else keys, stream, 2)
    for key in sorted(storages):
        data = storages[key].data
        count = len(data) // ITEM_SIZES.get(storages[key].kind, 8)
        stream.write(struct.pack("<q", (counts or {}).get(key, count)) + data)
    path.write_bytes(stream.getvalue())
    return path


def _dump(content, stream, more) -> dict[str, Storage]:
    """Pickles tensors with protocol 2; returns their storages by key."""
    storages = {}
    modules = _stand_ins()

    class Pickler(pickle._Pickler):
        def persistent_id(self, thing):
            if not isinstance(thing, Storage):
                return None
            storages[thing.key] = thing
            kind = getattr(modules["torch"], thing.kind) if thing.kind else None
            return ("storage", kind, thing.key, "cpu", thing.num_elements, *more)

    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        Pickler(stream, 2).dump(content)
    return storages


def _stand_ins():
    """Modules with what a pickle of tensors names, as far as pickling needs it."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2():
        pass

    for name in (*KINDS.values(), "LongStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    return {"torch": torch, "torch._utils": utils}
