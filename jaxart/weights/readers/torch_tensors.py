"""What a pickle of PyTorch tensors may name, whichever container it lies in.

It is read as in `restricted_pickle`: the few names that a dict of tensors needs resolve
to inert classes of ours, every other name and opcode is refused.

A tensor is a view of a storage: an offset, a size and strides, in elements. The pickle
only says how many elements of which type a storage has; where they are is up to the
container, so arrays are made after the pickle is read. Tensors have been pickled in
three ways: as a call of `_rebuild_tensor_v2`, before PyTorch 0.4 as one of
`_rebuild_tensor`, and before that as `torch.FloatTensor()` with these four facts for
its state, as torchvision's VGG files of 2017 have them.

Sources: torch/_utils.py, torch/serialization.py (persistent_load) and
torch/_weights_only_unpickler.py; https://github.com/pytorch/pytorch/issues/6184.
"""

import io
import pickle

import numpy as np

from jaxart.weights.readers.restricted_pickle import (
    StandIn,
    TextKeyDict,
    Unpickler,
    checked_size,
)


class StorageType(StandIn):
    """Stands for `torch.FloatStorage` and its like; only to be named."""

    def __init__(self, dtype: str):
        self.dtype = np.dtype(dtype)


class Storage(StandIn):
    """Stands for a storage of a size that is only claimed, by its key in the file."""

    def __init__(self, key: str, dtype: np.dtype, num_elements: int):
        self.key, self.dtype, self.num_elements = key, dtype, num_elements
        self.num_bytes = num_elements * dtype.itemsize


class Tensor(StandIn):
    """Stands for `torch.FloatTensor` and for the functions that rebuild a tensor."""

    def __init__(self, *view):
        self.num_bytes = None  # until it has a storage
        if view:
            self.__setstate__(view)

    def __setstate__(self, state):
        storage, offset, size, stride, *more = state
        if type(storage) is not Storage:
            raise pickle.UnpicklingError("a tensor without a storage")
        if more[2:] not in ([], [None]):  # after requires_grad and hooks
            raise pickle.UnpicklingError("a tensor that is a negative or a conjugate")
        num_elements = checked_size(size)
        checked_size(stride)
        checked_size((offset,))
        if len(stride) != len(size):
            raise pickle.UnpicklingError(f"strides {stride} for the shape {size}")
        steps = sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        past_end = offset + steps + 1 if num_elements else offset
        # The second test refuses a stride of 0, by which little looks like much.
        if max(past_end, num_elements) > storage.num_elements:
            raise pickle.UnpicklingError(
                f"a tensor of shape {size}, strides {stride} and offset {offset} in a "
                f"storage of {storage.num_elements}"
            )
        self._storage, self._offset, self._size, self._stride = state[:4]
        self.num_bytes = num_elements * storage.dtype.itemsize

    def array(self, storages: dict[str, np.ndarray]) -> np.ndarray:
        """Returns a read-only view of what is in its storage, among all by key."""
        elements = storages[self._storage.key]
        strides = [step * elements.itemsize for step in self._stride]
        return np.lib.stride_tricks.as_strided(
            elements[self._offset :], self._size, strides, writeable=False
        )


class _Parameter(Tensor):
    """Stands for `torch.nn.Parameter`; its own state is about gradients."""

    def __init__(self, tensor, requires_grad=True, hooks=None):
        if type(tensor) is not Tensor:
            raise pickle.UnpicklingError("a parameter that is not of a tensor")
        vars(self).update(vars(tensor))

    def __setstate__(self, state):
        pass


class _OrderedDict(TextKeyDict):
    """Stands for `collections.OrderedDict`; its state is PyTorch's `_metadata`."""

    def __init__(self, items=()):
        super().__init__()
        for key, value in items:  # Python 2 pickles them as an argument
            self[key] = value

    def __setstate__(self, state):
        pass


# Batch norm counts its batches in integers: read, so that its network can be named.
_DTYPES = {"Half": "<f2", "Float": "<f4", "Double": "<f8", "Long": "<i8"}
_ALLOWED_NAMES = {
    ("collections", "OrderedDict"): _OrderedDict,
    ("torch._utils", "_rebuild_tensor"): Tensor,
    ("torch._utils", "_rebuild_tensor_v2"): Tensor,
    ("torch._utils", "_rebuild_parameter"): _Parameter,
    ("torch.nn.parameter", "Parameter"): _Parameter,
    **{("torch", f"{name}Storage"): StorageType(_DTYPES[name]) for name in _DTYPES},
    **{("torch", f"{name}Tensor"): Tensor for name in _DTYPES},
    **{("torch.cuda", f"{name}Tensor"): Tensor for name in _DTYPES},
}


class TensorUnpickler(Unpickler):
    """Reads pickles of tensors, one with each `load`.

    Attributes:
      storages: those that were named so far, by their keys.
    """

    allowed_names = _ALLOWED_NAMES
    purpose = "dict of float tensors"
    dispatch = Unpickler.dispatch | {
        pickle.BINPERSID[0]: pickle._Unpickler.dispatch[pickle.BINPERSID[0]],
        # An object without its `__init__`; a stand-in is only made with it.
        pickle.NEWOBJ[0]: pickle._Unpickler.dispatch[pickle.REDUCE[0]],
    }

    def __init__(self, stream: io.BytesIO):
        super().__init__(stream)
        self.storages: dict[str, Storage] = {}

    def load_tensors(self) -> dict[str, Tensor]:
        """Reads the next pickle, which is to be a dict of tensors.

        Raises:
          ValueError: it is something else, or its tensors are more than is stored.
        """
        tensors = self.load()
        if not isinstance(tensors, dict) or not tensors:
            raise ValueError("the object in it is not a dict of tensors")
        for name, tensor in tensors.items():
            is_whole = isinstance(tensor, Tensor) and tensor.num_bytes is not None
            if type(name) is not str or not is_whole:
                raise ValueError(
                    f"{name!r:.80} in it is not a tensor: a state_dict is read, "
                    "not a checkpoint that contains one"
                )
        # One storage under many names would grow when the arrays are converted.
        stored = sum(storage.num_bytes for storage in self.storages.values())
        if sum(tensor.num_bytes for tensor in tensors.values()) > stored:
            raise ValueError("its tensors share storages, which no network here does")
        return tensors

    def persistent_load(self, pid):
        """Returns the storage that an id describes."""
        if type(pid) is not tuple or len(pid) not in (5, 6) or pid[0] != "storage":
            raise pickle.UnpicklingError("a persistent id that is not of a storage")
        _, storage_type, key, _, num_elements, *view = pid
        if type(storage_type) is not StorageType or type(key) is not str:
            raise pickle.UnpicklingError("a persistent id that torch does not write")
        if view not in ([], [None]):
            raise pickle.UnpicklingError("a storage that is a part of another one")
        checked_size((num_elements,))
        found = Storage(key, storage_type.dtype, num_elements)
        storage = self.storages.setdefault(key, found)
        if vars(storage) != vars(found):
            raise pickle.UnpicklingError(f"storage {key[:40]!r} is there in two types")
        return storage
