"""What image files are, found in one look: each is read once, and decoded once for all.

What a look has found of a content is kept under its hash, in a small data base, so that
the next look need not decode it. Its name holds all that could change the answer. What
is damaged of it is made anew: each entry has a checksum.
"""

import contextlib
import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs
from filelock import FileLock
from PIL import Image
from tqdm import tqdm

from jaxart import storage
from jaxart.data import fingerprints, images, opening
from jaxart.devices import stopping
from jaxart.passes.local import map_ahead
from jaxart.storage import AnyPath, StorageError

FORMAT = 3  # counts up when the data base has other columns

_BLOCK = 8  # files that are looked at with one connection to the data base
# Pillow and hashlib work outside of the interpreter's lock.
_NUM_THREADS = min(16, max(4, os.cpu_count() or 1))
_NUM_REQUESTS = 8  # of a block to an object store at once: an answer takes long
_NUM_SHORT_REQUESTS = 32  # that tell whether objects are what they were
_TIMEOUT_S = 60  # while another process writes

_COLUMNS = ("sha256", "phash", "mirrored", "colours", "width", "height", "note")
_TABLE = (
    "CREATE TABLE IF NOT EXISTS files (sha256 TEXT PRIMARY KEY, phash TEXT, "
    "mirrored TEXT, colours TEXT, width INTEGER, height INTEGER, note TEXT, "
    "checksum TEXT)"
)
_QUERY = f"SELECT {', '.join(_COLUMNS)}, checksum FROM files WHERE sha256 = ?"

# What SQLite says of a file that is none of its own, or not whole. Our SQL is sound: an
# error in it is of a damaged table.
_DAMAGES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}

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
      Stopped: the command was asked to stop, and what was seen is kept.
    """
    once = list(dict.fromkeys(paths))
    known = Known(cache_dir)
    blocks = (once[start : start + _BLOCK] for start in range(0, len(once), _BLOCK))
    files: list[File] = []
    with tqdm(total=len(once), desc="decoding", unit="img", disable=quiet) as bar:
        for block in map_ahead(known.look, blocks, _NUM_THREADS, 2 * _NUM_THREADS):
            files += block
            bar.update(len(block))
            if len(files) < len(once):
                stopping.check()
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

    Where it cannot be used, nothing is known or kept; where it is damaged, it is made
    anew.

    Raises:
      StorageError: the folder belongs to another user, or is a link.
    """

    def __init__(self, folder: Path):
        version = f"{FORMAT}_{fingerprints.VERSION}_{images.READER_VERSION}"
        self._path = folder / f"files_{version}.sqlite"
        self._is_usable = True
        self._num_renewed = 0
        self._renewing = threading.Lock()
        try:
            storage.private_folder(folder)
        except StorageError:
            raise
        except OSError as error:
            self._give_up(error)

    def look(self, paths: Sequence[AnyPath]) -> list[File]:
        """Looks at some files, one after the other."""
        files = []
        new: dict[str, File] = {}
        with contextlib.ExitStack() as stack:
            number = self._num_renewed

            def ask(function: Callable[..., Any], *arguments: Any) -> Any:
                """Where the data base fails, the look goes on without it."""
                if not self._is_usable or number != self._num_renewed:
                    return None
                try:
                    return function(*arguments)
                except (OSError, sqlite3.Error) as error:
                    self._mend(error, number)
                    return None

            connection = ask(_connect, self._path, stack)
            for content, file in read_all(paths):
                if not file.reason:
                    known = new.get(file.sha256) or ask(_recall, connection, file)
                    file = known or decode(content, file)[0]
                    # What failed may have failed for want of memory.
                    if not known and not file.reason:
                        new[file.sha256] = file
                files.append(file)
            ask(_keep, connection, new.values())
        return files

    def _mend(self, error: Exception, number: int) -> None:
        """Makes a damaged data base anew, once; or does without.

        `number` is how often that was done when what failed was opened.
        """
        with self._renewing:
            if number != self._num_renewed:  # by another thread
                return
            if self._num_renewed or not _tells_damage(error):
                self._give_up(error)
                return
            try:
                _renew(self._path)
            except OSError as also:
                self._give_up(also)
            self._num_renewed += 1

    def _give_up(self, error: Exception) -> None:
        if self._is_usable:
            logger.warning(
                "%s cannot be used, so what files are is not kept: %s",
                self._path,
                error,
            )
        self._is_usable = False


def _connect(path: Path, stack: contextlib.ExitStack) -> sqlite3.Connection:
    connection = sqlite3.connect(path, _TIMEOUT_S)
    stack.callback(connection.close)
    # Of damaged bytes, too: the checksum tells.
    connection.text_factory = lambda text: text.decode(errors="replace")
    connection.execute(_TABLE)
    return connection


def _recall(connection: sqlite3.Connection, file: File) -> File | None:
    row = connection.execute(_QUERY, (file.sha256,)).fetchone()
    if row is None or row[-1] != _checksum(row[:-1]):
        return None
    return file._replace(**dict(zip(_COLUMNS, row[:-1], strict=True)))


def _keep(connection: sqlite3.Connection, files: Iterable[File]) -> None:
    rows = [tuple(getattr(file, name) for name in _COLUMNS) for file in files]
    places = ", ".join("?" * (len(_COLUMNS) + 1))
    with connection:
        connection.executemany(
            f"INSERT OR REPLACE INTO files VALUES ({places})",
            [(*row, _checksum(row)) for row in rows],
        )


def _checksum(row: Sequence[Any]) -> str:
    return storage.checksum(repr(tuple(row)).encode())


def _renew(path: Path) -> None:
    """Takes a damaged data base away; its next user makes it anew.

    Others may use it now, or do the same: one does, and it alone says so.
    """
    with FileLock(path.with_name(f"{path.name}.lock")):
        if not _is_damaged(path):
            return
        logger.warning("%s: damaged; what files are is found out anew", path)
        # Not another's transaction, which would be rolled back into the new one.
        for suffix in ("-journal", ""):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _is_damaged(path: Path) -> bool:
    try:
        with contextlib.ExitStack() as stack:
            connection = _connect(path, stack)
            connection.execute(_QUERY, ("",)).fetchone()
            return connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",)
    except sqlite3.Error as error:
        return _tells_damage(error)


def _tells_damage(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGES
