"""Which images to look at: a folder searched deep, one file, or a list of files."""

import itertools
import os
from pathlib import PurePath
from typing import NamedTuple

from jaxart import storage
from jaxart.data.examples import (
    DataError,
    image_names,
    is_image_name,
    read_table,
    read_text,
)
from jaxart.storage import AnyPath


class Listing(NamedTuple):
    """Images, with a label where the source gives one.

    Attributes:
      root: folder that relative names start from.
      names: each image's path, as the source gives it; none twice.
      labels: what the source calls each image's class; '' where it does not.
    """

    root: AnyPath
    names: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def paths(self) -> list[AnyPath]:
        """Where each image lies."""
        return [storage.join(self.root, name) for name in self.names]

    def first(self, count: int | None) -> "Listing":
        """The first images, `count` of them; all where it is None."""
        return self._replace(names=self.names[:count], labels=self.labels[:count])

    def without(self, folder: AnyPath) -> "Listing":
        """The images that do not lie in `folder`.

        Raises:
          DataError: none is left.
        """
        folder = storage.resolve(folder)
        root = storage.resolve(self.root)
        kept = [folder not in storage.join(root, name).parents for name in self.names]
        if not any(kept):
            raise DataError(f"all images lie in {folder}, the output folder")
        names, labels = (
            tuple(itertools.compress(values, kept))
            for values in (self.names, self.labels)
        )
        return self._replace(names=names, labels=labels)


def read(source: str | os.PathLike, image_root: str | os.PathLike = "") -> Listing:
    """Finds images.

    Args:
      source: a folder (in folders of classes, the class folder is the label), an
        image file, a CSV file with a column `path` and maybe `label`, or a text file
        with a path, or `path label`, on each line.
      image_root: where relative paths start; by default the list's own folder.

    Raises:
      DataError: there is no such source, or it names no images.
    """
    source = storage.path(source)
    suffix = source.suffix.lower()
    root = storage.path(image_root) if os.fspath(image_root) else source.parent
    if source.is_dir():
        root = source
        names = image_names(source)
        folders = [PurePath(name).parts[:-1] for name in names]
        # A folder called 3 is no class 3: only a list counts classes.
        rows = [
            (name, parents[0] if parents and not parents[0].isdecimal() else "")
            for name, parents in zip(names, folders, strict=True)
        ]
    elif not source.is_file():
        raise DataError(f"{source}: no such folder, image or list file")
    elif is_image_name(source.name):
        root, rows = source.parent, [(source.name, "")]
    elif suffix == ".csv":
        rows = _csv_rows(source)
    else:
        lines = (line.strip() for line in read_text(source).split("\n"))
        rows = [_split(line) for line in lines if line]
    if not rows:
        raise DataError(f"{source}: names no images")
    images = {}  # an image counts once, however its path is written
    for row in rows:
        images.setdefault(os.path.normpath(row[0]), row)
    return Listing(root, *map(tuple, zip(*images.values(), strict=True)))


def _csv_rows(source: AnyPath) -> list[tuple[str, str]]:
    reader = read_table(source)
    if "path" not in (reader.fieldnames or ()):
        raise DataError(f"{source}: needs a column path; it has {reader.fieldnames}")
    rows = [
        ((row["path"] or "").strip(), (row.get("label") or "").strip())
        for row in reader
    ]
    return [row for row in rows if row[0]]


def _split(line: str) -> tuple[str, str]:
    """`path label` or `path`: a path may hold spaces, and ends in an image's suffix."""
    head, *tail = line.rsplit(maxsplit=1)
    if is_image_name(line) or not tail:
        return line, ""
    return head, tail[0]
