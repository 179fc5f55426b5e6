"""VGG16 weights as a `.npz` file with one member an array, as `vgg16_weights.npz` is.

The members are `conv1_1_W`, `conv1_1_b` ... `fc8_W`, `fc8_b`: kernels HWIO, fully
connected ones (in, out). Files of this layout exist in RGB and in BGR order, and
nothing in them says which.

Source: https://www.cs.toronto.edu/~frossard/post/vgg16/.
"""

import math
import re
import zipfile
from pathlib import Path

import numpy as np

from jaxart.weights.errors import WeightsError, refuse_bad_file
from jaxart.weights.layout import Params
from jaxart.weights.readers.npy_header import read_npy_header

_PARAMETER_NAMES = {"W": "kernel", "b": "bias"}
_MAX_BYTES = 4 << 30  # VGG16 is 0.55 GB in float32; a zip bomb is more.


def read(path: str | Path) -> Params:
    """Reads a `.npz` file of `<layer>_W` and `<layer>_b` arrays, in its order."""
    params = {}
    with (
        open(path, "rb") as stream,
        refuse_bad_file(path),
        zipfile.ZipFile(stream) as archive,
    ):
        members = archive.infolist()
        if sum(member.file_size for member in members) > _MAX_BYTES:
            raise WeightsError(f"it unpacks to more than {_MAX_BYTES:,} bytes")
        for member in members:
            match = re.fullmatch(r"(.+)_([Wb])\.npy", member.filename)
            if match is None:
                raise WeightsError(
                    f"holds {member.filename[:80]!r}; the names read are "
                    "<layer>_W and <layer>_b, as in conv1_1_W and fc6_b"
                )
            layer, parameter = match[1], _PARAMETER_NAMES[match[2]]
            arrays = params.setdefault(layer, {})
            if parameter in arrays:
                raise WeightsError(f"holds {member.filename!r} twice")
            arrays[parameter] = _read_member(archive, member)
        for layer, arrays in params.items():
            if len(arrays) < 2:
                raise WeightsError(f"{layer} has only one of {layer}_W, {layer}_b")
        if not params:
            raise WeightsError("an empty zip")
        return params


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Reads one array, once its header and the zip's directory agree on its size."""
    name = member.filename
    with archive.open(member) as stream:
        shape, is_fortran, dtype = read_npy_header(stream)
        if dtype.kind not in "fiu":
            raise WeightsError(f"{name} is an array of {dtype}, not of numbers")
        num_bytes = math.prod(shape) * dtype.itemsize
        num_stored = member.file_size - stream.tell()
        if num_bytes != num_stored:
            raise WeightsError(
                f"{name} says shape {shape} and dtype {dtype}, {num_bytes:,} bytes, "
                f"but holds {num_stored:,}"
            )
        data = stream.read()
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C")
    return np.ascontiguousarray(array, np.float32)
