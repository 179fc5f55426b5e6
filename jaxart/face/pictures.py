"""What users give as images: files, URLs, PIL images, arrays of pixels."""

import os
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32
from PIL import Image

from jaxart import storage
from jaxart.data import images
from jaxart.storage import AnyPath, RemotePath

# What users may give; or a list of these.
ImageLike = str | os.PathLike | RemotePath | Image.Image | np.ndarray


class Picture(NamedTuple):
    """An image that was given: where it lies, or its pixels as RGB."""

    source: AnyPath | Image.Image

    @property
    def name(self) -> str:
        """Its path; '' of pixels."""
        return "" if isinstance(self.source, Image.Image) else str(self.source)

    @property
    def short_name(self) -> str:
        """Its file's name; '' of pixels."""
        return "" if isinstance(self.source, Image.Image) else self.source.name

    def decode(self) -> Image.Image:
        """The picture as RGB, upright, at its own size.

        Raises:
          ImageError: the file is missing, is no image, or is cut short.
        """
        return self._read(images.decode)

    def load(
        self, resize: str, preprocessing: dict[str, Any]
    ) -> Float32[np.ndarray, "size size 3"]:
        """The picture as a network wants it, the same as in `data.images.load`.

        Raises:
          ImageError: the file is missing, is no image, or is cut short.
        """
        if isinstance(self.source, Image.Image):
            return images.prepare(self.source, resize=resize, **preprocessing)
        return self._read(images.load, resize=resize, **preprocessing)

    def _read(self, read: Any, **how: Any) -> Any:
        if isinstance(self.source, Image.Image):
            return self.source
        try:
            return read(self.source, **how)
        except images.ImageError as error:
            raise images.ImageError(f"{self.source}: {error}") from None


def picture_of(image: Any) -> Picture:
    """What one image that was given is; it should be `ImageLike`.

    Raises:
      TypeError: it is nothing of the kind.
      ValueError: pixels of another type or shape than uint8 [H, W, 3].
      StorageError: a URL of another kind than an object store's.
    """
    if isinstance(image, RemotePath):
        return Picture(image)
    if isinstance(image, (str, os.PathLike)):
        return Picture(storage.path(image))
    if isinstance(image, Image.Image):
        return Picture(images.from_pillow(image.copy()).picture)
    if not hasattr(image, "dtype"):
        raise TypeError(
            f"{type(image).__name__}: an image is a path, a URL, a PIL image, a uint8 "
            "array [H, W, 3], or a list of these"
        )
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8:
        raise ValueError(
            f"an array of {pixels.dtype}: give pixels as they are, uint8 RGB from 0 to "
            "255; the network resizes them and subtracts its mean itself. Of an array "
            "from 0 to 1 they are (255 * array).round().astype('uint8')"
        )
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        hint = "PIL.Image.fromarray(array) takes grey, and pixels with transparency"
        if pixels.ndim == 4:
            hint = "list(array) is a list of images"
        elif pixels.ndim == 3 and pixels.shape[0] == 3:
            hint = "array.transpose(1, 2, 0) brings channels from the front to the end"
        raise ValueError(f"pixels {list(pixels.shape)}: give [H, W, 3]; {hint}")
    return Picture(Image.fromarray(pixels))
