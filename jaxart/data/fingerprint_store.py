"""Fingerprints that are taken once, and kept under the hash of their file's content."""

import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from jaxart.data import fingerprints, images
from jaxart.data.fingerprints import Fingerprint
from jaxart.data.images import ImageError
from jaxart.storage import AnyPath

FILE_NAME = "fingerprints_1.sqlite"  # counts up when fingerprints change

_COLUMNS = ", ".join(Fingerprint._fields)
_BATCH = 256
_TIMEOUT_S = 60

logger = logging.getLogger(__name__)


def take_all(paths: Sequence[AnyPath], folder: Path) -> list[Fingerprint | None]:
    """The fingerprint of each file, None where it is no sound image.

    Args:
      paths: the files.
      folder: where fingerprints are kept. If it cannot be written, none are.
    """
    store = _open(folder)
    taken: list[Fingerprint | None] = []
    try:
        with tqdm(total=len(paths), desc="fingerprints", unit="img") as bar:
            for start in range(0, len(paths), _BATCH):
                some = paths[start : start + _BATCH]
                taken += _take_some(some, store)
                bar.update(len(some))
    finally:
        store.close()
    return taken


def _open(folder: Path) -> sqlite3.Connection:
    path = folder / FILE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _connect(path)
    except (OSError, sqlite3.Error) as error:
        logger.warning(
            "%s cannot be used, so fingerprints are not kept: %s", path, error
        )
        return _connect(":memory:")


def _connect(path: Path | str) -> sqlite3.Connection:
    store = sqlite3.connect(path, _TIMEOUT_S)
    try:
        with store:
            store.execute(
                "CREATE TABLE IF NOT EXISTS fingerprints (sha256 TEXT PRIMARY KEY, "
                "phash TEXT, mirrored TEXT, width INTEGER, height INTEGER)"
            )
    except sqlite3.Error:
        store.close()
        raise
    return store


def _take_some(
    paths: Sequence[AnyPath], store: sqlite3.Connection
) -> list[Fingerprint | None]:
    # Objects of a store are read once: a path stands for its content from here on.
    files = list(fingerprints.map_in_threads(_fetch, paths))
    digests = list(fingerprints.map_in_threads(_digest, files))
    marks = ", ".join("?" * len(digests))
    rows = store.execute(
        f"SELECT {_COLUMNS} FROM fingerprints WHERE sha256 IN ({marks})", digests
    )
    known: dict[str | None, Fingerprint | None] = {
        row[0]: Fingerprint(*row) for row in rows
    }
    known[None] = None
    missing = {d: f for d, f in zip(digests, files, strict=True) if d not in known}
    new = list(fingerprints.map_in_threads(_take, missing.values()))
    with store:
        store.executemany(
            "INSERT OR IGNORE INTO fingerprints VALUES (?, ?, ?, ?, ?)",
            [fingerprint for fingerprint in new if fingerprint is not None],
        )
    known |= zip(missing, new, strict=True)
    return [known[digest] for digest in digests]


def _fetch(path: AnyPath) -> AnyPath | bytes | None:
    try:
        return images.fetch(path)
    except ImageError:
        return None


def _digest(file: Path | bytes | None) -> str | None:
    try:
        return None if file is None else fingerprints.digest(file)
    except OSError:
        return None


def _take(file: Path | bytes) -> Fingerprint | None:
    try:
        return fingerprints.take(file)
    except ImageError:
        return None
