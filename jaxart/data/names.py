"""Names of files as lists give them: what they tell, and how a file is called here."""

import functools
import os
import re
import unicodedata
from pathlib import Path

from jaxart import storage
from jaxart.data import formats
from jaxart.data.texts import DataError
from jaxart.storage import AnyPath

_OF_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def is_image(name: str) -> bool:
    """Whether a file's suffix is an image's that can be read."""
    return suffix(name) in formats.suffixes()


def suffix(name: str) -> str:
    """A file's suffix in small letters; '' where it has none."""
    stem, dot, last = name.rpartition("/")[2].rpartition(".")
    return f"{dot}{last}".lower() if stem else ""


def is_picture(name: str) -> bool:
    """Whether a file's suffix is a picture's, be it one that cannot be read."""
    return is_image(name) or bool(formats.remedy(suffix(name)))


@functools.cache
def picture_then_rest() -> re.Pattern:
    """Matches what ends in a picture's suffix, as long as can be, and what follows."""
    suffixes = {*formats.suffixes(), *formats.REMEDIES}
    any_of = "|".join(map(re.escape, sorted(suffixes)))
    return re.compile(rf"(.*[^/](?:{any_of}))([ \t,;]+)(.+)", re.IGNORECASE | re.DOTALL)


def nfc(text: str) -> str:
    """The one Unicode form in which names are compared."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def key(name: str) -> str:
    """The same text for the same name, however it is written."""
    return os.path.normpath(nfc(name.replace("\\", "/")))


def is_there(root: AnyPath, name: str) -> bool:
    """Whether there is such a file."""
    try:
        return storage.join(root, name).is_file()
    except ValueError:  # no name of a file at all
        return False


def is_there_locally(root: AnyPath, name: str) -> bool:
    """As `is_there`, but that no object store is asked."""
    if isinstance(root, Path) and "://" not in name:
        return os.path.isfile(f"{root}/{name}" if name[:1] != "/" else name)
    return isinstance(storage.join(root, name), Path) and is_there(root, name)


def as_stored(root: AnyPath, name: str, where: str) -> str:
    r"""A listed name as the file is called: `/` for `\`, in its own Unicode form.

    A name that is there as it stands stays so, as does one that is nowhere. Of an
    object store, which is not asked, names stay in their form.

    Raises:
      DataError: a path on a drive of Windows.
    """
    is_windows = _OF_WINDOWS.match(name)
    if name.isascii() and "\\" not in name and not is_windows:
        return name
    if is_there_locally(root, name):
        return name
    if is_windows:
        raise DataError(
            f"{where}: {name!r} is a path of Windows: write paths that start from the "
            "pictures' folder, and say with image_root where that is"
        )
    slashed = name.replace("\\", "/")
    forms = {unicodedata.normalize(form, slashed) for form in ("NFC", "NFD")}
    others = (form for form in sorted(forms - {name}) if is_there_locally(root, form))
    return next(others, slashed)
