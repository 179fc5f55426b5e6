"""Paths, local and remote, and how a file is written whole."""

import contextlib
import errno
import hashlib
import io
import os
import posixpath
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import platformdirs
from PIL import Image

from jaxart.storage import beside, disk
from jaxart.storage.errors import StorageError
from jaxart.storage.private import private_folder
from jaxart.storage.regular import open_regular
from jaxart.storage.remote import PACKAGES, RemotePath

AnyPath = Path | RemotePath

_CACHE = "remote"
_BESIDE_ONCE = re.compile(r"[0-9a-f]{16}\.tmp")  # as earlier versions called it


def path(text: str | os.PathLike) -> AnyPath:
    """A path, or what a URL stands for.

    Raises:
      StorageError: a URL without a bucket, or of another kind than s3:// and gs://.
    """
    text = os.fspath(text)
    scheme, mark, rest = text.partition("://")
    if not mark or not scheme.isalnum():
        return Path(text)
    if scheme == "hf":
        raise StorageError(
            f"{text}: hf:// is for weights, which are read; `jaxart push` writes there"
        )
    if scheme not in PACKAGES:
        known = " and ".join(f"{name}://" for name in PACKAGES)
        raise StorageError(f"{text}: of URLs, {known} can be used")
    if not rest.strip("/"):
        raise StorageError(f"{text}: names no bucket")
    return RemotePath(f"{scheme}:", posixpath.normpath(rest))


def path_or_none(text: str | os.PathLike | None) -> AnyPath | None:
    """A path, or None where the text is none or empty."""
    return path(text) if text else None


def join(root: AnyPath, name: str) -> AnyPath:
    """Where `name` lies, which may be a URL or absolute, and then has no root."""
    own = path(name)
    if isinstance(own, RemotePath) or own.is_absolute():
        return own
    return path(f"{root}/{name}") if isinstance(root, RemotePath) else root / name


def is_remote(path: AnyPath | None) -> bool:
    """Whether a path, if any, lies in an object store."""
    return isinstance(path, RemotePath)


def resolve(path: AnyPath) -> AnyPath:
    """The path that all names of a file have in common."""
    return path if isinstance(path, RemotePath) else path.resolve()


def require_local(path: AnyPath, what: str) -> Path:
    """A path in the file system, or a `StorageError` that begins with `what`."""
    if isinstance(path, RemotePath):
        raise StorageError(f"{what}={path}: must be a local folder")
    return path


def write_bytes(path: AnyPath, content: bytes) -> None:
    """Writes a file, beside and renamed; or an object."""
    if isinstance(path, RemotePath):
        path.write_bytes(content)
        return
    with written(path) as file:
        file.write_bytes(content)


def write_picture(picture: Image.Image, path: AnyPath, **encoding: Any) -> None:
    """Writes a picture as `write_bytes`; `encoding` is as in Pillow's `save`.

    Pillow would not notice where a full disk takes a part of it.
    """
    content = io.BytesIO()
    picture.save(content, **encoding)
    write_bytes(path, content.getvalue())


def move(file: Path, path: AnyPath) -> None:
    """Makes a finished file, or folder, `path` at once: renamed, or put in a store.

    What is renamed is of the same file system.
    """
    if isinstance(path, RemotePath):
        path.upload(file)
    else:
        os.replace(file, path)


@contextlib.contextmanager
def written(path: AnyPath) -> Iterator[Path]:
    """A local file to write, which becomes `path` when the block ends well.

    Raises:
      DiskFullError: there is no room for it.
    """
    with unfinished(path) as file:
        yield file
        move(file, path)


@contextlib.contextmanager
def unfinished(path: AnyPath) -> Iterator[Path]:
    """A local file to write and to `move` to `path`, or beside it; else it goes.

    Raises:
      DiskFullError: there is no room for it.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(path, RemotePath):
            file = stack.enter_context(_temporary_folder()) / path.name
        else:
            # Of this writer's own: others may write the same file at the same time.
            beside.remove_left_once(path.parent)
            file = beside.new(path.parent)
            stack.callback(file.unlink, missing_ok=True)
        with disk.named(path if isinstance(path, Path) else file):
            yield file


@contextlib.contextmanager
def written_folder(path: Path) -> Iterator[Path]:
    """A new folder to fill, which becomes `path` when the block ends well.

    Raises:
      DiskFullError: there is no room for it.
      FileExistsError: another writer was the first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with disk.named(path), beside.folder_in(path.parent) as folder:
        yield folder
        try:
            move(folder, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise FileExistsError(errno.EEXIST, "is there already", str(path)) from None


def remove_unfinished(folder: AnyPath) -> None:
    """Removes what killed writers left below a folder in which no other is at work."""
    if isinstance(folder, Path):
        for path in folder.rglob("*.tmp"):
            if beside.is_beside(path.name) or _BESIDE_ONCE.fullmatch(path.name):
                beside.remove(path)


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder of this process's own, for the block."""
    with beside.folder_in(Path(tempfile.gettempdir()), 0o700) as folder:
        yield folder


@contextlib.contextmanager
def fetched(path: AnyPath) -> Iterator[Path]:
    """A local file with the content of `path`: itself, or a copy for the block."""
    if not isinstance(path, RemotePath):
        yield path
        return
    with _temporary_folder() as folder:
        path.download(folder / path.name)
        yield folder / path.name


def require_room(path: AnyPath, num_bytes: int) -> None:
    """Makes sure, before the work, that a disk has room for a file of so many bytes.

    Raises:
      DiskFullError: it has not. Of an object store nothing is known.
    """
    if isinstance(path, Path):
        disk.require(path, num_bytes)


def check_names(*files: AnyPath) -> None:
    """Makes sure, before the work, that files can be called so.

    Raises:
      StorageError: a name is too long.
    """
    disk.check_names(*(file for file in files if isinstance(file, Path)))


def copy(source: AnyPath, file: Path) -> None:
    """Copies a file or an object into a local file, bit by bit."""
    if isinstance(source, RemotePath):
        source.download(file)
    else:
        with disk.named(file):
            shutil.copyfile(source, file)


def names_in(folder: AnyPath) -> list[str]:
    """The files in a folder, below it in an object store; none where it is missing."""
    if isinstance(folder, RemotePath):
        return folder.keys_below()
    try:
        return [entry.name for entry in os.scandir(folder)]
    except FileNotFoundError:
        return []


def version(path: AnyPath) -> str:
    """Another text for other content: a file's digest, an object's version."""
    if isinstance(path, RemotePath):
        return path.version()
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def written_together(out: AnyPath, folder: AnyPath | None = None) -> Iterator[Path]:
    """A file to write, in a new folder for what belongs beside it.

    All of them appear at the end, `out` last: where it is, all is. None does where
    the block fails. A killed process leaves the new folder: in `folder`, which is of
    the same file system, or else beside `out`; nowhere of an object store.

    Raises:
      DiskFullError: there is no room for them.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if isinstance(out, RemotePath):
            new = stack.enter_context(_temporary_folder())
        else:
            parent = folder if isinstance(folder, Path) else out.parent
            new = stack.enter_context(beside.folder_in(parent, 0o700))
        with disk.named(out if isinstance(out, Path) else new / out.name):
            yield new / out.name
            files = sorted(new.iterdir(), key=(new / out.name).__eq__)
            for file in files:
                move(file, out.with_name(file.name))


def local_copy(path: AnyPath) -> Path:
    """A file that can be mapped into memory: itself, or an object's copy.

    Copies are kept in the user's cache folder, for as long as the object is what it
    was.
    """
    if not isinstance(path, RemotePath):
        return path
    name = hashlib.sha256(f"{path} {path.version()}".encode()).hexdigest()[:32]
    folder = platformdirs.user_cache_path("jaxart") / _CACHE / name
    copy = private_folder(folder) / path.name
    if not copy.is_file():
        with written(copy) as file:
            path.download(file)
    return copy
