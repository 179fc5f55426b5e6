"""What there is to curate: pictures with their class, artist, title and year."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import NamedTuple

from jaxart.data import labels, lists, names
from jaxart.data.files import File
from jaxart.data.lists import DataError
from jaxart.paintings.curate.options import METADATA
from jaxart.storage import AnyPath

_UNKNOWN = {"", "anonymous", "artist unknown", "unknown"}
_FILE_NAME = re.compile(r"(?P<artist>[^\W\d_]['.\w -]*?)_(?P<title>.*[^\W\d_].*)")
_YEAR = re.compile(r"(?<!\d)1[0-9]{3}(?!\d)|(?<!\d)20[0-9]{2}(?!\d)")

_COLUMNS = ("artist", "title", "year", "source")


class Painting(NamedTuple):
    """A picture as its source describes it; '' is what nobody knows."""

    name: str  # its path, as the source gives it
    label: str  # its class's name
    artist: str
    title: str
    year: str
    source: str


class Picture(NamedTuple):
    """A painting, and what its file is: a sound image."""

    painting: Painting
    file: File

    @property
    def artist(self) -> str:
        """One spelling for each artist; '' for an unknown one."""
        return artist_key(self.painting.artist)


Skipped = tuple[str, str, str]  # name, label and reason


def sort_out(
    listed: Sequence[Painting], files: Iterable[File]
) -> tuple[list[Picture], list[Skipped]]:
    """The pictures, and what is none."""
    pictures = [Picture(*pair) for pair in zip(listed, files, strict=True)]
    return sieve(pictures, [picture.file.reason for picture in pictures])


def sieve(
    pictures: Sequence[Picture], reasons: Sequence[str]
) -> tuple[list[Picture], list[Skipped]]:
    """Parts pictures from those that there is a reason to skip."""
    kept, skipped = [], []
    for picture, reason in zip(pictures, reasons, strict=True):
        if reason:
            skipped.append((picture.painting.name, picture.painting.label, reason))
        else:
            kept.append(picture)
    return kept, skipped


def read(
    source: AnyPath,
    image_root: AnyPath | None = None,
    metadata: AnyPath | None = None,
    *,
    any_suffix: bool = False,
) -> tuple[AnyPath, list[Painting]]:
    """Reads class folders, a table or a list, as `lists.read_labelled` does.

    Indices get their names from classes.txt. What is known of a picture stands in the
    metadata, or else in its file's name (`artist_title.jpg`). `metadata` is a table
    with any of the columns artist, title, year and source; by default metadata.csv in
    the folder where relative paths start, if there is one, or else the source itself,
    if it is a table.

    Returns:
      The folder that names start from, and the paintings.
    """
    root, rows = lists.read_labelled(source, image_root, any_suffix=any_suffix)
    is_folder = source.is_dir()
    if metadata is None and (root / METADATA).is_file():
        metadata = root / METADATA
    said = _read_metadata(metadata, source, root)
    is_indexed = not is_folder and labels.are_indices(rows)
    class_names = labels.names_beside(source) if is_indexed else ()
    paintings = []
    for row in rows:
        label = " ".join(row.label.split())  # classes.txt has a line for each
        if is_indexed:
            label = _name_of(row, class_names)
        from_name = from_file_name(PurePath(row.name).stem)
        defaults = zip(_COLUMNS, (*from_name, row.name), strict=True)
        known = said.get(names.key(row.name), {})
        known = {column: known.get(column) or text for column, text in defaults}
        paintings.append(Painting(row.name, label, **known))
    return root, paintings


def _name_of(row: lists.Row, class_names: Sequence[str]) -> str:
    """The name of the class that an index stands for: itself where there are none."""
    index = labels.number(row.label) or 0
    if not class_names:
        return str(index)
    if 0 <= index < len(class_names):
        return class_names[index]
    raise DataError(
        f"{row.where}: label {row.label!r} is none of the indices 0 to "
        f"{len(class_names) - 1}"
    )


def _read_metadata(
    metadata: AnyPath | None, source: AnyPath, root: AnyPath
) -> dict[str, dict[str, str]]:
    """What a table, or a source that is one, says of each picture, by its path."""
    if metadata is None and source.is_dir():
        return {}
    rows = lists.read_table(metadata or source, root)
    if metadata and rows is None:
        raise DataError(f"{metadata}: not a table: its first line names no columns")
    return {
        names.key(cells["path"]): {
            name: cells[name] for name in _COLUMNS if name in cells
        }
        for cells, _ in rows or ()
    }


def artist_key(artist: str) -> str:
    """One spelling for one artist, '' for an unknown one.

    `Paul Cézanne`, `paul-cezanne` and `cezanne-paul` are one: accents, case, order
    and what stands between words do not count.
    """
    decomposed = unicodedata.normalize("NFKD", artist)
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    words = " ".join(sorted(re.findall(r"[^\W_]+", plain.casefold())))
    return "" if words in _UNKNOWN else words


def from_file_name(stem: str) -> tuple[str, str, str]:
    """Artist, title and year of a file called as WikiArt's are, '' for what is missing.

    `claude-monet_the-red-boats-1875(1)` is by claude-monet, of 1875; `IMG_1234` is by
    nobody.
    """
    match = _FILE_NAME.fullmatch(stem)
    if match is None:
        return "", "", ""
    years = _YEAR.findall(match["title"])
    return match["artist"], match["title"], years[-1] if years else ""
