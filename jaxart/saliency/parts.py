"""The records of shares, while they are made, and their merger into one.

A share's process writes `parts/2-of-4.jsonl`, and holds a lock beside it. When all are
done, or as many as there will be, they become part of `manifest.jsonl`.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from jaxart.data.shares import Share
from jaxart.saliency.manifest import Manifest, read_entries

MANIFEST = "manifest.jsonl"
FOLDER = "parts"


class BusyError(ValueError):
    """A share is being worked on; the message says which."""


@contextlib.contextmanager
def opened(out: Path, share: Share | None, names: Sequence[str]) -> Iterator[Manifest]:
    """The record that a process appends to: its share's, or the whole one.

    The whole one takes in the records of all shares first, in the order of `names`.

    Raises:
      BusyError: another process is at this share; or, for the whole, at any.
    """
    folder = out / FOLDER
    if share is None:
        merge(out, names)
        with contextlib.closing(Manifest(out / MANIFEST)) as manifest:
            yield manifest
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (
        _held(folder / f"{share}.lock"),
        contextlib.closing(Manifest(folder / f"{share}.jsonl")) as manifest,
    ):
        manifest.done |= {entry["path"] for entry in read_entries(out / MANIFEST)}
        yield manifest


def merge(out: Path, names: Sequence[str]) -> None:
    """Puts the shares' records into the whole one, in the order of `names`.

    Images that are none of these come first, as they stand. Each image keeps one line,
    the whole record's before a share's.

    Raises:
      BusyError: a process is at a share.
    """
    folder = out / FOLDER
    if not folder.is_dir():
        return
    with contextlib.ExitStack() as locks:
        for path in sorted(folder.glob("*.lock")):
            locks.enter_context(_held(path))
        parts = [out / MANIFEST, *sorted(folder.glob("*.jsonl"))]
        entries: dict[str, dict] = {}
        for path in parts:
            for entry in read_entries(path):
                entries.setdefault(entry["path"], entry)
        place = {name: i for i, name in enumerate(names)}
        beside = out / f"{MANIFEST}.tmp"
        with beside.open("wb") as file:
            for entry in sorted(
                entries.values(), key=lambda entry: place.get(entry["path"], -1)
            ):
                file.write(json.dumps(entry).encode() + b"\n")
        os.replace(beside, out / MANIFEST)
        shutil.rmtree(folder)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout:
        raise BusyError(
            f"{path.with_suffix('')}: another process is working on this share"
        ) from None
