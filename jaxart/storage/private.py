"""What belongs to one user alone: folders of caches, and files that are no links.

Who can write into a cache can choose what a run computes; who can plant a link there,
which file it overwrites or reads.
"""

import io
import os
import stat
from pathlib import Path

from jaxart.storage.remote import RemotePath, StorageError

_MODE = 0o700


def private_folder(path: Path) -> Path:
    """Makes a cache's folder, and those above it, for this user alone (mode 0700).

    One that is there keeps its mode.

    Returns:
      The path.

    Raises:
      StorageError: it belongs to another user, or is a link.
      OSError: it cannot be made.
    """
    for folder in (*reversed(path.absolute().parents), path):
        try:
            folder.mkdir(_MODE)
        except OSError:
            if not folder.is_dir():
                raise
    _check_own(path)
    return path


def _check_own(path: Path) -> None:
    said = path.lstat()
    remedy = "choose another by --config.cache_dir or the environment's XDG_CACHE_HOME"
    if stat.S_ISLNK(said.st_mode):
        raise StorageError(
            f"{path}: is a link, which no cache may be: name {path.resolve()} itself, "
            f"or {remedy}"
        )
    if not hasattr(os, "getuid"):  # Windows keeps users apart in another way
        return
    if said.st_uid != os.getuid():
        raise StorageError(
            f"{path}: belongs to {_name(path)}, who could change what this user "
            f"computes: {remedy}"
        )


def _name(path: Path) -> str:
    try:
        return f"the user {path.owner()}"
    except (KeyError, NotImplementedError):  # as in containers
        return f"the user {path.stat().st_uid}"


def open_file(path: Path) -> io.BufferedReader:
    """Opens a file that we have written, to read its bytes.

    Raises:
      OSError: there is none, or a link is in its place.
    """
    return open(path, "rb", opener=_open_no_link)


def read_bytes(path: Path | RemotePath) -> bytes:
    """What is in a file that we have written, or an object; raises as `open_file`."""
    if isinstance(path, RemotePath):
        return path.read_bytes()
    with open_file(path) as file:
        return file.read()


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))
