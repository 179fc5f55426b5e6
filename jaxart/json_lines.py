"""A file of JSON lines that only grows, and survives any stop.

A line counts when it is complete. What a killed process left of its last line is cut
off when the file is opened to be written on.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


class Appender:
    """Writes further lines; `see` is given every entry that is there already.

    The file is made where there is none.
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
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _complete(
    path: Path, is_entry: Callable[[Entry], bool]
) -> Iterator[tuple[Entry, int]]:
    """Entries, up to the first line that is not a whole one, and the lines' bytes."""
    with path.open("rb") as lines:
        for line in lines:
            try:
                entry = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                return
            if not isinstance(entry, dict) or not is_entry(entry):
                return
            yield entry, len(line)
