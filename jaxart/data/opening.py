"""An image file, opened: what is in it, how large it is, why it gives no picture."""

import contextlib
import os
import struct
from typing import Any

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from jaxart import storage
from jaxart.data import formats

MAX_PIXELS = "JAXART_MAX_PIXELS"  # of the environment: how many are decoded at most

Source = str | os.PathLike | bytes  # a file by its path, or its content


class ImageError(ValueError):
    """A file that gives no picture; the message says why."""


def read(source: Source) -> bytes:
    """What is in an image file.

    Raises:
      ImageError: there is no such file, or it cannot be read.
      OSError: the object store that it is in cannot be used.
    """
    if isinstance(source, bytes):
        return source
    try:
        return read_bytes(source)
    except FileNotFoundError as error:
        raise ImageError(error.strerror) from error
    except OSError as error:
        if isinstance(source, storage.RemotePath):
            raise
        raise ImageError(error.strerror or str(error)) from error


def read_bytes(path: str | os.PathLike) -> bytes:
    """A file's content; nothing but files is opened, see `storage.open_regular`.

    Raises:
      OSError: it is missing or no file, or its object store cannot be used.
    """
    if isinstance(path, storage.RemotePath):
        return path.read_bytes()
    with storage.open_regular(path) as file:
        return file.read()


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
