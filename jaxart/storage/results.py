"""The files that commands leave for people: JSON and CSV, never half written."""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxart.storage import paths
from jaxart.storage.paths import AnyPath

# What a spreadsheet takes for a formula where a cell begins with it, and such a text
# behind the marks of text that it has already.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


class DamagedError(ValueError):
    """A file is not what was written; the message begins with its name."""


class NotFiniteError(ValueError):
    """A figure that JSON does not have, nan or infinite; the message names it."""


def to_json(value: Any, **style: Any) -> str:
    """The JSON text of plain data; `style` is as in `json.dumps`.

    Raises:
      NotFiniteError: a number is nan or infinite.
    """
    try:
        return json.dumps(value, allow_nan=False, **style)
    except ValueError:
        bad = _not_finite("", value)
        if not bad:  # a circle
            raise
        raise NotFiniteError(f"{bad}, which is no finite number") from None


def _not_finite(where: str, value: Any) -> str:
    """Where in plain data the first number is that is not finite, and which; or ''."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{where} is {value}".lstrip(".")
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, list | tuple):
        inner = enumerate(value)
    return next(filter(None, (_not_finite(f"{where}.{k}", v) for k, v in inner)), "")


def write_json(path: AnyPath, value: Mapping[str, Any]) -> None:
    """Writes an indented JSON file, beside and renamed.

    Raises:
      NotFiniteError: a number is nan or infinite; the message begins with the path.
    """
    try:
        text = to_json(value, indent=2)
    except NotFiniteError as error:
        raise NotFiniteError(f"{path}: {error}") from None
    write_text(path, f"{text}\n")


def read_json(path: AnyPath, **fields: type) -> dict[str, Any]:
    """Reads a JSON file that a command left: an object with `fields` of these types.

    Raises:
      FileNotFoundError: there is no such file.
      DamagedError: what is there is none; the message begins with its name.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # bytes that are no text, too
        raise DamagedError(f"{path}: damaged: no JSON ({error})") from None
    if not isinstance(value, dict):
        raise DamagedError(f"{path}: damaged: no JSON object")
    for name, kind in fields.items():
        if not isinstance(value.get(name), kind):
            said = repr(value[name]) if name in value else "missing"
            raise DamagedError(f"{path}: damaged: {name} is {said}, no {kind.__name__}")
    return value


def write_csv(
    path: AnyPath, header: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Writes a CSV file with a header line, beside and renamed.

    No text in it is a spreadsheet's formula; `plain` takes the mark away.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_marked, header))
    writer.writerows(map(_marked, row) for row in rows)
    write_text(path, text.getvalue())


def read_csv(path: AnyPath) -> list[list[str]]:
    """Reads a CSV file of `write_csv`: its header, and its rows, as many cells each.

    Raises:
      FileNotFoundError: there is no such file.
      DamagedError: it is no such table; the message begins with its name.
    """
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    try:
        rows = [
            [plain(cell) for cell in row]
            for row in csv.reader(io.StringIO(text, newline=""), strict=True)
        ]
    except csv.Error as error:
        raise DamagedError(f"{path}: damaged: no CSV ({error})") from None
    if not rows or not text.endswith("\n"):
        what = "its end is missing" if rows else "it has no header"
        raise DamagedError(f"{path}: damaged: {what}")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise DamagedError(
                f"{path}: damaged: row {number} has {len(row)} cells, not "
                f"{len(rows[0])}"
            )
    return rows


def read_dicts(path: AnyPath, *columns: str) -> list[dict[str, str]]:
    """As `read_csv`, the rows by column.

    Raises:
      DamagedError: one of `columns` is missing, too.
    """
    header, *rows = read_csv(path)
    missing = [column for column in columns if column not in header]
    if missing:
        raise DamagedError(f"{path}: damaged: it has no column {', '.join(missing)}")
    return [dict(zip(header, row, strict=True)) for row in rows]


def _marked(cell: Any) -> Any:
    """A cell, a text that looks like a formula behind a `'`, as spreadsheets mark text.

    OWASP, "CSV Injection": https://owasp.org/www-community/attacks/CSV_Injection.
    """
    is_text = isinstance(cell, str) and _FORMULA.match(cell)
    return f"'{cell}" if is_text and not _NUMBER.fullmatch(cell) else cell


def plain(cell: str) -> str:
    """What a cell of `write_csv` was: one `'` before what looks like a formula goes."""
    is_marked = cell.startswith("'") and _FORMULA.match(cell)
    return cell[1:] if is_marked else cell


def append_csv(path: AnyPath, rows: Iterable[Sequence[Any]]) -> None:
    """Adds rows to a CSV file that `write_csv` made, beside and renamed."""
    header, *written = read_csv(path)
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
