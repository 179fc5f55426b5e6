"""Folders that several processes fill at once, each with files of its own."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from jaxart.storage.paths import remove_unfinished

_LOCK = "lock"


@contextlib.contextmanager
def shared_folder(folder: Path) -> Iterator[None]:
    """Says for a block that a process writes in a folder, where others may, too.

    What killed processes left unfinished goes first, where no other is at work. A file
    system that knows no locks keeps it.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            lock = os.open(folder / _LOCK, flags, 0o600)
            stack.callback(os.close, lock)  # and so the lock, also of who is killed
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_unfinished(folder)
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield
