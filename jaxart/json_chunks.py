"""JSON lines in an object store, where nothing grows: numbered objects, each put once.

No object is ever written twice, whoever else writes into the folder: so nothing is lost
without a lock, even if two processes do the same work.
"""

import concurrent.futures
import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxart.remote import RemotePath

SUFFIX = ".jsonl"

_SECONDS = 5.0  # from one object to the next: what a killed process can lose
_NUM_REQUESTS = 16


class Appender:
    """Writes lines, which are in the store a few seconds later, and after `close`."""

    def __init__(self, folder: RemotePath):
        self._folder = folder
        self._token = secrets.token_hex(4)  # of this process
        self._number = 0
        self._lines: list[bytes] = []
        self._last_put = time.monotonic()

    def append(self, entry: Mapping[str, Any]) -> None:
        """Adds a line."""
        self._lines.append(json.dumps(entry, allow_nan=False).encode() + b"\n")
        if time.monotonic() - self._last_put >= _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Puts what is not in the store yet."""
        if self._lines:
            name = f"{self._token}-{self._number:06d}{SUFFIX}"
            (self._folder / name).write_bytes(b"".join(self._lines))
            self._number += 1
            self._lines.clear()
        self._last_put = time.monotonic()

    def close(self) -> None:
        """As `flush`."""
        self.flush()


def read(objects: Sequence[RemotePath]) -> Iterator[dict[str, Any]]:
    """All lines of objects, in their order; those that are gone are left out."""

    def content(path: RemotePath) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return b""

    with concurrent.futures.ThreadPoolExecutor(_NUM_REQUESTS) as pool:
        for lines in pool.map(content, objects):
            yield from map(json.loads, lines.splitlines())
