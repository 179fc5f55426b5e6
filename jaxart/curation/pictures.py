"""Paintings whose files are sound, and the others."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jaxart.curation import artists
from jaxart.curation.paintings import Painting
from jaxart.data.files import File


class Picture(NamedTuple):
    """A painting whose file is sound.

    Attributes:
      painting: what is said of it.
      file: what it is.
    """

    painting: Painting
    file: File

    @property
    def artist(self) -> str:
        """One spelling for each artist; '' for an unknown one."""
        return artists.key(self.painting.artist)


def sort_out(
    found: Sequence[Painting], files: Iterable[File]
) -> tuple[list[Picture], list[tuple[str, str, str]]]:
    """The pictures, and (name, label, reason) of what gives none."""
    pictures, unreadable = [], []
    for painting, file in zip(found, files, strict=True):
        if file.reason:
            unreadable.append((painting.name, painting.label, file.reason))
        else:
            pictures.append(Picture(painting, file))
    return pictures, unreadable
