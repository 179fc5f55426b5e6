"""What lists call classes: names, or indices; and which of some classes is meant."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from jaxart.data import names, texts
from jaxart.data.lists import DataError, Row
from jaxart.storage import AnyPath

# Also with the decimals that a table's column of numbers with gaps gets.
_NUMBER = re.compile(r"\s*([+-]?\d{1,18})(?:\.0*)?\s*")


def number(label: str) -> int | None:
    """The whole number that a label is, however it is written; None if it is none."""
    match = _NUMBER.fullmatch(label)
    return int(match[1]) if match else None


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Names of classes, each once: numbers by their size, then the others."""

    def key(label: str) -> tuple[bool, int, str]:
        value = number(label)
        return value is None, value or 0, label

    return tuple(sorted(set(labels), key=key))


def position(label: str, class_names: Sequence[str]) -> int | None:
    """Where a class stands among others, by its name; None where it does not.

    Names are compared in one Unicode form, and those that are numbers by their value.
    """
    if label in class_names:
        return class_names.index(label)
    for form in (names.nfc, number):
        wanted = form(label)
        forms = [form(name) for name in class_names] if wanted is not None else []
        if wanted in forms:
            return forms.index(wanted)
    return None


def folded(name: str) -> str:
    """A class's name without case, accents, and what stands between its words."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return re.sub(r"[\s_-]+", "", plain)


def are_indices(rows: Sequence[Row]) -> bool:
    """Whether the labels are indices, -1 being a wrong one, or else names.

    Raises:
      DataError: some are, and some are not.
    """
    is_index = [number(row.label) is not None for row in rows]
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

    Raises:
      DataError: it is there, and malformed.
    """
    path = source.parent / "classes.txt"
    if not path.is_file():
        path = source.with_name(f"{source.stem.rpartition('_')[0]}_class.txt")
    if not path.is_file():
        return ()
    indexed = []
    for line_number, line in enumerate(texts.read(path).split("\n"), start=1):
        if not line.strip():
            continue
        index, *name = line.strip().split(maxsplit=1)
        if not index.isdecimal() or not name:
            raise DataError(f"{path}:{line_number}: {line!r} is not `index name`")
        indexed.append((int(index), names.nfc(name[0])))
    indexed.sort()
    if not indexed or [index for index, _ in indexed] != list(range(len(indexed))):
        raise DataError(f"{path}: the indices are not 0, 1, 2 and so on, once each")
    return tuple(name for _, name in indexed)
