"""Large pictures, changed strip by strip: no second copy of them is in memory."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Shaped
from PIL import Image
from PIL.Image import Transpose

_PIXELS = 1 << 20  # of a strip; what is smaller is changed whole

# What is turned so has its rows where its columns were.
_ACROSS = (
    *(Transpose.TRANSPOSE, Transpose.ROTATE_270),
    *(Transpose.TRANSVERSE, Transpose.ROTATE_90),
)
# And so, its first strip comes last.
_LAST = (
    *(Transpose.ROTATE_180, Transpose.FLIP_TOP_BOTTOM),
    *(Transpose.ROTATE_270, Transpose.TRANSVERSE),
)


def changed(
    image: Image.Image,
    to_rgb: Callable[[Image.Image], Image.Image],
    turn: Transpose | None = None,
) -> Image.Image:
    """`to_rgb` of an image, turned; it may be the image itself, changed.

    Args:
      image: of any mode, decoded.
      to_rgb: makes RGB of a strip, each pixel by itself.
      turn: applied to the whole.
    """
    rows = max(1, _PIXELS // image.width)
    if image.height <= rows:
        whole = to_rgb(image)
        return whole if turn is None else whole.transpose(turn)
    width, height = image.size[::-1] if turn in _ACROSS else image.size
    is_in_place = image.mode == "RGB" and turn is None
    result = image if is_in_place else Image.new("RGB", (width, height))
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        strip = image.crop((0, top, image.width, bottom))
        rgb = to_rgb(strip)
        if is_in_place and rgb is strip:
            return image  # which is as it should be
        if turn is not None:
            rgb = rgb.transpose(turn)
        start = image.height - bottom if turn in _LAST else top
        result.paste(rgb, (start, 0) if turn in _ACROSS else (0, start))
    return result


def rows(
    image: Image.Image, numbers: Sequence[int] | np.ndarray
) -> Shaped[np.ndarray, "rows width *bands"]:
    """Some rows of a picture, as an array."""
    boxes = ((0, int(y), image.width, int(y) + 1) for y in numbers)
    return np.stack([np.asarray(image.crop(box))[0] for box in boxes])
