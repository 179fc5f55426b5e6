"""From an image file to a network's input. NumPy and Pillow only, never jax.

References:
  tf1_bilinear: TensorFlow 1's `tf.image.resize_images`, kernel
  resize_bilinear_op.cc with align_corners=False and half_pixel_centers=False.
  Views: Krizhevsky et al. 2012, ImageNet classification with deep convolutional
  neural networks, section 4.1; Caffe's crop_size and mirror.
"""

import functools
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Shaped
from PIL import ExifTags, Image, ImageOps

# Counts up when the same file gives other pixels: part of the name of all that is kept.
READER_VERSION = 1

RESIZE_RULES = ("tf1_bilinear", "antialias", "crop")

# The usual ImageNet protocol: short side to 256, then the centre of the input size.
CROP_SHORT_SIDE = 256

# Windows in a larger square: how many halves of the margin lie left of and above each.
WINDOWS = {
    "center": (1, 1),
    "top_left": (0, 0),
    "top_right": (2, 0),
    "bottom_left": (0, 2),
    "bottom_right": (2, 2),
}
MIRRORED = "_mirrored"
VIEWS = tuple(
    name + suffix for suffix in ("", MIRRORED) for name in ("whole", *WINDOWS)
)


class ImageError(ValueError):
    """A file that gives no picture; the message says why."""


@runtime_checkable
class _ReadablePath(Protocol):
    """A path that reads its file: a `Path`, or an object store's."""

    def read_bytes(self) -> bytes: ...


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
    store. For `resize` and `view` see `resize_to`. Channels are in `channel_order`,
    'bgr' or 'rgb', as `mean` is, which is subtracted on a scale of 0 to 255.

    Raises:
      ImageError: the file is missing, is no image, or is cut short.
      ValueError: `resize` or `view` is none of those.
    """
    # Twice what the rule averages down to: what the scaled decoding left out is gone.
    # 'tf1_bilinear' takes single pixels, which are there at full size only.
    side_enough = 2 * _short_side(size, resize, view)
    image = decode(path, None if resize == "tf1_bilinear" else side_enough)
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
    pixels = resize_to(image, size, resize, view)
    if channel_order == "bgr":
        pixels = pixels[:, :, ::-1]
    return pixels - np.asarray(mean, np.float32)


def decode(
    file: str | os.PathLike | bytes, side_enough: int | None = None
) -> Image.Image:
    """Reads an image file, by its path or its content, as RGB.

    EXIF rotation is applied, transparency is laid over white, the first frame of
    an animation is taken, and 16-bit grey is scaled to 8. A JPEG may come at 1/2, 1/4
    or 1/8 of its size, as long as no side is below `side_enough`: libjpeg then decodes
    fewer coefficients. None takes it whole.

    Raises:
      ImageError: the file is missing, is no image, or is cut short.
      OSError: the object store that it is in cannot be used.
    """
    readable = _readable(file)
    try:
        with Image.open(readable, formats=_formats()) as image:
            if side_enough is not None:
                image.draft(None, (side_enough, side_enough))
            ImageOps.exif_transpose(image, in_place=True)
            image.load()
            return to_rgb(image)
    except ImageError:
        raise
    except Image.UnidentifiedImageError:
        is_content = isinstance(readable, io.BytesIO)
        size = len(readable.getbuffer()) if is_content else os.path.getsize(readable)
        reason = "not an image that Pillow reads" if size else "the file is empty"
        raise ImageError(reason) from None
    # Pillow's decoders raise whatever a damaged file makes them stumble over.
    except Exception as error:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise ImageError(reason) from error


def read_size(file: str | os.PathLike | bytes) -> tuple[int, int]:
    """Width and height of a sound image file, upright, without decoding it."""
    with Image.open(_readable(file), formats=_formats()) as image:
        is_turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
        width, height = image.size
        return (height, width) if is_turned else (width, height)


@functools.cache
def _formats() -> tuple[str, ...]:
    """What Pillow reads by itself: EPS is a program, which Ghostscript would run."""
    Image.init()
    return tuple(name for name in Image.ID if name != "EPS")


def _readable(file: str | os.PathLike | bytes) -> str | os.PathLike | io.BytesIO:
    """What Pillow opens: a file's path, or what is in an object."""
    if isinstance(file, _ReadablePath) and not isinstance(file, Path):
        try:
            file = file.read_bytes()
        except FileNotFoundError as error:
            raise ImageError(error.strerror) from error
    return io.BytesIO(file) if isinstance(file, bytes) else file


def _short_side(size: int, rule: str, view: str) -> int:
    """What the rule makes of a picture's shorter side, before the view is cut out.

    A window's square is to the window what 256 is to 224 in Krizhevsky et al.
    """
    if not _is_whole(view):
        return round(size * 8 / 7)
    return max(CROP_SHORT_SIDE, size) if rule == "crop" else size


def _is_whole(view: str) -> bool:
    return view.removesuffix(MIRRORED) == "whole"


def to_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode as RGB; see `decode`.

    Raises:
      ImageError: its pixels have no fixed range.
    """
    if image.mode == "F":
        raise ImageError("floating-point pixels have no fixed range")
    if image.mode.startswith("I"):  # 16-bit grey, in one of Pillow's ways of holding it
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise ImageError("32-bit pixels have no fixed range")
        image = Image.fromarray(np.rint(grey / 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def resize_to(
    image: Image.Image, size: int, rule: str, view: str = "whole"
) -> Float32[np.ndarray, "size size 3"]:
    """Resizes an RGB image to a square, by one of `RESIZE_RULES`, as one of `VIEWS`.

    'tf1_bilinear' warps exactly as the TensorFlow 1 report did, 'antialias' warps
    with Pillow's bilinear filter, 'crop' keeps the aspect: short side to 256
    (or the size itself, if larger), then the centre.

    That is the view 'whole'. For 'center' and the four corners, the same rule makes
    a square of 8/7 of the size ('crop': short side to that, then the square in the
    centre), and they are windows of it. '_mirrored' views are flipped left to right
    in the end.

    Raises:
      ValueError: `rule` is none of `RESIZE_RULES`, or `view` none of `VIEWS`.
    """
    if rule not in RESIZE_RULES:
        raise ValueError(f"resize={rule!r}: one of {', '.join(RESIZE_RULES)}")
    if view not in VIEWS:
        raise ValueError(f"view={view!r}: one of {', '.join(VIEWS)}")
    if rule == "tf1_bilinear":
        side = _short_side(size, rule, view)
        left, top = _window(side - size, view)
        resized = tf1_bilinear(np.asarray(image), side, side)
        resized = resized[top : top + size, left : left + size]
    else:
        box = field_of_view(image.width, image.height, size, rule, view)
        image = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
        resized = np.asarray(image, np.float32)
    return resized[:, ::-1] if view.endswith(MIRRORED) else resized


def field_of_view(
    width: int, height: int, size: int, rule: str, view: str = "whole"
) -> tuple[float, float, float, float]:
    """The part of a picture that the network sees: left, top, right, bottom.

    In the picture's own pixels; all of it, unless the rule or the view crops.
    """
    # Only what is kept is resized, so the crop is taken in the picture's pixels.
    short = _short_side(size, rule, view)
    square = size if _is_whole(view) else short
    box = []
    for side, offset in zip((width, height), _window(square - size, view), strict=True):
        scaled = short
        if rule == "crop":
            scaled = max(short, round(side * (short / min(width, height))))
        start = (scaled - square) // 2 + offset
        box.append((start * side / scaled, (start + size) * side / scaled))
    (left, right), (top, bottom) = box
    return left, top, right, bottom


def _window(margin: int, view: str) -> tuple[int, int]:
    """How far right and down a view begins in its square, which is `margin` larger."""
    right, down = WINDOWS.get(view.removesuffix(MIRRORED), (0, 0))
    return margin * right // 2, margin * down // 2


def tf1_bilinear(
    pixels: Shaped[np.ndarray, "h w *c"], height: int, width: int
) -> Float32[np.ndarray, "height width *c"]:
    """TensorFlow 1's bilinear resize: source = destination * in / out.

    No half-pixel offset and no antialiasing; the last row and column are repeated.
    """
    y_low, y_high, y_lerp = _tf1_weights(pixels.shape[0], height)
    x_low, x_high, x_lerp = _tf1_weights(pixels.shape[1], width)
    channels = (1,) * (pixels.ndim - 2)
    y_lerp = y_lerp.reshape(-1, 1, *channels)
    x_lerp = x_lerp.reshape(1, -1, *channels)
    # Only the rows and columns that are used become float.
    top, bottom = (
        left + (pixels[rows][:, x_high].astype(np.float32) - left) * x_lerp
        for rows in (y_low, y_high)
        for left in [pixels[rows][:, x_low].astype(np.float32)]
    )
    return top + (bottom - top) * y_lerp


def _tf1_weights(size_in: int, size_out: int) -> tuple[np.ndarray, ...]:
    """Indices below and above each output position, and the way between them."""
    scale = np.float32(size_in) / np.float32(size_out)
    source = np.arange(size_out, dtype=np.float32) * scale
    low = np.minimum(source.astype(np.int64), size_in - 1)
    high = np.minimum(low + 1, size_in - 1)
    return low, high, source - low.astype(np.float32)
