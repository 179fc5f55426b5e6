"""The record of a folder: one JSON line a painting, obtained or found bad for good."""

import json
from pathlib import Path

OBTAINED = ("style", "id", "path", "artist", "title", "year", "source")
FAILED = ("style", "id", "title", "url", "reason")

Entry = dict[str, str]


class Record:
    """A file of JSON lines that only grows, and survives any stop.

    A line counts when it is complete. What a killed process left of its last line is
    cut off when the file is opened again. A later line of the same painting in the
    same style replaces the earlier one.

    Attributes:
      entries: the lines, by style and id.
    """

    def __init__(self, path: Path):
        self.entries: dict[tuple[str, str], Entry] = {}
        self._file = path.open("ab")
        complete = 0
        with path.open("rb") as lines:
            for line in lines:
                entry = _parse(line)
                if entry is None:
                    break
                self.entries[entry["style"], entry["id"]] = entry
                complete += len(line)
        self._file.truncate(complete)

    def append(self, entry: Entry) -> None:
        """Writes a painting's line; its image must be there already."""
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        self.entries[entry["style"], entry["id"]] = entry

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _parse(line: bytes) -> Entry | None:
    """A line's entry; None where it is not complete."""
    try:
        entry = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    if not isinstance(entry, dict) or tuple(entry) not in (OBTAINED, FAILED):
        return None
    return entry if all(isinstance(value, str) for value in entry.values()) else None
