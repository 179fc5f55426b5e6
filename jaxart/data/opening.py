"""An image file, opened: what is in it, how large it is, why it gives no picture."""

import contextlib
import errno
import functools
import os
import struct
from typing import Any

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from jaxart import storage
from jaxart.data import formats, memory

Source = str | os.PathLike | bytes  # a file by its path, or its content


class ImageError(ValueError):
    """A file that gives no picture; the message says why."""


class UnprovenError(ImageError):
    """A file that gives no picture now, and may give one later: its bytes are not why.

    It is missing or cannot be read, or there was no memory.
    """


def read(source: Source) -> bytes:
    """What is in an image file.

    Raises:
      UnprovenError: there is no such file, or it cannot be read.
      ImageError: it is larger than is allowed.
      OSError: the object store that it is in cannot be used.
    """
    if isinstance(source, bytes):
        return source
    try:
        return read_bytes(source)
    except FileNotFoundError as error:
        raise UnprovenError(error.strerror) from error
    except OSError as error:
        if isinstance(source, storage.RemotePath):
            raise
        kind = ImageError if error.errno == errno.EFBIG else UnprovenError
        raise kind(error.strerror or str(error)) from error


def read_bytes(path: str | os.PathLike) -> bytes:
    """A file's content; nothing but files is opened, see `storage.open_regular`.

    Raises:
      OSError: it is missing, no file or too large, or its object store cannot be used.
    """
    if isinstance(path, storage.RemotePath):
        return path.read_bytes()
    with storage.open_regular(path) as file:
        num_bytes, most = os.fstat(file.fileno()).st_size, memory.most()
        if num_bytes > most:
            says = f"{num_bytes / 1e6:,.0f} MB are more than {most / 1e6:,.0f}"
            raise OSError(errno.EFBIG, f"{says}: {memory.MAX_MEMORY} may allow more")
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
    beginning = ""
    for name in formats.readable():
        factory, accepts = Image.OPEN[name]
        # What Pillow takes for: not of this format.
        with contextlib.suppress(SyntaxError, IndexError, TypeError, struct.error):
            if accepts is None or accepts(start) is True:
                beginning = beginning or (name if accepts else "")
                file.seek(0)
                return factory(file, "")
    says = formats.remedy_of_content(start)
    if beginning and not says:
        says = f"damaged: it begins as {beginning}, but is not an image that is read"
    raise Image.UnidentifiedImageError(says or "not an image that Pillow reads")


def reduce(
    image: Image.Image, content: bytes, side_enough: int | None, *, is_turned: bool
) -> int:
    """Has a JPEG decoded at a fraction, as `images.read` says; gives its denominator.

    Raises:
      ImageError: decoding the picture would take too much memory.
    """
    most = memory.most()
    needed = functools.partial(memory.needed, image, content, is_turned=is_turned)
    enough = min(image.size) // side_enough if side_enough else 1
    whole, scale = image.size, 1
    if isinstance(image, JpegImageFile):
        while scale < 8 and (2 * scale <= enough or needed(scale=scale) > most):
            scale *= 2
    if (num_bytes := needed(scale=scale)) > most:
        raise ImageError(
            f"{whole[0]:,} x {whole[1]:,} pixels of {image.format} take "
            f"{num_bytes / 1e6:,.0f} MB to decode, which are more than "
            f"{most / 1e6:,.0f}; {memory.MAX_MEMORY} in the environment may allow more"
        )
    if isinstance(image, JpegImageFile):
        image.draft(None, (image.width // scale, image.height // scale))
    return scale
