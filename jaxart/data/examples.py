"""Which images there are and which class each shows: lists, CSV files, folders."""

import csv
import io
import itertools
import operator
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Integer
from PIL import Image

from jaxart import storage
from jaxart.storage import AnyPath, RemotePath


class DataError(ValueError):
    """A list, CSV file or folder that cannot be used; the message says where."""


class Examples(NamedTuple):
    """Images with their classes."""

    root: AnyPath  # that relative names start from
    names: tuple[str, ...]  # each image's path, as the list gives it
    labels: Int32[np.ndarray, " n"]  # indices into `class_names`
    class_names: tuple[str, ...]

    @property
    def paths(self) -> list[AnyPath]:
        """Where each image lies."""
        return [storage.join(self.root, name) for name in self.names]

    def take(self, indices: Integer[np.ndarray, " m"]) -> "Examples":
        """The examples at `indices`, in that order."""
        names = tuple(self.names[i] for i in indices)
        return self._replace(names=names, labels=self.labels[indices])


def read(
    source: str | os.PathLike,
    *,
    num_classes: int = 0,
    image_root: str | os.PathLike = "",
    class_names: Sequence[str] = (),
) -> Examples:
    """Reads a list file, a CSV file, or a folder of class folders.

    A list file has `path label` on each line: the last field is the label, so a
    path may hold spaces. A CSV file has columns `path` and `label`. Labels are
    class indices from 0, or names. Where they are indices, `classes.txt` beside the
    file (`index name` a line) names the classes. Relative paths start at `image_root`,
    by default the source's own folder. `class_names` are in the order that the network
    was trained with; by default they are found in the source. `num_classes` is how many
    there must be; 0 takes as many as there are.

    Raises:
      DataError: something is missing, malformed or does not fit `num_classes`.
    """
    source = storage.path(source)
    root, rows = read_rows(source, image_root)

    # Names are names, even where they are digits: those of folders, and known ones.
    is_named = source.is_dir() or {row.label for row in rows} <= set(class_names)
    if not is_named and are_indices(rows):
        index_of = {row.label: int(row.label) for row in rows}
        names = tuple(class_names) or names_beside(source)
        if not names:
            count = num_classes or _count_indices(source, set(index_of.values()))
            names = tuple(map(str, range(count)))
        known = f"the indices 0 to {len(names) - 1}"
    else:
        names = tuple(class_names) or tuple(sorted({row.label for row in rows}))
        index_of = {name: i for i, name in enumerate(names)}
        known = ", ".join(names)
    if num_classes not in (0, len(names)):
        raise DataError(
            f"{source}: has {len(names)} classes ({', '.join(names)}), but "
            f"num_classes is {num_classes}; set --config.num_classes={len(names)}"
        )
    for row in rows:
        if not 0 <= index_of.get(row.label, -1) < len(names):
            raise DataError(f"{row.where}: label {row.label!r} is none of {known}")
    labels = np.array([index_of[row.label] for row in rows], np.int32)
    return Examples(root, tuple(row.name for row in rows), labels, names)


def _count_indices(source: AnyPath, indices: set[int]) -> int:
    """How many classes there are, where nothing but their indices says so."""
    missing = next(index for index in itertools.count() if index not in indices)
    last = max(0, *indices)
    if missing < last:  # counted from 1, or a slip
        raise DataError(
            f"{source}: its labels go up to {last}, but no image has label {missing}. "
            "Indices start at 0; if that class has no images, set "
            f"--config.num_classes={last + 1}"
        )
    return last + 1


def split(
    examples: Examples, val_fraction: float, seed: int
) -> tuple[Examples, Examples]:
    """Splits into training and validation examples, each class in the same share.

    The split depends on the names and the seed, not on the order of the list.

    Raises:
      DataError: a side would be empty.
    """
    rng = np.random.default_rng(seed)
    is_val = np.zeros(len(examples.names), bool)
    by_name = np.array(sorted(range(len(is_val)), key=examples.names.__getitem__))
    for label in np.unique(examples.labels):
        of_class = rng.permutation(by_name[examples.labels[by_name] == label])
        is_val[of_class[: round(val_fraction * len(of_class))]] = True
    if is_val.all() or not is_val.any():
        raise DataError(
            f"val_fraction={val_fraction} of {len(is_val)} images leaves one side "
            "of the split empty"
        )
    return examples.take(np.flatnonzero(~is_val)), examples.take(np.flatnonzero(is_val))


class Row(NamedTuple):
    """An image as a source names it."""

    name: str  # its path
    label: str  # its class's index or name
    where: str  # file and line, for messages


def read_rows(
    source: AnyPath, image_root: str | os.PathLike = ""
) -> tuple[AnyPath, list[Row]]:
    """What a list file, CSV file or folder of class folders says, as it stands there.

    That are the folder that relative names start from, and the rows.

    Raises:
      DataError: the source is missing, malformed or empty.
    """
    if source.is_dir():
        root, rows = source, _folder_rows(source)
    elif source.is_file():
        root = storage.path(image_root) if os.fspath(image_root) else source.parent
        is_csv = source.suffix.lower() == ".csv"
        rows = _csv_rows(source) if is_csv else _list_rows(source)
    else:
        raise DataError(f"{source}: no such list file, CSV file or folder")
    if not rows:
        raise DataError(f"{source}: lists no images")
    return root, rows


def _list_rows(source: AnyPath) -> list[Row]:
    rows = []
    for number, line in enumerate(read_text(source).split("\n"), start=1):
        if not line.strip():
            continue
        fields = line.strip().rsplit(maxsplit=1)
        if len(fields) < 2:
            raise DataError(f"{source}:{number}: {line!r} is not `path label`")
        rows.append(Row(*fields, f"{source}:{number}"))
    return rows


def _csv_rows(source: AnyPath) -> list[Row]:
    rows = list(read_table(source, "path", "label"))
    for row in rows:
        if not row.name or not row.label:
            raise DataError(f"{row.where}: path or label is empty")
    return rows


def read_table(source: AnyPath, *needed: str) -> Iterator[Row]:
    """A CSV file's rows; columns path and label where, as in ArtGAN's, no header is.

    Raises:
      DataError: it is not UTF-8, or has not all columns that are `needed`.
    """
    text = read_text(source)
    first = next(csv.reader(io.StringIO(text)), [])
    is_bare = len(first) == 2 and is_image_name(first[0])
    names = ("path", "label") if is_bare else None
    reader = csv.DictReader(io.StringIO(text), names)
    columns = reader.fieldnames or []
    if not set(needed) <= set(columns):
        what = f"{'a column' if len(needed) == 1 else 'columns'} {' and '.join(needed)}"
        raise DataError(f"{source}: needs {what}; it has {', '.join(columns)}")
    for row in reader:
        name, label = ((row.get(column) or "").strip() for column in ("path", "label"))
        yield Row(name, label, f"{source}:{reader.line_num}")


def _folder_rows(source: AnyPath) -> list[Row]:
    rows = []
    for folder, names in _class_folders(source):
        if not names:
            raise DataError(f"{folder}: a class folder without images")
        rows += [
            Row(f"{folder.name}/{name}", folder.name, str(folder)) for name in names
        ]
    if not rows:
        raise DataError(
            f"{source}: has no class folders (one folder of images a class)"
        )
    return rows


def _class_folders(source: AnyPath) -> Iterator[tuple[AnyPath, list[str]]]:
    """Each folder and the images in it, in order; hidden ones not."""
    if storage.is_remote(source):  # all are listed in one go
        inside = (name.partition("/") for name in image_names(source))
        inside = ((folder, name) for folder, mark, name in inside if mark)
        for folder, rows in itertools.groupby(inside, operator.itemgetter(0)):
            yield source / folder, [name for _, name in rows]
        return
    for folder in sorted(source.iterdir()):
        if folder.is_dir() and not folder.name.startswith("."):
            yield folder, image_names(folder)


def image_names(folder: AnyPath) -> list[str]:
    """Files in a folder, searched deep, whose suffix is an image's; hidden ones not."""
    is_remote = isinstance(folder, RemotePath)
    if is_remote:
        inside = sorted(map(PurePosixPath, folder.keys_below()))
    else:
        inside = [path.relative_to(folder) for path in sorted(folder.rglob("*"))]
    return [
        path.as_posix()
        for path in inside
        if is_image_name(path.name)
        and not any(part.startswith(".") for part in path.parts)
        and (is_remote or (folder / path).is_file())
    ]


def is_image_name(name: str) -> bool:
    """Whether a file's suffix is an image's."""
    return Path(name).suffix.lower() in Image.registered_extensions()


def are_indices(rows: list[Row]) -> bool:
    """Whether the labels are indices, -1 being a wrong one, or else names."""
    is_index = [row.label.removeprefix("-").isdecimal() for row in rows]
    if len(set(is_index)) == 1:
        return is_index[0]
    other = rows[is_index.index(not is_index[0])]
    raise DataError(
        f"{other.where}: label {other.label!r}, but {rows[0].label!r} at "
        f"{rows[0].where}: labels are all indices or all names"
    )


def names_beside(source: AnyPath) -> tuple[str, ...]:
    """Class names in the file beside a list that gives them; none if there is none.

    It is called classes.txt, or as ArtGAN's: style_class.txt beside style_train.csv.
    """
    path = source.parent / "classes.txt"
    if not path.is_file():
        path = source.with_name(f"{source.stem.rpartition('_')[0]}_class.txt")
    if not path.is_file():
        return ()
    names = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        index, *name = line.strip().split(maxsplit=1)
        if not index.isdecimal() or not name:
            raise DataError(f"{path}:{number}: {line!r} is not `index name`")
        names.append((int(index), *name))
    names.sort()
    if not names or [index for index, _ in names] != list(range(len(names))):
        raise DataError(f"{path}: the indices are not 0, 1, 2 and so on, once each")
    return tuple(name for _, name in names)


def read_text(path: AnyPath) -> str:
    """A text file's content.

    Raises:
      DataError: it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a UTF-8 text file ({error})") from None
