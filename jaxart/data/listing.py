"""Which images to look at, each once, with labels where there are any."""

import itertools
import os
from typing import NamedTuple

from jaxart import storage
from jaxart.data import labels, lists
from jaxart.data.lists import DataError
from jaxart.storage import AnyPath


class Listing(NamedTuple):
    """Images, with a label where the source gives one."""

    root: AnyPath  # that relative names start from
    names: tuple[str, ...]  # each image's path, as the source gives it; none twice
    labels: tuple[str, ...]  # what the source calls its class; '' where it does not
    are_names: bool = False  # a folder called 3 is no class 3, but one of that name
    index_names: tuple[str, ...] = ()  # what the list's own classes.txt calls indices

    @property
    def paths(self) -> list[AnyPath]:
        """Where each image lies."""
        return [storage.join(self.root, name) for name in self.names]

    def first(self, count: int | None) -> "Listing":
        """The first images, `count` of them; all where it is None."""
        return self._replace(names=self.names[:count], labels=self.labels[:count])

    def without(self, folder: AnyPath) -> "Listing":
        """The images that do not lie in `folder`.

        Raises:
          DataError: none is left.
        """
        folder = storage.resolve(folder)
        root = storage.resolve(self.root)
        kept = [folder not in storage.join(root, name).parents for name in self.names]
        if not any(kept):
            raise DataError(f"all images lie in {folder}, the output folder")
        names, labels = (itertools.compress(values, kept) for values in self[1:3])
        return self._replace(names=tuple(names), labels=tuple(labels))


def read(
    source: AnyPath, image_root: AnyPath | None = None, *, any_suffix: bool = False
) -> Listing:
    """Finds the images of a folder, list, table or image, as `lists.read` does."""
    root, rows = lists.read(source, image_root, any_suffix=any_suffix)
    images = {}  # an image counts once, however its path is written
    for name, label, _ in rows:
        images.setdefault(os.path.normpath(name), (name, label))
    names, said = map(tuple, zip(*images.values(), strict=True))
    is_folder = source.is_dir()
    has_indices = any(labels.number(label) is not None for label in {*said})
    index_names = labels.names_beside(source) if has_indices and not is_folder else ()
    return Listing(root, names, said, is_folder, index_names)
