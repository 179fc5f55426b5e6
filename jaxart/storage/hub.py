"""Weight files on the Hugging Face hub, `hf://OWNER/NAME[@REVISION][/FILE]`, to read.

The package huggingface_hub keeps them in its cache, and answers from there where the
hub cannot be asked.
"""

import hashlib
import importlib
import os
import re
from pathlib import Path
from typing import Any

from jaxart.storage.paths import AnyPath, path
from jaxart.storage.remote import StorageError

SCHEME = "hf://"
WEIGHTS = "model.safetensors"

_SHA256 = re.compile("[0-9a-f]{64}")
_ADDRESS = re.compile(
    r"hf://(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w.-]+))?(/(?P<file>.+))?"
)


def weights_path(text: str | os.PathLike) -> AnyPath:
    """As `path`; of a repository on the hub, where its weight file is kept here.

    Raises:
      StorageError: the file cannot be had, or is not what the hub says that it is.
    """
    text = os.fspath(text)
    return _fetch(text) if text.startswith(SCHEME) else path(text)


def weights_path_or_none(text: str | os.PathLike | None) -> AnyPath | None:
    """As `weights_path`, or None where the text is none or empty."""
    return weights_path(text) if text else None


def package(text: str) -> Any:
    """The package huggingface_hub, or a `StorageError` that begins with `text`."""
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError:
        raise StorageError(
            f"{text}: needs the package huggingface_hub: pip install 'jaxart[hf]'"
        ) from None


def one_line(text: str, error: Exception) -> StorageError:
    """What the hub's client says, in a line; it wraps what went wrong when sending."""
    if type(error) is RuntimeError and isinstance(error.__cause__, Exception):
        error = error.__cause__
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return StorageError(f"{text}: {reason[:300]}")


def _fetch(text: str) -> Path:
    match = _ADDRESS.fullmatch(text.rstrip("/"))
    if not match:
        raise StorageError(f"{text}: must be hf://OWNER/NAME[@REVISION][/FILE]")
    name = match["file"] or WEIGHTS
    if not name.endswith(".safetensors"):
        raise StorageError(f"{text}: only .safetensors files are read from the hub")
    hub = package(text)
    try:
        file = hub.hf_hub_download(match["repo"], name, revision=match["revision"])
    except Exception as error:
        raise one_line(text, error) from error
    _check(text, Path(file))
    return Path(file)


def _check(text: str, file: Path) -> None:
    """Compares a file with the hash that the hub recorded, which names its blob."""
    recorded = file.resolve().name
    with open(file, "rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if not _SHA256.fullmatch(recorded):
        raise StorageError(f"{text}: the hub states no SHA-256 of the file")
    if digest != recorded:
        raise StorageError(
            f"{text}: damaged: its SHA-256 is {digest}, and {recorded} on the hub; "
            f"delete {file.resolve()} and try again"
        )
