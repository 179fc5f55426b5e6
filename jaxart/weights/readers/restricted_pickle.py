"""Reads the pickled dict in a Caffe `.npy` file without running anything of it.

A pickle is a program: it names callables and has the reader call them. This reader
resolves the few names that an array needs to inert classes of its own, which check
what they are given, and refuses every other name and every opcode beyond numbers,
strings, lists, tuples and dicts.

It builds on the pure-Python `pickle._Unpickler` because that one has an opcode table
that can be cut down, and because the C one lets 14 bytes allocate gigabytes (its memo
is an array that any index enlarges).

Sources: the opcodes in https://docs.python.org/3/library/pickletools.html; the states
in numpy/_core/src/multiarray/methods.c (array_setstate) and descriptor.c
(arraydescr_setstate).
"""

import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxart.weights.errors import refuse_bad_file
from jaxart.weights.readers.npy_header import read_npy_header


def read_pickled_npy(path: str | Path) -> object:
    """Returns the object that `np.save(path, an_object)` wrote in Python 2 or 3.

    Returns:
      Dicts, lists, tuples, strings, bytes and numbers; arrays are `StoredArray`s.

    Raises:
      WeightsError: for anything else, whatever is wrong with it.
      OSError: the file cannot be opened.
    """
    with (
        open(path, "rb") as stream,
        refuse_bad_file(path, note="; nothing in it was run"),
    ):
        shape, _, dtype = read_npy_header(stream)
        if dtype != np.dtype(object) or shape != ():
            raise ValueError(
                f"it holds an array of dtype {dtype} and shape {shape}, not one "
                "pickled dict of layers (dtype object, shape ())"
            )
        stored = Unpickler(stream, encoding="latin1").load()
        if not isinstance(stored, StoredArray) or not isinstance(stored.value, list):
            raise ValueError("the pickle in it is not an object array")
        if len(stored.value) != 1:
            raise ValueError("the pickle in it holds more than the header says")
        return stored.value[0]


class StandIn:
    """Base of what a pickle may name; a `BUILD` on the class itself finds no state."""

    def __setstate__(self, state):
        raise pickle.UnpicklingError(f"{type(self).__name__} takes no state")


class _NdarrayName(StandIn):
    """Stands for `numpy.ndarray`, which a pickle only names."""


class _Latin1Bytes(StandIn):
    """Stands for `_codecs.encode`: how protocols 0 to 2 spell bytes in Python 3."""

    def __new__(cls, text, encoding):
        if type(text) is not str or encoding != "latin1":
            raise pickle.UnpicklingError("bytes spelled in a way that pickle does not")
        return text.encode("latin1")


class _Dtype(StandIn):
    """Stands for `numpy.dtype`: a plain number or object, and a byte order."""

    def __init__(self, code, align=False, copy=False):
        code = _as_text(code)
        if re.fullmatch(r"f[248]|[iu][1248]|O[48]?", code) is None:
            raise pickle.UnpicklingError(
                f"dtype {code[:40]}; the ones read are f2, f4, f8 and the integers"
            )
        self.numpy_dtype = np.dtype(object if code.startswith("O") else code)

    def __setstate__(self, state):
        version, byte_order, subarray, names, fields, _, _, _ = state
        byte_order = _as_text(byte_order)
        is_plain = subarray is None and names is None and fields is None
        if version != 3 or byte_order not in ("<", ">", "=", "|") or not is_plain:
            raise pickle.UnpicklingError("a dtype that is not a plain number")
        self.numpy_dtype = self.numpy_dtype.newbyteorder(byte_order)


class StoredArray(StandIn):
    """Stands for `numpy.core.multiarray._reconstruct` and the array it makes.

    Attributes:
      value: a read-only `np.ndarray` of numbers, or the list of what an object array
        of one dimension at most holds.
    """

    def __init__(self, subtype, _shape, _code):
        if subtype is not _NdarrayName:
            raise pickle.UnpicklingError("an array of a class of its own")
        self.value = None

    def __setstate__(self, state):
        version, shape, dtype, is_fortran, data = state
        if version != 1 or type(dtype) is not _Dtype or type(is_fortran) is not bool:
            raise pickle.UnpicklingError("an array state that NumPy does not write")
        size = checked_size(shape)
        if dtype.numpy_dtype.hasobject:
            if type(data) is not list or len(data) != size or len(shape) > 1:
                raise pickle.UnpicklingError(f"an object array of shape {shape}")
            self.value = data
        else:
            order = "F" if is_fortran else "C"
            self.value = _number_array(data, dtype, shape, order)


class _FromBuffer(StoredArray):
    """Stands for `numpy.core.numeric._frombuffer`: how protocol 5 spells an array."""

    def __init__(self, data, dtype, shape, order, axis_order=None):
        if type(dtype) is not _Dtype or dtype.numpy_dtype.hasobject:
            raise pickle.UnpicklingError("a buffer of something other than numbers")
        if order not in ("C", "F", "K"):
            raise pickle.UnpicklingError("an array order other than C, F and K")
        if axis_order is not None:
            checked_size(axis_order)
            array = _number_array(data, dtype, shape, "C")
            self.value = array.transpose(axis_order)
        else:
            self.value = _number_array(data, dtype, shape, "F" if order == "F" else "C")

    def __setstate__(self, state):
        raise pickle.UnpicklingError("a second state for an array")


def _as_text(text) -> str:
    if type(text) is bytes:
        return text.decode("latin1")
    if type(text) is not str:
        raise pickle.UnpicklingError("something else where a string belongs")
    return text


def checked_size(shape) -> int:
    if (
        type(shape) is not tuple
        or len(shape) > 8
        or not all(type(n) is int and 0 <= n < 2**31 for n in shape)
    ):
        raise pickle.UnpicklingError("a shape that is not a tuple of sizes")
    return math.prod(shape)


def _number_array(data, dtype: _Dtype, shape, order: Literal["C", "F"]) -> np.ndarray:
    if type(data) is str:  # Python 2's bytes, as latin1 text
        data = data.encode("latin1")
    num_bytes = checked_size(shape) * dtype.numpy_dtype.itemsize
    if type(data) is not bytes or len(data) != num_bytes:
        found = f"{len(data)} bytes" if type(data) is bytes else "something else"
        raise pickle.UnpicklingError(
            f"an array of shape {shape} and dtype {dtype.numpy_dtype} needs "
            f"{num_bytes} bytes; the file holds {found}"
        )
    return np.frombuffer(data, dtype.numpy_dtype).reshape(shape, order=order)


class TextKeyDict(dict):
    """A dict keyed by strings alone: hashing a deeply nested tuple kills Python."""

    def __setitem__(self, key, value):
        if type(key) not in (str, bytes):
            raise pickle.UnpicklingError("a dict key that is not a string")
        super().__setitem__(key, value)

    def __setstate__(self, state):
        raise pickle.UnpicklingError("a dict takes no state")


_ALLOWED_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): StoredArray,
    ("numpy._core.multiarray", "_reconstruct"): StoredArray,
    ("numpy.core.numeric", "_frombuffer"): _FromBuffer,
    ("numpy._core.numeric", "_frombuffer"): _FromBuffer,
    ("numpy", "ndarray"): _NdarrayName,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Latin1Bytes,
}

_ALLOWED_OPCODES = """
    PROTO FRAME STOP MARK GLOBAL STACK_GLOBAL REDUCE BUILD
    NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT
    STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8
    BINBYTES SHORT_BINBYTES BINBYTES8
    EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3
    SETITEM SETITEMS
    PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET MEMOIZE
"""


def _refuse_opcode(unpickler):
    raise pickle.UnpicklingError("an opcode that arrays, lists and dicts do not need")


def _load_empty_dict(unpickler):
    unpickler.append(TextKeyDict())


def _load_dict(unpickler):
    if unpickler.pop_mark():
        raise pickle.UnpicklingError("a dict built in a way that pickle does not")
    unpickler.append(TextKeyDict())


def _dispatch_table() -> dict[int, Callable[[Any], None]]:
    """Returns what each of the 256 opcodes does: mostly, be refused."""
    table: dict[int, Callable[[Any], None]]
    table = dict.fromkeys(range(256), _refuse_opcode)
    for name in _ALLOWED_OPCODES.split():
        (code,) = getattr(pickle, name)
        table[code] = pickle._Unpickler.dispatch[code]
    table[pickle.EMPTY_DICT[0]] = _load_empty_dict
    table[pickle.DICT[0]] = _load_dict
    # As plain bytes: a bytearray is allocated and zeroed before its data is there.
    table[pickle.BYTEARRAY8[0]] = pickle._Unpickler.dispatch[pickle.BINBYTES8[0]]
    return table


class Unpickler(pickle._Unpickler):
    """Reads what the allowed opcodes and names give, and refuses everything else."""

    allowed_names = _ALLOWED_NAMES
    purpose = "array"
    dispatch = _dispatch_table()

    def find_class(self, module, name):
        """Resolves a name that the pickle asks for, to one of ours or to an error."""
        if (module, name) not in self.allowed_names:
            raise pickle.UnpicklingError(
                f"it asks for {f'{module}.{name}'[:80]!r}, which no {self.purpose} "
                "needs"
            )
        return self.allowed_names[module, name]

    def persistent_load(self, pid):
        """Refuses references to things outside the file."""
        raise pickle.UnpicklingError("it refers to an object outside the file")
