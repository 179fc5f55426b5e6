"""Paths in an object store, `s3://bucket/key` and `gs://bucket/key`, through fsspec.

docs/architecture.md says why these are neither etils' nor universal_pathlib's. Orbax
takes gs:// paths as text, and does its own.
"""

import contextlib
import errno
import functools
import importlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from jaxart.storage import disk
from jaxart.storage.errors import StorageError

PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
EXTRAS = {"s3": "s3", "gs": "gcs"}


class RemotePath(PurePosixPath):
    """An object, or what begins all keys of a folder. Stores have no real folders."""

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)

    def exists(self) -> bool:
        """Whether there is such an object or folder."""
        return bool(self._type())

    def is_file(self) -> bool:
        """Whether there is such an object."""
        return self._type() == "file"

    def is_dir(self) -> bool:
        """Whether there are objects in such a folder."""
        return self._type() == "directory"

    def mkdir(self, *, parents: bool, exist_ok: bool) -> None:
        """Nothing: a folder is there when an object is in it."""

    def read_bytes(self) -> bytes:
        """The object's content, in one request."""
        with self._errors():
            return self._store.cat_file(str(self))

    def open(self, mode: str) -> Any:
        """A stream of the object's bytes, for what is too large to hold; mode 'rb'."""
        with self._errors():
            return self._store.open(str(self), mode)

    def read_text(self, encoding: str) -> str:
        """The object's content as text."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes) -> None:
        """Makes the object, whole, or replaces it."""
        with self._errors():
            self._store.pipe_file(str(self), content)

    def create(self, content: bytes) -> bool:
        """Makes the object where there is none, and says whether it did.

        A store that does not know conditional requests replaces what is there.
        """
        try:
            with self._errors():
                self._store.pipe_file(str(self), content, mode="create")
        except FileExistsError:
            return False
        return True

    def upload(self, file: Path) -> None:
        """Makes the object of a local file, whole, or replaces it."""
        with self._errors():
            self._store.put_file(os.fspath(file), str(self))

    def download(self, file: Path) -> None:
        """Writes the object's content to a local file, once there is room for it."""
        with self._errors(), disk.named(file):
            disk.require(file, self._store.info(str(self))["size"])
            self._store.get_file(str(self), os.fspath(file))

    def unlink(self, missing_ok: bool = False) -> None:
        """Deletes the object."""
        missing = contextlib.suppress(FileNotFoundError)
        with missing if missing_ok else contextlib.nullcontext(), self._errors():
            self._store.rm_file(str(self))

    def version(self) -> str:
        """Tells the object's content from what it was, without reading it."""
        with self._errors():
            return self._store.ukey(str(self))

    def keys_below(self) -> list[str]:
        """All objects in the folder, searched deep, relative to it; in no order."""
        with self._errors():
            keys = self._store.find(str(self))
        start = str(self).partition("://")[2] + "/"
        return [key.removeprefix(start) for key in keys if key.startswith(start)]

    def _type(self) -> str:
        try:
            with self._errors():
                return self._store.info(str(self))["type"]
        except FileNotFoundError:
            return ""

    @property
    def _store(self) -> Any:
        return _open_store(self.parts[0].removesuffix(":"), os.getpid())

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Whatever a store's client raises: missing as for a file, or one error."""
        try:
            yield
        except FileNotFoundError:
            code = errno.ENOENT
            raise FileNotFoundError(code, os.strerror(code), str(self)) from None
        except (StorageError, FileExistsError):
            raise
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise StorageError(f"{self}: {reason[:300]}") from error


@functools.cache
def _open_store(scheme: str, process: int) -> Any:
    """One client a process: it holds connections, which a fork does not share."""
    package = PACKAGES[scheme]
    try:
        importlib.import_module(package)
    except ImportError:
        raise StorageError(
            f"{scheme}:// paths need the package {package}: "
            f"pip install 'jaxart[{EXTRAS[scheme]}]'"
        ) from None
    fsspec = importlib.import_module("fsspec")
    # What another process has put there counts: no listing is kept.
    return fsspec.filesystem(scheme, use_listings_cache=False)
