"""Which class each image shows, and which images are kept for validation."""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Integer

from jaxart import storage
from jaxart.data import labels, lists
from jaxart.data.lists import DataError
from jaxart.storage import AnyPath


class Examples(NamedTuple):
    """Images with their classes."""

    root: AnyPath  # that relative names start from
    names: tuple[str, ...]  # each image's path, as the list gives it
    labels: Int32[np.ndarray, " n"]  # indices into `class_names`
    class_names: tuple[str, ...]
    are_indexed: bool = False  # whether the list has indices: one means that class

    @property
    def paths(self) -> list[AnyPath]:
        """Where each image lies."""
        return [storage.join(self.root, name) for name in self.names]

    @property
    def classes(self) -> list[str]:
        """Each image's class."""
        return [self.class_names[label] for label in self.labels]

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
    are_indexed: bool = True,
    any_suffix: bool = False,
) -> Examples:
    """Reads a list file, a CSV file, or a folder of class folders.

    They are as `lists.read_labelled` takes them. Labels are class indices from 0, or
    names. Where they are indices, `classes.txt` beside the file (`index name` a line)
    names the classes. `class_names` are in the order that the network was trained with,
    and `are_indexed` says whether its lists had indices, as in `Examples`; by default
    they are found in the source, numbers in their order. `num_classes` is how many
    there must be; 0 takes as many as there are.

    Raises:
      DataError: something is missing, malformed or does not fit `num_classes`.
    """
    root, rows = lists.read_labelled(source, image_root, any_suffix=any_suffix)
    uniques = {row.label for row in rows}
    # Names are names, even where they are digits: those of folders, and known ones.
    is_named = source.is_dir() or all(
        labels.position(label, class_names) is not None for label in uniques
    )
    is_indexed = not is_named and labels.are_indices(rows)
    if not is_indexed:
        names = tuple(class_names) or labels.in_order(uniques)
        index_of = {label: labels.position(label, names) for label in uniques}
        known = ", ".join(names)
        if class_names and are_indexed and _are_counted(names):
            known += "; the training list has indices: a classes.txt beside it names "
            known += "them (`index name` a line)"
    else:
        names, index_of, known = _read_indices(
            source, uniques, num_classes, tuple(class_names), are_indexed
        )
    if num_classes not in (0, len(names)):
        raise DataError(
            f"{source}: has {len(names)} classes ({', '.join(names)}), but "
            f"num_classes is {num_classes}; set --config.num_classes={len(names)}"
        )
    for row in rows:
        if index_of[row.label] is None:
            raise DataError(f"{row.where}: label {row.label!r} is none of {known}")
    indices = np.array([index_of[row.label] for row in rows], np.int32)
    in_root = tuple(row.name for row in rows)
    is_indexed = are_indexed if class_names else is_indexed
    return Examples(root, in_root, indices, names, is_indexed)


def _read_indices(
    source: AnyPath,
    uniques: Iterable[str],
    num_classes: int,
    class_names: tuple[str, ...],
    are_indexed: bool,
) -> tuple[tuple[str, ...], dict[str, int | None], str]:
    """The classes' names, the class of each label, and what labels may be.

    An index stands for the name that the list's own classes.txt has for it, and else
    for the class that training counted so.
    """
    beside = labels.names_beside(source)
    if class_names and not (are_indexed or beside):
        raise DataError(
            f"{source}: its labels are indices, and the training data has names: "
            f"write names ({', '.join(class_names[:3])}...), or put a classes.txt "
            "(`index name` a line) beside it"
        )
    numbers = {label: labels.number(label) or 0 for label in uniques}
    names = class_names or beside
    if not names:
        count = num_classes or _count_indices(source, set(numbers.values()))
        names = tuple(map(str, range(count)))
    own = names if are_indexed and _are_counted(names) else beside or names
    if own != names:
        known = f"the indices whose names in its classes.txt are {', '.join(names)}"
        places = [labels.position(name, names) for name in own]
    else:
        known, places = f"the indices 0 to {len(names) - 1}", [*range(len(names))]
    index_of = {
        label: places[index] if 0 <= index < len(places) else None
        for label, index in numbers.items()
    }
    return names, index_of, known


def _are_counted(names: Sequence[str]) -> bool:
    """Whether classes have no names but their indices."""
    return tuple(names) == tuple(map(str, range(len(names))))


def _count_indices(source: AnyPath, indices: set[int]) -> int:
    """How many classes there are, where nothing but their indices says so."""
    missing = next(index for index in itertools.count() if index not in indices)
    last = max(0, *indices)
    if missing < last:  # counted from 1, or a slip
        raise DataError(
            f"{source}: its labels go up to {last}, but no image has label {missing}. "
            "Indices start at 0; if that class has no images, set "
            f"--config.num_classes={last + 1}; numbers that are names, as years, need "
            "a classes.txt (`index name` a line) beside the list"
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
