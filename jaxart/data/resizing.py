"""How a picture becomes a square of the network's size: rules and views.

References:
  tf1_bilinear: TensorFlow 1's `tf.image.resize_images`, kernel
  resize_bilinear_op.cc with align_corners=False and half_pixel_centers=False.
  Views: Krizhevsky et al. 2012, ImageNet classification with deep convolutional
  neural networks, section 4.1; Caffe's crop_size and mirror.
"""

import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Shaped
from PIL import Image

from jaxart.data import strips

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

_MANY_ROWS = 16  # times those that are used: too many to make an array of all


def short_side(size: int, rule: str, view: str) -> int:
    """What the rule makes of a picture's shorter side, before the view is cut out.

    A window's square is to the window what 256 is to 224 in Krizhevsky et al.
    """
    if not _is_whole(view):
        return round(size * 8 / 7)
    return max(CROP_SHORT_SIDE, size) if rule == "crop" else size


def _is_whole(view: str) -> bool:
    return view.removesuffix(MIRRORED) == "whole"


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
        side = short_side(size, rule, view)
        left, top = _window(side - size, view)
        if image.height <= _MANY_ROWS * side:
            resized = tf1_bilinear(np.asarray(image), side, side)
        else:
            rows_of = functools.partial(strips.rows, image)
            resized = _tf1_bilinear(rows_of, image.size, 3, side, side)
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
    short = short_side(size, rule, view)
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
    size = (pixels.shape[1], pixels.shape[0])
    return _tf1_bilinear(pixels.__getitem__, size, pixels.ndim, height, width)


def _tf1_bilinear(
    rows_of: Callable[[np.ndarray], np.ndarray],
    size: tuple[int, int],
    ndim: int,
    height: int,
    width: int,
) -> np.ndarray:
    """As `tf1_bilinear`, of pixels [H, W, ...] that are asked for by their rows."""
    x_low, x_high, x_lerp = _tf1_weights(size[0], width)
    y_low, y_high, y_lerp = _tf1_weights(size[1], height)
    channels = (1,) * (ndim - 2)
    y_lerp = y_lerp.reshape(-1, 1, *channels)
    x_lerp = x_lerp.reshape(1, -1, *channels)
    # Only the rows and columns that are used become float.
    top, bottom = (
        left + (pixels[:, x_high].astype(np.float32) - left) * x_lerp
        for pixels in map(rows_of, (y_low, y_high))
        for left in [pixels[:, x_low].astype(np.float32)]
    )
    return top + (bottom - top) * y_lerp


def _tf1_weights(size_in: int, size_out: int) -> tuple[np.ndarray, ...]:
    """Indices below and above each output position, and the way between them."""
    scale = np.float32(size_in) / np.float32(size_out)
    source = np.arange(size_out, dtype=np.float32) * scale
    low = np.minimum(source.astype(np.int64), size_in - 1)
    high = np.minimum(low + 1, size_in - 1)
    return low, high, source - low.astype(np.float32)
