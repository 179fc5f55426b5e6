"""The record of a folder: one JSON line a painting, obtained or found bad for good."""

import json
from pathlib import Path

from jaxart.storage import results

OBTAINED = ("style", "id", "path", "artist", "title", "year", "source")
FAILED = ("style", "id", "title", "url", "reason")

Entry = dict[str, str]


class Record:
    """What is known of paintings, in a file that only grows, and survives any stop.

    A line counts when it is complete: what a killed process left of its last line is
    cut off. In `entries`, by style and id, a later line replaces the earlier one.
    """

    def __init__(self, path: Path):
        self.entries: dict[tuple[str, str], Entry] = {}
        self._file = path.open("a+b")
        self._file.seek(0)
        size = 0
        for line in self._file:
            entry = _parse(line)
            if entry is None:
                break
            self._note(entry)
            size += len(line)
        self._file.truncate(size)

    def append(self, entry: Entry) -> None:
        """Writes a painting's line; its image must be there already."""
        self._file.write(results.to_json(entry).encode() + b"\n")
        self._file.flush()
        self._note(entry)

    def close(self) -> None:
        self._file.close()

    def _note(self, entry: Entry) -> None:
        self.entries[entry["style"], entry["id"]] = entry


def _parse(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    if not isinstance(entry, dict) or tuple(entry) not in (OBTAINED, FAILED):
        return None
    return entry if all(isinstance(value, str) for value in entry.values()) else None
