"""The lists of the ArtGAN project, whose images are looked for at WikiArt.

Tan et al. 2019, Improved ArtGAN for conditional synthesis of natural image and
artwork. The images are published as one archive of 25 GB, which no program can fetch;
their names are those that WikiArt's image server had.
"""

import csv
import functools
import hashlib
import io
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from jaxart.paintings.download.painting import (
    Offer,
    Painting,
    plain_text,
    require_known,
    style_name,
)
from jaxart.paintings.download.session import Session, TryAgain
from jaxart.paintings.download.store import Store

Pairs = list[tuple[str, str]]

LISTS_URL = (
    "https://raw.githubusercontent.com/cs-chan/ArtGAN/master/WikiArt%20Dataset/Style"
)
IMAGES_URL = "https://uploads.wikiart.org"

_CLASSES = "style_class.txt"
_LISTS = ("style_train.csv", "style_val.csv")
_MAX_LIST_BYTES = 50_000_000


def offers(
    wanted: Sequence[str],
    store: Store,
    session: Session,
    lists_url: str,
    images_url: str,
) -> Iterator[Offer]:
    """What the lists hold of the styles wanted, in their order.

    `images_url` is the server that has the images, under /images/ARTIST/TITLE.jpg.

    Raises:
      WikiartError: there is no such style, or a list cannot be had or read.
    """

    def read(name: str, parse: Callable[[Path], Pairs]) -> Pairs:
        url = f"{lists_url.rstrip('/')}/{name}"
        how = {"max_bytes": _MAX_LIST_BYTES, "parse": parse}
        return store.listing(session, url, f"artgan/{name}", **how)

    styles = dict(read(_CLASSES, _parse_classes))
    lists = {name: read(name, _parse_rows) for name in _LISTS}
    require_known(wanted, tuple(styles.values()), _CLASSES)
    for list_name, rows in lists.items():
        for name, label in rows:
            if styles.get(label) in wanted:
                painting = _painting(styles[label], name, list_name, images_url)
                yield painting, functools.partial(session.fetch, painting.url)
            if not wanted:
                return


def _parse_classes(path: Path) -> Pairs:
    """Indices and styles."""
    lines = [line.split() for line in _text(path).splitlines() if line.strip()]
    if not lines or not all(len(p) == 2 and p[0].isdecimal() for p in lines):
        raise TryAgain("not lines of an index and a style")
    return [(index, style_name(name)) for index, name in lines]


def _parse_rows(path: Path) -> Pairs:
    """Paths, which may hold commas and odd characters, and indices."""
    try:
        rows = [row for row in csv.reader(io.StringIO(_text(path))) if row]
    except csv.Error:
        rows = []
    if not rows or not all(len(row) > 1 and row[-1].isdecimal() for row in rows):
        raise TryAgain("not rows of a path and an index")
    return [(",".join(row[:-1]), row[-1]) for row in rows]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise TryAgain(f"not a text file ({error})") from error


def _painting(style: str, name: str, list_name: str, images_url: str) -> Painting:
    """A painting from STYLE/ARTIST_TITLE.jpg."""
    artist, _, title = name.rpartition("/")[2].partition("_")
    place = urllib.parse.quote(f"/images/{artist}/{title}", errors="replace")
    is_named = artist.strip(".") and title.strip(".")
    return Painting(
        style=style,
        id=hashlib.sha256(name.encode()).hexdigest()[:16],
        artist=plain_text(artist.replace("-", " ")),
        title=plain_text(title.rsplit(".", 1)[0].replace("-", " ")),
        year="",
        url=images_url.rstrip("/") + place,
        source=f"ArtGAN {list_name} {plain_text(name)}",
        flaw="" if is_named else "not a name like ARTIST_TITLE.jpg",
    )
