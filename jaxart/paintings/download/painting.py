"""A painting as a source lists it, and what its file is called.

Whatever a listing says, a name made here is one plain file name.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxart.paintings.download.errors import WikiartError

PAGES = ".pages"  # the folder that keeps the listings; hidden, since it is no style

_SLUG_LENGTH = 60
_TEXT_LENGTH = 300


class Painting(NamedTuple):
    """What a source says of a painting in one style; '' is what it does not know."""

    style: str  # its folder and label, as `style_name` writes it
    id: str  # letters and digits; the same for the same painting in another style
    artist: str
    title: str
    year: str  # as the source writes it
    url: str  # where the image is
    source: str  # the painting's page, or its place in a data set
    flaw: str = ""  # why this is no painting to fetch

    @property
    def stem(self) -> str:
        """The file's name without the suffix."""
        artist = _slug(self.artist) or "unknown"
        return f"{artist}_{_slug(self.title) or 'untitled'}_{self.id}"


# What a source offers: a painting, and a function that writes its image to a file.
Offer = tuple[Painting, Callable[[Path], None]]


def style_name(text: str) -> str:
    """A style as jaxart writes it, `art_nouveau`, from any source's way of writing."""
    return re.sub("[- ]", "_", text.strip().lower())


def parse_styles(text: str) -> tuple[str, ...]:
    """Styles from a list with commas, each once.

    Raises:
      WikiartError: one is empty, or could not be a folder's name.
    """
    names = tuple(dict.fromkeys(map(style_name, text.split(","))))
    for name in names:
        if not re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", name):
            raise WikiartError(
                f"{name!r} is no style: a name like baroque or art_nouveau, of letters "
                "and digits, several with commas between"
            )
    return names


def require_known(wanted: Sequence[str], styles: Sequence[str], where: str) -> None:
    """Raises `WikiartError`, which says what there is, where a style is unknown."""
    unknown = [style for style in wanted if style not in styles]
    if unknown:
        raise WikiartError(
            f"no such style in {where}: {', '.join(unknown)}; there are "
            f"{', '.join(sorted(styles))}"
        )


def safe_id(text: str) -> str:
    """The id itself where it is of letters and digits; else one made of its hash."""
    if re.fullmatch("[A-Za-z0-9]{1,40}", text):
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def plain_text(value: object) -> str:
    """One line of a text or a whole number; '' of anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    printable = "".join(c if c.isprintable() else " " for c in str(value))
    return " ".join(printable.split())[:_TEXT_LENGTH].strip()


def _slug(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    slug = re.sub("[^a-z0-9]+", "-", folded.lower()).strip("-")
    return slug[:_SLUG_LENGTH].strip("-")
