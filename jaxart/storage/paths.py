"""Paths, local and remote, and how a file is written whole."""

import contextlib
import hashlib
import os
import posixpath
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from jaxart.storage.remote import PACKAGES, RemotePath, StorageError

AnyPath = Path | RemotePath

_CACHE = "remote"
_BESIDE = re.compile(r"[0-9a-f]{16}\.tmp")


def path(text: str | os.PathLike) -> AnyPath:
    """A path, or what a URL stands for.

    Raises:
      StorageError: a URL without a bucket, or of another kind than s3:// and gs://.
    """
    text = os.fspath(text)
    scheme, mark, rest = text.partition("://")
    if not mark or not scheme.isalnum():
        return Path(text)
    if scheme not in PACKAGES:
        known = " and ".join(f"{name}://" for name in PACKAGES)
        raise StorageError(f"{text}: of URLs, {known} can be used")
    if not rest.strip("/"):
        raise StorageError(f"{text}: names no bucket")
    return RemotePath(f"{scheme}:", posixpath.normpath(rest))


def join(root: AnyPath, name: str) -> AnyPath:
    """Where `name` lies, which may be a URL or absolute, and then has no root."""
    found = path(name)
    if isinstance(found, RemotePath) or found.is_absolute():
        return found
    return path(f"{root}/{name}") if isinstance(root, RemotePath) else root / name


def is_remote(path: str | os.PathLike | None) -> bool:
    """Whether a path, if any, lies in an object store."""
    return isinstance(path, RemotePath)


def resolve(path: AnyPath) -> AnyPath:
    """The path that all names of a file have in common."""
    return path if isinstance(path, RemotePath) else path.resolve()


def require_local(text: str | os.PathLike, what: str) -> Path:
    """A path in the file system.

    Raises:
      StorageError: it is none; the message begins with `what`.
    """
    found = path(text)
    if isinstance(found, RemotePath):
        raise StorageError(f"{what}={text}: must be a local folder")
    return found


def write_bytes(path: AnyPath, content: bytes) -> None:
    """Writes a file, beside and renamed; or an object."""
    if isinstance(path, RemotePath):
        path.write_bytes(content)
        return
    with written(path) as beside:
        beside.write_bytes(content)


@contextlib.contextmanager
def written(path: AnyPath) -> Iterator[Path]:
    """A local file to write, which becomes `path` when the block ends well."""
    if isinstance(path, RemotePath):
        with local_file(path) as file:
            yield file
        return
    # Of this writer's own: others may write the same file at the same time.
    beside = path.with_name(f"{secrets.token_hex(8)}.tmp")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def remove_unfinished(folder: AnyPath) -> None:
    """Removes what killed writers left below a folder in which no other is at work."""
    if isinstance(folder, Path):
        for path in folder.rglob("*.tmp"):
            if _BESIDE.fullmatch(path.name):
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def fetched(path: AnyPath) -> Iterator[Path]:
    """A local file with the content of `path`: itself, or a copy for the block."""
    if not isinstance(path, RemotePath):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="jaxart.") as folder:
        path.download(Path(folder) / path.name)
        yield Path(folder) / path.name


def names_in(folder: AnyPath) -> list[str]:
    """The files in a folder, below it in an object store; none where it is missing."""
    if isinstance(folder, RemotePath):
        return folder.keys_below()
    try:
        return [entry.name for entry in os.scandir(folder)]
    except FileNotFoundError:
        return []


def version(path: AnyPath) -> str:
    """Another text for other content: a file's digest, an object's version.

    Raises:
      OSError: it cannot be read.
    """
    if isinstance(path, RemotePath):
        return path.version()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def local_file(path: AnyPath) -> Iterator[Path]:
    """The file to write `path` to: itself, or one that is put there in the end."""
    if not isinstance(path, RemotePath):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="jaxart.") as folder:
        yield Path(folder) / path.name
        path.upload(Path(folder) / path.name)


@contextlib.contextmanager
def written_together(out: AnyPath, folder: AnyPath | None = None) -> Iterator[Path]:
    """A file to write, in a new folder for what belongs beside it.

    All of them appear at the end, `out` last: where it is, all is. None does where
    the block fails. A killed process leaves the new folder: in `folder`, which is of
    the same file system, or else beside `out`; nowhere of an object store.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = None if isinstance(out, RemotePath) else folder or out.parent
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=beside) as new:
        part = Path(new) / out.name
        yield part
        for file in sorted(Path(new).iterdir(), key=part.__eq__):
            if isinstance(out, RemotePath):
                out.with_name(file.name).upload(file)
            else:
                os.replace(file, out.with_name(file.name))


def local_copy(path: AnyPath) -> Path:
    """A file that can be mapped into memory: itself, or an object's copy.

    Copies are kept in the user's cache folder, for as long as the object is what it
    was.

    Raises:
      FileNotFoundError: there is no such object.
    """
    if not isinstance(path, RemotePath):
        return path
    name = hashlib.sha256(f"{path} {path.version()}".encode()).hexdigest()[:32]
    copy = platformdirs.user_cache_path("jaxart") / _CACHE / name / path.name
    if not copy.is_file():
        copy.parent.mkdir(parents=True, exist_ok=True)
        with written(copy) as beside:
            path.download(beside)
    return copy
