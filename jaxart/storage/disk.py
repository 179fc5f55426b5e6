"""Disks that are full: told beforehand where the need is known, and in one line."""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from jaxart.storage.errors import StorageError

_QUOTA, _TOO_LARGE = errno.EDQUOT, errno.EFBIG
_FULL = (errno.ENOSPC, _QUOTA, _TOO_LARGE)
# How libraries say it that raise errors of their own: Rust's, NumPy's, SQLite's.
_SIGNS = re.compile(
    r"os error (?P<code>\d+)|\d+ requested and \d+ written|disk is full|"
    r"No space left|quota exceeded",
    re.IGNORECASE,
)
_NAME_BYTES = 255  # of a file's name, on nearly all file systems

REMEDY = "free some space, and the same command goes on"


class DiskFullError(StorageError):
    """There is no room for a file; the message names it, its disk, and what is free."""

    said = ""  # the message without the file's name


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk, a quota or a file can take no more."""
    code = getattr(error, "errno", None)
    sign = _SIGNS.search(str(error)) if code is None else None
    if sign and sign["code"]:
        return int(sign["code"]) in _FULL
    return code in _FULL or sign is not None


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Turns what a full disk raises into one line about a file that is being written.

    The file is the outermost one, which bears the name that a user knows.

    Raises:
      DiskFullError: in place of the error, whichever library's.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, DiskFullError):
            said = error.said
        elif is_full(error):
            said = describe(path, error)
        else:
            raise
        raise _of(path, said) from error


def describe(path: Path, error: BaseException) -> str:
    """What a user should know of a file that could not be written, but its name."""
    code = getattr(error, "errno", None)
    if code == _TOO_LARGE:
        return (
            f"too large for the disk at {disk_of(path)}, or for what a process may "
            "write here (`ulimit -f`)"
        )
    what = "your quota is used up on" if code == _QUOTA else "no space is left on"
    return f"{what} the disk at {disk_of(path)} {_free_on(path)}: {REMEDY}"


def _of(path: Path, said: str) -> DiskFullError:
    error = DiskFullError(f"{path}: {said}")
    error.said = said
    return error


def require(path: Path, num_bytes: int) -> None:
    """Makes sure, before the work, that a file of so many bytes can be written.

    Raises:
      DiskFullError: it cannot.
    """
    free = shutil.disk_usage(_there(path)).free
    if free < num_bytes:
        disk = f"the disk at {disk_of(path)} {_free_on(path)}"
        raise _of(path, f"needs {_shown(num_bytes)} on {disk}: {REMEDY}")


def check_names(*paths: Path) -> None:
    """Makes sure, before the work, that files can be called so.

    Raises:
      StorageError: a name is too long.
    """
    for path in paths:
        length = len(os.fsencode(path.name))
        if length > _NAME_BYTES:
            raise StorageError(
                f"{path}: its name has {length} bytes, and a file's has "
                f"{_NAME_BYTES} at most: choose a shorter --out"
            )


def disk_of(path: Path) -> Path:
    """Where the disk is mounted that a file is on, or would be."""
    there = _there(path)
    return next(folder for folder in (there, *there.parents) if os.path.ismount(folder))


def _there(path: Path) -> Path:
    """The nearest folder above a file that there is."""
    folders = path.absolute().parents
    return next(folder for folder in folders if folder.is_dir()).resolve()


def _free_on(path: Path) -> str:
    return f"({_shown(shutil.disk_usage(_there(path)).free)} free)"


def _shown(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB"
