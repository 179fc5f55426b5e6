"""Tables of images, as CSV files: which columns they have, and their rows."""

import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jaxart.data import names
from jaxart.data.texts import DataError
from jaxart.storage import AnyPath, results

PATH, LABEL = "path", "label"
# What the columns may be called, in any case; the first name goes before the others.
PATH_COLUMNS = (PATH, "file", "filename", "filepath", "image", "imagepath")
LABEL_COLUMNS = (LABEL, "class", "style")

_DELIMITERS = {".csv": ",;\t", ".tsv": "\t,;"}  # of tables, by their suffix


class Head(NamedTuple):
    """What a table begins with."""

    delimiter: str
    columns: list[str]  # in small letters
    num_lines: int  # down to the end of the header; 0 where there is none


def is_table(source: AnyPath) -> bool:
    """Whether a file's suffix is a table's."""
    return source.suffix.lower() in _DELIMITERS


def is_known(column: str) -> bool:
    """Whether a column of this name is the path or the label."""
    return _plain(column) in (*PATH_COLUMNS, *LABEL_COLUMNS)


def find_head(source: AnyPath, text: str) -> Head | None:
    """The table that a text is; None for another list.

    A file of another suffix is a table where its first line names at least two columns,
    with `,`, `;` or a tab between them, and the path is one of them.

    Raises:
      DataError: the suffix is a table's, but the text is none.
    """
    named = is_table(source)
    begins: list[str] = []
    for delimiter in _DELIMITERS.get(source.suffix.lower(), ",;\t"):
        reader = csv.reader(io.StringIO(text), delimiter=delimiter)
        cells = _first(reader)
        columns = _as_columns(cells)
        if _named(columns, PATH_COLUMNS) and (named or len(columns) > 1):
            return Head(delimiter, columns, reader.line_num)
        # Of one cell, a delimiter of other tables is part of the name.
        is_bare = len(cells) == 2 or (len(cells) == 1 and not begins)
        if named and is_bare and names.is_picture(cells[0].strip()):
            return Head(delimiter, [PATH, LABEL], 0)
        begins = begins or cells
    if named:
        raise DataError(
            f"{source}: needs a column {', '.join(PATH_COLUMNS[:-1])} or "
            f"{PATH_COLUMNS[-1]}; it has {', '.join(begins) or 'none'}"
        )
    return None


def rows(
    source: AnyPath, text: str, head: Head, root: AnyPath
) -> Iterator[tuple[dict[str, str], str]]:
    """A table's rows by column, `path` among them and maybe `label`, and their places.

    Blank rows do not count, nor does one that begins with `#`, unless the file that it
    names from `root` is there. A `'` before what spreadsheets take for a formula
    (`'=a.jpg`) marks a text, and is no part of it: our own tables have it.

    Raises:
      DataError: a row has no path, or more cells than there are columns; or two columns
        could be the path, or the label.
    """
    path = _only(source, head.columns, PATH_COLUMNS)
    label = _only(source, head.columns, LABEL_COLUMNS)
    reader = csv.reader(io.StringIO(text), delimiter=head.delimiter)
    try:
        for row in reader:
            where = f"{source}:{reader.line_num}"
            cells = [results.plain(cell.strip()) for cell in row]
            if reader.line_num <= head.num_lines or not any(cells):
                continue  # as spreadsheets leave at the end
            values = itertools.zip_longest(head.columns, cells, fillvalue="")
            by_column = dict(itertools.islice(values, len(head.columns)))
            name = by_column[path]
            if cells[0].startswith("#") and not _is_image(cells[0], name, root):
                continue
            if any(cells[len(head.columns) :]):
                raise DataError(
                    f"{where}: {len(cells)} cells for {len(head.columns)} columns: put "
                    f'quotes (") around what holds a {head.delimiter!r}'
                )
            if not name:
                raise DataError(f"{where}: the path is empty")
            said = {PATH: name, LABEL: by_column[label]} if label else {PATH: name}
            yield by_column | said, where
    except csv.Error as error:
        raise DataError(f"{source}:{reader.line_num}: {error}") from None


def _first(reader: Iterator[list[str]]) -> list[str]:
    """The header, or the first row that is neither blank nor a comment."""
    with contextlib.suppress(csv.Error):  # it is no table with this delimiter
        for cells in reader:
            is_comment = cells and cells[0].lstrip().startswith("#")
            if is_comment and not _named(_as_columns(cells), PATH_COLUMNS):
                continue
            if any(map(str.strip, cells)):
                return cells
    return []


def _plain(column: str) -> str:
    """A column's name without what people write differently."""
    return re.sub(r"[\s_-]", "", column).lower()


def _as_columns(cells: Sequence[str]) -> list[str]:
    return [cell.strip().lstrip("# ").lower() for cell in cells]


def _named(columns: Sequence[str], known: Sequence[str]) -> list[str]:
    """The columns that have one of the known names; the first of these alone, if so."""
    named = [column for column in columns if _plain(column) in known]
    return [column for column in named if column == known[0]] or named


def _only(source: AnyPath, columns: Sequence[str], known: Sequence[str]) -> str:
    """The column that has one of the known names; '' where none has."""
    named = _named(columns, known)
    if len(named) > 1:
        raise DataError(
            f"{source}: which of its columns {' and '.join(named)} is the {known[0]}? "
            f"Call that one {known[0]}, and no other"
        )
    return named[0] if named else ""


def _is_image(first: str, name: str, root: AnyPath) -> bool:
    """Whether a row that begins with `#` names an image, and is no comment."""
    return names.is_there(root, name) if first == name else names.is_picture(name)
