"""Every file decoded once: which are sound, and what they are."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from tqdm import tqdm

from jaxart.curation import artists
from jaxart.curation.paintings import Painting
from jaxart.data import fingerprints, images
from jaxart.data.fingerprints import Fingerprint
from jaxart.data.images import ImageError


class Picture(NamedTuple):
    """A painting whose file is sound.

    Attributes:
      painting: what is said of it.
      fingerprint: what it is.
    """

    painting: Painting
    fingerprint: Fingerprint

    @property
    def artist(self) -> str:
        """One spelling for each artist; '' for an unknown one."""
        return artists.key(self.painting.artist)


def decode(
    root: Path, found: Sequence[Painting]
) -> tuple[list[Picture], list[tuple[str, str, str]]]:
    """Decodes files in threads, a bounded number at once.

    Args:
      root: where relative names start.
      found: the paintings.

    Returns:
      The pictures, and (name, label, reason) of the files that give none.
    """
    return sort_out(found, look(root, found))


def look(
    root: Path,
    found: Sequence[Painting],
    *,
    side_enough: int = fingerprints.SIDE_ENOUGH,
    also: Callable[[Image.Image, Picture], None] = lambda image, picture: None,
    title: str = "decoding",
) -> Iterator[Picture | ImageError]:
    """Yields what each file is, in order, or why it is no picture.

    Args:
      root: where relative names start.
      found: the paintings.
      side_enough: what JPEGs may be decoded down to, at least
        `fingerprints.SIDE_ENOUGH`.
      also: is called with each decoded image and what it is, in a thread.
      title: of the progress bar.
    """

    def take(painting: Painting) -> Picture | ImageError:
        path = root / painting.name
        try:
            image = images.decode(path, side_enough)
        except ImageError as error:
            return error
        picture = Picture(painting, fingerprints.of(image, path))
        also(image, picture)
        return picture

    with tqdm(total=len(found), desc=title, unit="img") as bar:
        for taken in fingerprints.map_in_threads(take, found):
            yield taken
            bar.update()


def sort_out(
    found: Iterable[Painting], taken: Iterable[Picture | ImageError]
) -> tuple[list[Picture], list[tuple[str, str, str]]]:
    """The pictures, and (name, label, reason) of what gave none."""
    pictures, unreadable = [], []
    for painting, picture in zip(found, taken, strict=True):
        if isinstance(picture, ImageError):
            unreadable.append((painting.name, painting.label, str(picture)))
        else:
            pictures.append(picture)
    return pictures, unreadable
