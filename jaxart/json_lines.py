"""A file of JSON lines that only grows, and survives any stop.

A line counts when it is complete. What a killed process left of its last line is cut
off when the file is opened to be written on.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxart.storage import AnyPath

Entry = dict[str, Any]


def read(path: AnyPath, is_entry: Callable[[Entry], bool]) -> Iterator[Entry]:
    """The entries up to the first line that is not complete, or is no entry."""
    yield from (entry for entry, _ in _complete(path, is_entry))


class Appender:
    """Writes further lines.

    Args:
      path: the file, which is made where there is none.
      is_entry: whether what a line holds is an entry.
      see: is given every entry that is there already.
    """

    def __init__(
        self,
        path: Path,
        is_entry: Callable[[Entry], bool],
        see: Callable[[Entry], None],
    ):
        self._file = path.open("ab")
        size = 0
        for entry, num_bytes in _complete(path, is_entry):
            see(entry)
            size += num_bytes
        self._file.truncate(size)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Writes a line, which is in the file when this returns."""
        self._file.write(json.dumps(entry, allow_nan=False).encode() + b"\n")
        self.flush()

    def flush(self) -> None:
        """Makes sure that all lines are in the file."""
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _complete(
    path: AnyPath, is_entry: Callable[[Entry], bool]
) -> Iterator[tuple[Entry, int]]:
    """Entries, and the bytes of their lines."""
    with path.open("rb") as lines:
        for line in lines:
            try:
                entry = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                return
            if not isinstance(entry, dict) or not is_entry(entry):
                return
            yield entry, len(line)
