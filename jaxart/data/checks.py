"""What is odd in labelled pictures, though it can be used: in words, for warnings."""

import collections
from collections.abc import Iterable, Sequence

import numpy as np

from jaxart.data import labels
from jaxart.data.examples import Examples
from jaxart.data.files import File

FEW = 5  # pictures of a class, below which it is named
_NUM_NAMED = 10


def of_classes(train: Examples, val: Examples) -> list[str]:
    """Classes with few training pictures or none, and those called nearly alike."""
    names = train.class_names
    counts = np.bincount(train.labels, minlength=len(names))
    val_counts = np.bincount(val.labels, minlength=len(names))
    is_missing = counts == 0
    pictureless = [name for name, none in zip(names, is_missing, strict=True) if none]
    only_val = [
        name
        for name, none, count in zip(names, is_missing, val_counts, strict=True)
        if none and count
    ]
    few = [
        f"{name} {count}"
        for name, count in zip(names, counts.tolist(), strict=True)
        if 0 < count < FEW
    ]
    by_fold = collections.defaultdict(list)
    for name in names:
        by_fold[labels.folded(name)].append(name)
    alike = [" and ".join(map(repr, group)) for group in by_fold.values() if group[1:]]
    return _worded(
        ("Classes without a training picture", pictureless),
        ("Classes that validation has and training lacks", only_val),
        (f"Classes with fewer than {FEW} training pictures", few),
        ("Classes that differ in case, accents or spaces alone", alike),
    )


def of_pictures(side: str, examples: Examples, files: Sequence[File]) -> list[str]:
    """Pictures that a list has twice, by their content, or under two labels.

    `side` is what the list is called; `files` are those of the examples.
    """
    members = collections.defaultdict(list)
    for i, file in enumerate(files):
        if not file.reason:
            members[file.sha256].append(i)
    twice, torn = [], []
    for group in members.values():
        classes = {int(examples.labels[i]) for i in group}
        names = " = ".join(dict.fromkeys(examples.names[i] for i in group))
        if classes - {int(examples.labels[group[0]])}:
            said = " and ".join(examples.class_names[i] for i in sorted(classes))
            torn.append(f"{names} ({said})")
        elif len(group) > 1:
            twice.append(names)
    return _worded(
        (f"{side.capitalize()} pictures under two labels", torn),
        (f"{side.capitalize()} pictures that are listed twice", twice),
    )


def _worded(*kinds: tuple[str, Iterable[str]]) -> list[str]:
    """A line of each kind that there is, with the first names."""
    lines = []
    for kind, all_names in kinds:
        named = list(all_names)
        more = len(named) - _NUM_NAMED
        rest = f" and {more} more" if more > 0 else ""
        if named:
            listed = ", ".join(named[:_NUM_NAMED])
            lines.append(f"{kind} ({len(named)}): {listed}{rest}")
    return lines
