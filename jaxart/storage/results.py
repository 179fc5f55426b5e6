"""The files that commands leave for people: JSON and CSV, never half written."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxart.storage import paths
from jaxart.storage.paths import AnyPath


class DamagedError(ValueError):
    """A file is not what was written; the message begins with its name."""


def write_json(path: AnyPath, value: Mapping[str, Any]) -> None:
    """Writes an indented JSON file, beside and renamed."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: AnyPath) -> dict[str, Any]:
    """Reads a JSON file that a command left: an object.

    Raises:
      FileNotFoundError: there is no such file.
      DamagedError: what is there is none; the message begins with its name.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # bytes that are no text, too
        raise DamagedError(f"{path}: damaged: no JSON ({error})") from None
    if not isinstance(value, dict):
        raise DamagedError(f"{path}: damaged: no JSON object")
    return value


def write_csv(
    path: AnyPath, header: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Writes a CSV file with a header line, beside and renamed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def append_csv(path: AnyPath, rows: Iterable[Sequence[Any]]) -> None:
    """Adds rows to a CSV file that `write_csv` made, beside and renamed."""
    before = path.read_bytes().decode("utf-8", "surrogateescape")
    header, *written = csv.reader(io.StringIO(before, newline=""))
    write_csv(path, header, [*written, *rows])


def write_notes(
    path: AnyPath, header: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    """Writes a CSV file as `write_csv`, of the rows whose last cell says something.

    Where none does, there is no file, nor an earlier one.
    """
    rows = [row for row in rows if row[-1]]
    if rows:
        write_csv(path, header, rows)
    else:
        path.unlink(missing_ok=True)


def write_text(path: AnyPath, text: str) -> None:
    """Writes a UTF-8 file, beside and renamed; odd bytes of file names stay as are."""
    paths.write_bytes(path, text.encode("utf-8", "surrogateescape"))
