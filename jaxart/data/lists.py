r"""What names images: a folder, a list, a table, or an image itself. The one reader.

What people and their programs write is read where it can mean one thing, and refused
with its line where it cannot: quotes, `\` of Windows, header lines, comments, tables
with `,`, `;` or tabs, UTF-8, and UTF-16 with its byte-order mark. Labels are in one
Unicode form, and names in that of the file.
"""

from collections.abc import Iterator
from typing import NamedTuple

from jaxart.data import folders, lines, names, tables, texts
from jaxart.data.texts import DataError
from jaxart.storage import AnyPath, RemotePath

__all__ = ["DataError", "Row", "read", "read_labelled", "read_table"]


class Row(NamedTuple):
    """An image as a source names it."""

    name: str  # its path
    label: str  # its class's index or name; '' where the source gives none
    where: str  # file and line, for messages


def read(
    source: AnyPath, image_root: AnyPath | None = None, *, any_suffix: bool = False
) -> tuple[AnyPath, list[Row]]:
    """What a source says, as it stands there.

    In a folder, searched deep, an image's label is the folder in `source` that it is
    in. A list has `path` or `path label` on each line, as `lines.split` parts them. A
    table (.csv, .tsv, or what begins with the names of columns) has one of
    `tables.PATH_COLUMNS`, and maybe of `tables.LABEL_COLUMNS`.

    Args:
      source: a folder, an image, a table, or of any other suffix a list.
      image_root: where the relative paths of a list or table start; by default at its
        own folder.
      any_suffix: whether files whose suffix is no image's are looked into.

    Returns:
      The folder that relative names start from, and the rows.

    Raises:
      DataError: the source is missing or malformed, or names no images.
    """
    root = source.parent
    if source.is_dir():
        root = source
        rows = list(_folder_rows(source, any_suffix))
    elif not source.is_file():
        raise DataError(f"{source}: no such folder, image or list file")
    elif names.is_picture(source.name) or (any_suffix and folders.is_image(source)):
        rows = [Row(source.name, "", str(source))]
    else:
        root = image_root or root
        rows = list(_file_rows(source, root))
    if not rows:
        raise DataError(f"{source}: names no images")
    return root, rows


def read_labelled(
    source: AnyPath, image_root: AnyPath | None = None, *, any_suffix: bool = False
) -> tuple[AnyPath, list[Row]]:
    """As `read`, where every image has to have a label.

    In a folder, images beside the class folders are left out.

    Raises:
      DataError: as `read`; or an image has no label, or a class folder no image.
    """
    root, rows = read(source, image_root, any_suffix=any_suffix)
    if source.is_dir():
        rows = [row for row in rows if row.label]
        if not rows:
            raise DataError(
                f"{source}: has no class folders (one folder of images a class)"
            )
        labels = {row.label for row in rows}
        # An object store has no folders but of what is in them.
        inside = [] if isinstance(source, RemotePath) else sorted(source.iterdir())
        for folder in inside:
            is_class = folder.is_dir() and not folder.name.startswith(".")
            if is_class and names.nfc(folder.name) not in labels:
                raise DataError(f"{folder}: a class folder without images")
    for row in rows:
        if not row.label:
            raise DataError(
                f"{row.where}: {row.name!r} has no label (a list has `path label` on "
                "each line, a table columns path and label)"
            )
    return root, rows


def read_table(
    source: AnyPath, root: AnyPath | None = None
) -> Iterator[tuple[dict[str, str], str]] | None:
    """A table's rows by column, and where each stands; None of what is no table.

    Columns are in small letters, `path` and `label` called so. Without a header, as
    ArtGAN's tables are, they are these two. Names are as they stand, from `root`.

    Raises:
      DataError: it is called a table and is none, or a row has no path.
    """
    text = texts.read(source)
    head = tables.find_head(source, text)
    return head and tables.rows(source, text, head, root or source.parent)


def _file_rows(source: AnyPath, root: AnyPath) -> Iterator[Row]:
    text = texts.read(source)
    head = tables.find_head(source, text)
    if head:
        in_table = tables.rows(source, text, head, root)
        rows = (
            (row[tables.PATH], row.get(tables.LABEL, ""), at) for row, at in in_table
        )
    else:
        rows = lines.rows(source, text, root)
    for name, label, where in rows:
        yield Row(names.as_stored(root, name, where), names.nfc(label), where)


def _folder_rows(source: AnyPath, any_suffix: bool) -> Iterator[Row]:
    start = str(source)
    for name in folders.images_in(source, any_suffix=any_suffix):
        label = name.partition("/")[0] if "/" in name else ""
        yield Row(name, names.nfc(label), f"{start}/{label}" if label else start)
