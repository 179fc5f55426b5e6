"""What is being written, under a name that tells its writer: what a dead one left goes.

Names are short, whatever the file is to be called, and begin with a dot.
"""

import contextlib
import functools
import hashlib
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

_NAME = re.compile(r"\.jaxart-([0-9a-f]{8})-(\d+)-([0-9a-f]{8})[0-9a-f]{8}\.tmp")
_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
_PROCESS = secrets.token_hex(4)  # a process id may be another's one day
_STALE_SECONDS = 7 * 86400  # of a writer on another machine, of whom nothing is known


def new(folder: Path) -> Path:
    """A name in a folder that nobody else has."""
    token = secrets.token_hex(4)
    return folder / f".jaxart-{_HOST}-{os.getpid()}-{_PROCESS}{token}.tmp"


@contextlib.contextmanager
def folder_in(parent: Path, mode: int = 0o777) -> Iterator[Path]:
    """A new folder in another, for the block, and no longer unless it is renamed."""
    remove_left(parent)
    path = new(parent)
    path.mkdir(mode)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@functools.lru_cache(maxsize=1 << 14)
def remove_left_once(folder: Path) -> None:
    """As `remove_left`, the first time that this process writes in a folder."""
    remove_left(folder)


def remove_left(folder: Path) -> None:
    """Removes what writers in a folder left who are no more."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        for entry in os.scandir(folder):
            if is_beside(entry.name) and _is_left(entry):
                remove(folder / entry.name)


def is_beside(name: str) -> bool:
    """Whether a file's name is one of `new`."""
    return bool(_NAME.fullmatch(name))


def remove(path: Path) -> None:
    """Removes a file or a folder, as far as it can be."""
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _is_left(entry: os.DirEntry) -> bool:
    match = _NAME.fullmatch(entry.name)
    assert match is not None
    host, pid, process = match[1], int(match[2]), match[3]
    if host != _HOST:
        with contextlib.suppress(OSError):
            return entry.stat().st_mtime < time.time() - _STALE_SECONDS
        return False
    if pid == os.getpid():
        return process != _PROCESS
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    return False
