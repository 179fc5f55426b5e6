"""An image file, opened: what is in it, how large it is, why it gives no picture."""

import contextlib
import os
import struct
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from jaxart.data import formats

MAX_PIXELS = "JAXART_MAX_PIXELS"  # of the environment: how many are decoded at most

Source = str | os.PathLike | bytes  # a file by its path, or its content


class ImageError(ValueError):
    """A file that gives no picture; the message says why."""


@runtime_checkable
class _ReadablePath(Protocol):
    """A path that reads its file: a `Path`, or an object store's."""

    def read_bytes(self) -> bytes: ...


def read(source: Source) -> bytes:
    """What is in an image file.

    Raises:
      ImageError: there is no such file, or it cannot be read.
      OSError: the object store that it is in cannot be used.
    """
    if isinstance(source, bytes):
        return source
    try:
        if isinstance(source, _ReadablePath) and not isinstance(source, Path):
            return source.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(error.strerror) from error
    try:
        with open(source, "rb") as file:
            return file.read()
    except OSError as error:
        raise ImageError(error.strerror or str(error)) from error


def identify(file: Any) -> Image.Image:
    """The image in a file that is open for its bytes, not yet decoded.

    As `Image.open`, whose bound and warning are of the whole: a JPEG may be decoded at
    a fraction of it.

    Raises:
      ImageError: the file is empty.
      Image.UnidentifiedImageError: it is no image that is read, or a damaged one.
    """
    start = file.read(16)
    if not start:
        raise ImageError("the file is empty")
    for name in formats.readable():
        factory, accepts = Image.OPEN[name]
        # What Pillow takes for: not of this format.
        with contextlib.suppress(SyntaxError, IndexError, TypeError, struct.error):
            if accepts is None or accepts(start) is True:
                file.seek(0)
                return factory(file, "")
    remedy = formats.remedy_of_content(start)
    raise Image.UnidentifiedImageError(remedy or "not an image that Pillow reads")


def reduce(image: Image.Image, side_enough: int | None) -> int:
    """Has a JPEG decoded at a fraction, as `images.read` says; gives its denominator.

    Raises:
      ImageError: the picture has too many pixels.
    """
    num_pixels, most = image.width * image.height, max_pixels()
    enough = min(image.size) // side_enough if side_enough else 1
    scale = 1
    if isinstance(image, JpegImageFile):
        while scale < 8 and (2 * scale <= enough or num_pixels > most * scale**2):
            scale *= 2
        image.draft(None, (image.width // scale, image.height // scale))
    if num_pixels > most * scale**2:
        raise ImageError(
            f"{num_pixels:,} pixels are more than {most:,.0f}; {MAX_PIXELS} in the "
            "environment may allow more"
        )
    return scale


def max_pixels() -> float:
    """How many pixels of a file are decoded at most: twice Pillow's own bound."""
    most = Image.MAX_IMAGE_PIXELS
    return np.inf if most is None else 2.0 * most


def read_max_pixels() -> None:
    """Takes the bound that the environment sets, for Pillow as well.

    Raises:
      ValueError: it is no number.
    """
    if text := os.environ.get(MAX_PIXELS):
        if not text.isdecimal() or int(text) < 2:
            raise ValueError(f"{MAX_PIXELS}={text!r}: a number of pixels")
        Image.MAX_IMAGE_PIXELS = int(text) // 2


read_max_pixels()
