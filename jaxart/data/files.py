"""What image files are, found in one look: each is read once, and decoded once for all.

What a look has found of a content is kept under its hash, in a small data base, so that
the next look need not decode it. Its name holds all that could change the answer.
"""

import contextlib
import hashlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs
from PIL import Image
from tqdm import tqdm

from jaxart import storage
from jaxart.data import fingerprints, images, opening
from jaxart.passes.local import map_ahead
from jaxart.storage import AnyPath, StorageError

FORMAT = 2  # counts up when the data base has other columns

_BLOCK = 8  # files that are looked at with one connection to the data base
# Pillow and hashlib work outside of the interpreter's lock.
_NUM_THREADS = min(16, max(4, os.cpu_count() or 1))
_NUM_REQUESTS = 8  # of a block to an object store at once: an answer takes long
_NUM_SHORT_REQUESTS = 32  # that tell whether objects are what they were
_TIMEOUT_S = 60  # while another process writes

_COLUMNS = ("sha256", "phash", "mirrored", "colours", "width", "height", "note")
_TABLE = (
    "CREATE TABLE IF NOT EXISTS files (sha256 TEXT PRIMARY KEY, phash TEXT, "
    "mirrored TEXT, colours TEXT, width INTEGER, height INTEGER, note TEXT)"
)

logger = logging.getLogger(__name__)


class File(NamedTuple):
    """What an image file is: plain data."""

    sha256: str = ""  # of its content, in hex; '' where it cannot be read
    num_bytes: int = 0
    phash: str = ""  # see `fingerprints.Fingerprint`; '' where it gives no picture
    mirrored: str = ""
    colours: str = ""
    width: int = 0  # of the picture, upright, in pixels; 0 where it gives none
    height: int = 0
    reason: str = ""  # why it gives no picture; '' where it does
    note: str = ""  # what of it had to be left, as in `images.Decoded`


def look(
    paths: Sequence[AnyPath], cache_dir: Path, *, quiet: bool = False
) -> list[File]:
    """Looks at files in threads, each once, however often it is listed.

    What was found is kept in `cache_dir`; where that cannot be used, nothing is.

    Raises:
      StorageError: an object store does not answer.
    """
    once = list(dict.fromkeys(paths))
    known = Known(cache_dir)
    blocks = (once[start : start + _BLOCK] for start in range(0, len(once), _BLOCK))
    files: list[File] = []
    with tqdm(total=len(once), desc="decoding", unit="img", disable=quiet) as bar:
        for block in map_ahead(known.look, blocks, _NUM_THREADS, 2 * _NUM_THREADS):
            files += block
            bar.update(len(block))
    file_of = dict(zip(once, files, strict=True))
    return [file_of[path] for path in paths]


def default_cache_dir() -> Path:
    """Where this machine keeps what was found of files, unless it is told otherwise."""
    return platformdirs.user_cache_path("jaxart") / "features"


def read(path: AnyPath) -> tuple[bytes, File]:
    """A file's content, and what is known of it before it is decoded.

    Raises:
      StorageError: an object store does not answer, which says nothing of the file.
    """
    try:
        content = opening.read_bytes(path)
    except StorageError:
        raise
    except OSError as error:
        return b"", File(reason=error.strerror or str(error))
    return content, File(hashlib.sha256(content).hexdigest(), len(content))


def read_all(paths: Sequence[AnyPath]) -> Iterator[tuple[bytes, File]]:
    """As `read` of each, ahead of who asks where they are in an object store."""
    if any(map(storage.is_remote, paths)):
        return map_ahead(read, paths, _NUM_REQUESTS, _NUM_REQUESTS)
    return map(read, paths)


def versions(paths: Sequence[AnyPath]) -> list[str]:
    """What each file's content is, as a text that another content does not have.

    Raises:
      StorageError: an object store does not answer.
    """

    def version(path: AnyPath) -> str:
        try:
            return storage.version(path)
        except StorageError:
            raise
        except OSError:
            return "unreadable"

    is_remote = any(map(storage.is_remote, paths))
    num_threads = _NUM_SHORT_REQUESTS if is_remote else _NUM_THREADS
    return list(map_ahead(version, paths, num_threads, 2 * num_threads))


def decode(
    content: bytes, file: File, side_enough: int = fingerprints.SIDE_ENOUGH
) -> tuple[File, Image.Image | None]:
    """What a file, of which `read` says `file`, turns out to be, and its picture.

    JPEGs may be decoded down to `side_enough`, at least `fingerprints.SIDE_ENOUGH`.
    """
    try:
        picture, (width, height), note = images.read(content, side_enough)
    except images.ImageError as error:
        return file._replace(reason=str(error)), None
    looks = fingerprints.take(picture)._asdict()
    return file._replace(**looks, width=width, height=height, note=note), picture


class Known:
    """What is known of contents that were looked at before: a data base in a folder.

    Where it cannot be used, nothing is known or kept.
    """

    def __init__(self, folder: Path):
        version = f"{FORMAT}_{fingerprints.VERSION}_{images.READER_VERSION}"
        self._path = folder / f"files_{version}.sqlite"
        self._is_usable = True

    def look(self, paths: Sequence[AnyPath]) -> list[File]:
        """Looks at some files, one after the other."""
        files = []
        new: dict[str, File] = {}
        with contextlib.ExitStack() as stack:
            connection = self._try(self._connect, stack)
            for content, file in read_all(paths):
                if not file.reason:
                    known = new.get(file.sha256) or self._try(_recall, connection, file)
                    file = known or decode(content, file)[0]
                    # What failed may have failed for want of memory.
                    if not known and not file.reason:
                        new[file.sha256] = file
                files.append(file)
            self._try(_keep, connection, new.values())
        return files

    def _connect(self, stack: contextlib.ExitStack) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, _TIMEOUT_S)
        stack.callback(connection.close)
        connection.execute(_TABLE)
        return connection

    def _try(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Where the data base fails, the look goes on without it."""
        try:
            return function(*arguments) if self._is_usable else None
        except (OSError, sqlite3.Error) as error:
            if self._is_usable:
                logger.warning(
                    "%s cannot be used, so what files are is not kept: %s",
                    self._path,
                    error,
                )
            self._is_usable = False
            return None


def _recall(connection: sqlite3.Connection, file: File) -> File | None:
    query = f"SELECT {', '.join(_COLUMNS)} FROM files WHERE sha256 = ?"
    row = connection.execute(query, (file.sha256,)).fetchone()
    return row and file._replace(**dict(zip(_COLUMNS, row, strict=True)))


def _keep(connection: sqlite3.Connection, files: Iterable[File]) -> None:
    rows = [tuple(getattr(file, name) for name in _COLUMNS) for file in files]
    with connection:
        connection.executemany(
            "INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", rows
        )
