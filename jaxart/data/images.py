"""From an image file to a network's input. NumPy and Pillow only, never jax."""

import io
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from PIL import ExifTags, Image

from jaxart.data import (
    bombs,
    colours,
    damage,
    formats,
    memory,
    opening,
    reasons,
    resizing,
    strips,
)
from jaxart.data.opening import ImageError, Source, UnprovenError

# Counts up when the same file gives other pixels: part of the name of all that is kept.
READER_VERSION = 3

_UPRIGHT: dict[
    object, Image.Transpose
] = {  # what makes a picture upright that is stored by EXIF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Chunks of a PNG in which an orientation is, as Pillow finds it.
_MAY_TURN = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")

_OF_16_BITS = ((np.arange(65536) + 128) // 257).astype(np.uint8)  # x / 257, rounded


class Decoded(NamedTuple):
    """What is in an image file."""

    picture: Image.Image  # upright, sRGB, mode RGB
    size: tuple[int, int]  # its width and height, where it is not reduced
    note: str = ""  # what of the file had to be left; '' where nothing had


def load(
    path: str | os.PathLike,
    *,
    resize: str,
    view: str = "whole",
    size: int,
    channel_order: str,
    mean: Sequence[float],
) -> Float32[np.ndarray, "size size 3"]:
    """Reads an image file as a network wants it.

    It may be of any format, mode and size that Pillow reads, here or in an object
    store. For `resize` and `view` see `resizing.resize_to`. Channels are in
    `channel_order`, 'bgr' or 'rgb', as `mean` is, which is subtracted on a scale of 0
    to 255.

    Raises:
      ImageError: the file is missing, is no image, or is cut short.
      ValueError: `resize` or `view` is none of those.
    """
    image = read(path, side_enough(size, resize, view)).picture
    return prepare(
        image,
        resize=resize,
        view=view,
        size=size,
        channel_order=channel_order,
        mean=mean,
    )


def prepare(
    image: Image.Image,
    *,
    resize: str,
    view: str = "whole",
    size: int,
    channel_order: str,
    mean: Sequence[float],
) -> Float32[np.ndarray, "size size 3"]:
    """An RGB image as a network wants it; see `load`."""
    pixels = resizing.resize_to(image, size, resize, view)
    if channel_order == "bgr":
        pixels = pixels[:, :, ::-1]
    return pixels - np.asarray(mean, np.float32)


def reader() -> str:
    """What the pixels of a file, and whether it gives any, depend on: name and number.

    It is part of the name of all that is kept of pictures, and of reasons for none.
    """
    heif = " with HEIF" if "HEIF" in formats.readable() else ""
    return f"{READER_VERSION}{heif}, {memory.most() / 1e6:.0f} MB"


def side_enough(size: int, resize: str, view: str = "whole") -> int | None:
    """How long the shorter side of a JPEG has to be decoded for a network's input."""
    # Twice what the rule averages down to: what the scaled decoding left out is gone.
    # 'tf1_bilinear' takes single pixels, which are there at full size only.
    if resize == "tf1_bilinear":
        return None
    return 2 * resizing.short_side(size, resize, view)


def decode(file: Source, side_enough: int | None = None) -> Image.Image:
    """The picture alone; see `read`."""
    return read(file, side_enough).picture


def read(file: Source, side_enough: int | None = None) -> Decoded:
    """Reads an image file, by its path or its content, as RGB.

    Colours are those of sRGB (see `colours.to_srgb`), EXIF rotation is applied,
    transparency is laid over white, the first frame of an animation is taken, and
    16-bit grey is scaled to 8. What metadata says, or how, never costs the picture.

    A JPEG may come at 1/2, 1/4 or 1/8 of its size: as long as no side is below
    `side_enough`, and where it would take more memory than the environment's
    JAXART_MAX_MEMORY, 600 MB by default (see `memory`). Other pictures that would take
    more are refused, as are files that are small and take long (see `bombs`).

    Raises:
      ImageError: the file is no image, is cut short or too large; `UnprovenError` where
        it is missing, or memory ran out.
      OSError: the object store that it is in cannot be used.
    """
    content = opening.read(file)
    try:
        return _read_or_mend(content, side_enough)
    except MemoryError as error:
        raise UnprovenError(reasons.of(error)) from error


def _read_or_mend(content: bytes, side_enough: int | None) -> Decoded:
    try:
        return _read(content, side_enough)
    except (ImageError, MemoryError):
        raise
    # Pillow's decoders raise whatever a damaged file makes them stumble over.
    except Exception as error:
        mended = _read_mended(content, side_enough)
        if mended is None:
            raise ImageError(reasons.of(error)) from error
        return mended


def from_pillow(image: Image.Image) -> Decoded:
    """An image that Pillow has opened or made, as `read` gives it; it may be changed.

    Raises:
      ImageError: its pixels have no fixed range.
      OSError: its file is damaged.
    """
    image.load()
    turn, note = _turn(image)
    notes = dict.fromkeys(filter(None, [note]))

    def to_rgb(strip: Image.Image) -> Image.Image:
        picture, note = colours.to_srgb(_with_8_bits(strip))
        if note:
            notes[note] = None
        if picture.mode == "RGBA":
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture).convert("RGB")
        return picture

    picture = strips.changed(image, to_rgb, turn)
    picture.info = {}  # which told of the file's pixels, not of these
    return Decoded(picture, picture.size, "; ".join(notes))


def _turn(image: Image.Image) -> tuple[Image.Transpose | None, str]:
    """What makes a picture upright, if it is not, and a note of odd EXIF data."""
    try:
        exif = image.info.get("exif") or b""
        if reason := bombs.overlapping_tags(exif.removeprefix(b"Exif\0\0")):
            raise ValueError(reason)
        orientation = image.getexif().get(ExifTags.Base.Orientation)
        return _UPRIGHT.get(orientation), ""
    except Exception as error:  # Pillow's readers of metadata, too, stumble
        return None, f"its EXIF data is not used: {error}"


def _is_turned(image: Image.Image, content: bytes) -> bool:
    """As `_turn`, before the pixels are decoded; True where a PNG may say so behind."""
    if image.format != "PNG" or "exif" in image.info:
        return _turn(image)[0] is not None
    # Of such a PNG, Pillow would decode the pixels to see.
    start = content.find(b"IDAT")
    return any(content.find(mark, start) >= 0 for mark in _MAY_TURN)


def _read(content: bytes, side_enough: int | None, profile: bytes = b"") -> Decoded:
    """As `read`, without mending; `profile` is one that was taken out of the file."""
    if reason := bombs.reason(content):
        raise ImageError(reason)
    with opening.identify(io.BytesIO(content)) as image:
        remedy = formats.remedy_of_thumbnail(image)
        if remedy:
            raise ImageError(remedy)
        whole = image.size
        turned = _is_turned(image, content)
        scale = opening.reduce(image, content, side_enough, is_turned=turned)
        if profile:
            image.info["icc_profile"] = profile
        picture, size, note = from_pillow(image)
        if scale > 1:
            width, height = whole
            size = (width, height) if size == image.size else (height, width)
            if side_enough is None:
                reduced = f"decoded at 1/{scale}: {width} x {height} pixels"
                note = "; ".join(filter(None, (note, reduced)))
        return Decoded(picture, size, note)


def _read_mended(content: bytes, side_enough: int | None) -> Decoded | None:
    """As `read`, of what is sound in a damaged file; None where no picture is."""
    for mended, profile, note in damage.mended(content):
        try:
            decoded = _read(mended, side_enough, profile)
        except MemoryError:
            raise
        except Exception:  # another damage than this
            continue
        notes = filter(None, (note, decoded.note))
        return decoded._replace(note="; ".join(notes))
    return None


def _with_8_bits(image: Image.Image) -> Image.Image:
    """An image of any mode as L, LA, RGB, RGBA, CMYK or LAB.

    Raises:
      ImageError: its pixels have no fixed range.
    """
    if image.mode == "F":
        raise ImageError("floating-point pixels have no fixed range")
    if image.mode.startswith("I"):  # 16-bit grey, in one of Pillow's ways of holding it
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise ImageError("32-bit pixels have no fixed range")
        levels = Image.fromarray(_OF_16_BITS[grey])
        levels.info = {k: v for k, v in image.info.items() if k != "transparency"}
        return levels
    if image.has_transparency_data:
        return image if image.mode == "LA" else image.convert("RGBA")
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")
