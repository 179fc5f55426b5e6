"""The lines of a list: `path`, or `path label`."""

import re
from collections.abc import Iterator

from jaxart.data import names
from jaxart.data.tables import LABEL_COLUMNS, PATH_COLUMNS
from jaxart.data.texts import DataError
from jaxart.storage import AnyPath

_QUOTED = re.compile(r"""(["'])(.*?)\1(?:\s+(.*))?""")


def rows(source: AnyPath, text: str, root: AnyPath) -> Iterator[tuple[str, str, str]]:
    """A list's paths, labels ('' where there is none) and places.

    Blank lines do not count, nor does one that begins with `#`, unless the file that it
    names from `root` is there, nor a first line like `path label`.

    Raises:
      DataError: a line that cannot be told apart; says what to write.
    """
    is_first = True
    for number, line in enumerate(text.split("\n"), start=1):
        line, where = line.strip(), f"{source}:{number}"
        if not line:
            continue
        name, label = split(line, root, where)
        if line.startswith("#") and not names.is_there(root, name):
            continue
        if not (is_first and _is_header(line, root, where)):
            yield name, label, where
        is_first = False


def split(line: str, root: AnyPath, where: str) -> tuple[str, str]:
    """A line's path and label.

    Quotes around the path divide it from the label, or else a tab, or the blank after
    the last suffix of a picture. Where there is none of these, the last blank does
    after which the path is there, or the last.

    Raises:
      DataError: it cannot be told where the path ends.
    """
    quoted = _QUOTED.fullmatch(line)
    if quoted and (names.is_picture(quoted[2]) or not _holds_picture(quoted[3] or "")):
        return quoted[2], _unquoted(quoted[3] or "")
    if "\t" in line:
        name, *labels = (cell for cell in map(str.strip, line.split("\t")) if cell)
        if len(labels) > 1 or names.is_picture(labels[0]):
            raise DataError(
                f"{where}: {line!r} is not a path, a tab and a label; a table with "
                "other columns has their names in its first line, path among them"
            )
        return name, _unquoted(labels[0])
    if names.is_picture(line):
        return line, ""
    parts = names.picture_then_rest().fullmatch(line)
    if parts is None:
        return _split_at_blank(line, root)
    name, between, label = parts.groups()
    if between.strip():
        raise DataError(
            f"{where}: {line!r} has {between.strip()!r} after the path: put a blank "
            "there, or make it a table: a file NAME.csv"
        )
    return name, _unquoted(label)


def _split_at_blank(line: str, root: AnyPath) -> tuple[str, str]:
    name, *label = line.rsplit(maxsplit=1)
    shorter = name
    while label and not names.is_there_locally(root, shorter):
        shorter, *cut = shorter.rsplit(maxsplit=1)
        if not cut:
            return name, _unquoted(label[0])
    return shorter, _unquoted(line[len(shorter) :].strip())


def _is_header(line: str, root: AnyPath, where: str) -> bool:
    """Whether a first line names what stands in the lines below it."""
    words = line.lower().split()
    if len(words) > 2 or not {*words} <= {*PATH_COLUMNS, *LABEL_COLUMNS}:
        return False
    if names.is_there(root, line) or not {*words} & {*PATH_COLUMNS}:
        return False
    if words[0] not in PATH_COLUMNS:
        raise DataError(
            f"{where}: {line!r}: the path comes first in a list; or make it a table, "
            "a file NAME.csv with such a first line"
        )
    return True


def _holds_picture(text: str) -> bool:
    return names.is_picture(text) or bool(names.picture_then_rest().fullmatch(text))


def _unquoted(label: str) -> str:
    quoted = _QUOTED.fullmatch(label)
    return quoted[2] if quoted and quoted[3] is None else label
