"""The record of a folder: one JSON line a painting, obtained or found bad for good."""

from pathlib import Path
from typing import Any

from jaxart import json_lines

OBTAINED = ("style", "id", "path", "artist", "title", "year", "source")
FAILED = ("style", "id", "title", "url", "reason")

Entry = dict[str, str]


class Record:
    """What is known of paintings, in a file that only grows, and survives any stop.

    A later line of the same painting in the same style replaces the earlier one.

    Attributes:
      entries: the lines, by style and id.
    """

    def __init__(self, path: Path):
        self.entries: dict[tuple[str, str], Entry] = {}
        self._lines = json_lines.Appender(path, _is_entry, self._note)

    def append(self, entry: Entry) -> None:
        """Writes a painting's line; its image must be there already."""
        self._lines.append(entry)
        self._note(entry)

    def close(self) -> None:
        """Closes the file."""
        self._lines.close()

    def _note(self, entry: Entry) -> None:
        self.entries[entry["style"], entry["id"]] = entry


def _is_entry(entry: dict[str, Any]) -> bool:
    is_known = tuple(entry) in (OBTAINED, FAILED)
    return is_known and all(isinstance(value, str) for value in entry.values())
