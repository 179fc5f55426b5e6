"""Which images to look at: a folder searched deep, one file, or a list of files."""

import itertools
import os
from typing import NamedTuple

from jaxart import storage
from jaxart.data import examples
from jaxart.data.examples import DataError, is_image_name
from jaxart.storage import AnyPath


class Listing(NamedTuple):
    """Images, with a label where the source gives one."""

    root: AnyPath  # that relative names start from
    names: tuple[str, ...]  # each image's path, as the source gives it; none twice
    labels: tuple[str, ...]  # what the source calls its class; '' where it does not

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
        names, labels = (itertools.compress(values, kept) for values in self[1:])
        return self._replace(names=tuple(names), labels=tuple(labels))


def read(source: str | os.PathLike, image_root: str | os.PathLike = "") -> Listing:
    """Finds images.

    In a folder (in folders of classes, the class folder is the label), an image file, a
    CSV file with a column `path` and maybe `label`, or a text file with a path, or
    `path label`, on each line. Relative paths start at `image_root`, by default the
    list's own folder.

    Raises:
      DataError: there is no such source, or it names no images.
    """
    source = storage.path(source)
    root = storage.path(image_root) if os.fspath(image_root) else source.parent
    if source.is_dir():
        root = source
        names = examples.image_names(source)
        folders = [name.partition("/")[0] if "/" in name else "" for name in names]
        # A folder called 3 is no class 3: only a list counts classes.
        labels = ["" if folder.isdecimal() else folder for folder in folders]
        rows = list(zip(names, labels, strict=True))
    elif not source.is_file():
        raise DataError(f"{source}: no such folder, image or list file")
    elif is_image_name(source.name):
        root, rows = source.parent, [(source.name, "")]
    elif source.suffix.lower() == ".csv":
        table = examples.read_table(source, "path")
        rows = [(row.name, row.label) for row in table if row.name]
    else:
        lines = (line.strip() for line in examples.read_text(source).split("\n"))
        rows = [_split(line) for line in lines if line]
    if not rows:
        raise DataError(f"{source}: names no images")
    images = {}  # an image counts once, however its path is written
    for row in rows:
        images.setdefault(os.path.normpath(row[0]), row)
    return Listing(root, *map(tuple, zip(*images.values(), strict=True)))


def _split(line: str) -> tuple[str, str]:
    """`path label` or `path`: a path may hold spaces, and ends in an image's suffix."""
    head, *tail = line.rsplit(maxsplit=1)
    if is_image_name(line) or not tail:
        return line, ""
    return head, tail[0]
