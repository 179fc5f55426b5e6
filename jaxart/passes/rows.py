"""Rows of arrays in .npy files, more of them than fit into memory."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from jaxart import storage
from jaxart.storage import AnyPath
from jaxart.storage.results import DamagedError

_BLOCK_BYTES = 1 << 24


@contextlib.contextmanager
def growing(path: Path) -> Iterator[Callable[[np.ndarray], None]]:
    """Opens a .npy file that grows by rows, which the memory does not.

    The number of rows is written at the end; until then the file counts none. (A
    memory map would have to know it first, and a full disk would kill the process.)

    Yields:
      A function that adds rows [B, ...]; all have one shape and type.
    """
    header: dict = {}

    def write_header() -> None:
        # NumPy pads it, so that it is as long for any number of rows.
        np.lib.format.write_array_header_1_0(file, header)

    def append(rows: np.ndarray) -> None:
        if not header:
            descr = np.lib.format.dtype_to_descr(rows.dtype)
            header.update(descr=descr, fortran_order=False, shape=(0, *rows.shape[1:]))
            write_header()
        count, *rest = header["shape"]
        header["shape"] = (count + len(rows), *rest)
        file.write(np.ascontiguousarray(rows).view(np.uint8).data)

    with open(path, "wb") as file:
        yield append
        if header:
            file.seek(0)
            write_header()


def mapped(path: Path) -> np.ndarray:
    """The rows of a file, which memory gets as they are asked for.

    Raises:
      OSError: there is no such file, or a link is in its place.
      DamagedError: it is shorter than it says, or no .npy file.
    """
    with storage.open_file(path) as file:
        try:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            return np.memmap(file, dtype, "r", file.tell(), shape)
        except ValueError as error:  # of a map that the file is too short for, too
            raise DamagedError(f"{path}: damaged: {error}") from None


def join(checksums: Mapping[AnyPath, str], out: Path) -> None:
    """Puts the rows of files, each with its checksum, one after another, in blocks.

    Raises:
      DamagedError: a file has another checksum; names it.
    """
    with growing(out) as append:
        for path, checksum in checksums.items():
            with storage.fetched(path) as local, storage.open_file(local) as file:
                if storage.checksum_of_file(file) != checksum:
                    says = "another checksum; the same command makes it anew"
                    raise DamagedError(f"{path}: damaged: {says}")
                file.seek(0)
                np.lib.format.read_magic(file)
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                size = max(1, _BLOCK_BYTES // (dtype.itemsize * math.prod(shape[1:])))
                for start in range(0, shape[0], size):
                    count = min(size, shape[0] - start)
                    rows = np.fromfile(file, dtype, count * math.prod(shape[1:]))
                    append(rows.reshape(count, *shape[1:]))
