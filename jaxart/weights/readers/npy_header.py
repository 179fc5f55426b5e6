"""The header of a `.npy` stream: what it says follows, before anything is allocated."""

import io
from typing import IO

import numpy as np
from numpy.lib import format as npy_format


def read_npy_header(
    stream: io.BufferedIOBase | IO[bytes],
) -> tuple[tuple, bool, np.dtype]:
    """Returns shape, whether in Fortran's order, and dtype; the data come next.

    Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

    Raises:
      ValueError: not a `.npy` stream, or one of another version than 1.0 and 2.0.
    """
    version = npy_format.read_magic(stream)
    if version == (1, 0):
        return npy_format.read_array_header_1_0(stream)
    if version == (2, 0):
        return npy_format.read_array_header_2_0(stream)
    raise ValueError(f".npy version {version}; the versions read are 1.0 and 2.0")
