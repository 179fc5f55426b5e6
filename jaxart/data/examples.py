"""Which class each image shows, and which images are kept for validation."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Integer

from jaxart import storage
from jaxart.data import lists
from jaxart.data.lists import DataError, Row, read_text
from jaxart.storage import AnyPath


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
    source: AnyPath,
    *,
    num_classes: int = 0,
    image_root: AnyPath | None = None,
    class_names: Sequence[str] = (),
) -> Examples:
    """Reads a list file, a CSV file, or a folder of class folders.

    They are as `lists.read_labelled` takes them. Labels are class indices from 0, or
    names. Where they are indices, `classes.txt` beside the file (`index name` a line)
    names the classes. `class_names` are in the order that the network was trained with;
    by default they are found in the source. `num_classes` is how many there must be; 0
    takes as many as there are.

    Raises:
      DataError: something is missing, malformed or does not fit `num_classes`.
    """
    root, rows = lists.read_labelled(source, image_root)

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
