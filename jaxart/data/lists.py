"""What names images: a folder, a list, a table, or an image itself. The one reader.

Lists and tables are UTF-8, with or without a byte-order mark, whatever ends their
lines. Blank lines do not count, and there are no comments: a name may begin with `#`.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from jaxart.data import formats
from jaxart.storage import AnyPath, RemotePath

_DELIMITERS = {".csv": ",", ".tsv": "\t"}  # of tables, by their suffix
_PATH, _PATH_TOO, _LABEL = "path", "file", "label"  # columns


class DataError(ValueError):
    """A list, table or folder that cannot be used; the message says where."""


class Row(NamedTuple):
    """An image as a source names it."""

    name: str  # its path
    label: str  # its class's index or name; '' where the source gives none
    where: str  # file and line, for messages


def read(
    source: AnyPath, image_root: AnyPath | None = None
) -> tuple[AnyPath, list[Row]]:
    """What a source says, as it stands there.

    In a folder, searched deep, an image's label is the folder in `source` that it is
    in. A list has `path` or `path label` on each line; a path may hold spaces, and ends
    in an image's suffix where no label follows it. A table (.csv, .tsv) has a column
    `path`, or `file`, and maybe `label`.

    Args:
      source: a folder, an image, a table, or of any other suffix a list.
      image_root: where the relative paths of a list or table start; by default at its
        own folder.

    Returns:
      The folder that relative names start from, and the rows.

    Raises:
      DataError: the source is missing or malformed, or names no images.
    """
    root = source.parent
    if source.is_dir():
        root, rows = source, list(_folder_rows(source))
    elif not source.is_file():
        raise DataError(f"{source}: no such folder, image or list file")
    elif is_image_name(source.name):
        rows = [Row(source.name, "", str(source))]
    else:
        root = image_root or root
        rows = list(_table_rows(source) if is_table(source) else _list_rows(source))
    if not rows:
        raise DataError(f"{source}: names no images")
    return root, rows


def read_labelled(
    source: AnyPath, image_root: AnyPath | None = None
) -> tuple[AnyPath, list[Row]]:
    """As `read`, where every image has to have a label.

    In a folder, images beside the class folders are left out.

    Raises:
      DataError: as `read`; or an image has no label, or a class folder no image.
    """
    root, rows = read(source, image_root)
    if source.is_dir():
        rows = [row for row in rows if row.label]
        if not rows:
            raise DataError(
                f"{source}: has no class folders (one folder of images a class)"
            )
        labels = {row.label for row in rows}
        # An object store has no folders but of what is in them.
        folders = [] if isinstance(source, RemotePath) else sorted(source.iterdir())
        for folder in folders:
            is_class = folder.is_dir() and not folder.name.startswith(".")
            if is_class and folder.name not in labels:
                raise DataError(f"{folder}: a class folder without images")
    for row in rows:
        if not row.label:
            raise DataError(
                f"{row.where}: {row.name!r} has no label (a list has `path label` on "
                "each line, a table columns path and label)"
            )
    return root, rows


def is_table(source: AnyPath) -> bool:
    """Whether a file is read as a table, and not as a list."""
    return source.suffix.lower() in _DELIMITERS


def read_table(source: AnyPath) -> Iterator[tuple[dict[str, str], str]]:
    """A table's rows by column, `path` among them, and where each stands.

    Without a header, as ArtGAN's tables are, the columns are path and label.

    Raises:
      DataError: it is no such table, or a row has no path.
    """
    text, delimiter = read_text(source), _DELIMITERS.get(source.suffix.lower(), ",")
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        first = next(reader, [])
        is_bare = 1 <= len(first) <= 2 and is_image_name(first[0])
        names = (_PATH, _LABEL) if is_bare else None
        reader = csv.DictReader(io.StringIO(text), names, delimiter=delimiter)
        columns = reader.fieldnames or ()
        path = next((name for name in (_PATH, _PATH_TOO) if name in columns), None)
        if path is None:
            raise DataError(
                f"{source}: needs a column {_PATH} or {_PATH_TOO}; it has "
                f"{', '.join(columns) or 'none'}"
            )
        for row in reader:
            cells = {column: (row[column] or "").strip() for column in columns}
            if not any(cells.values()):  # as spreadsheets leave at the end
                continue
            where = f"{source}:{reader.line_num}"
            if not cells[path]:
                raise DataError(f"{where}: the path is empty")
            yield cells | {_PATH: cells[path]}, where
    except csv.Error as error:
        raise DataError(f"{source}:{reader.line_num + 1}: {error}") from None


def read_text(path: AnyPath) -> str:
    r"""A text file's content; `\n` ends its lines.

    Raises:
      DataError: it is not UTF-8.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a UTF-8 text file ({error})") from None
    return io.StringIO(text, newline=None).read()


def is_image_name(name: str) -> bool:
    """Whether a file's suffix is an image's."""
    return formats.is_read(PurePosixPath(name).suffix)


def _table_rows(source: AnyPath) -> Iterator[Row]:
    for cells, where in read_table(source):
        yield Row(cells[_PATH], cells.get(_LABEL, ""), where)


def _list_rows(source: AnyPath) -> Iterator[Row]:
    for number, line in enumerate(read_text(source).split("\n"), start=1):
        line = line.strip()
        if line:
            name, *label = [line] if is_image_name(line) else line.rsplit(maxsplit=1)
            yield Row(name, "".join(label), f"{source}:{number}")


def _folder_rows(source: AnyPath) -> Iterator[Row]:
    """A folder's image files, searched deep; hidden ones not."""
    is_remote = isinstance(source, RemotePath)
    start = str(source)
    if is_remote:
        inside = sorted(map(PurePosixPath, source.keys_below()))
    else:
        inside = [path.relative_to(source) for path in sorted(source.rglob("*"))]
    for path in inside:
        is_hidden = any(part.startswith(".") for part in path.parts)
        if is_hidden or not is_image_name(path.name):
            continue
        if is_remote or (source / path).is_file():
            label = path.parts[0] if len(path.parts) > 1 else ""
            yield Row(path.as_posix(), label, f"{start}/{label}" if label else start)
