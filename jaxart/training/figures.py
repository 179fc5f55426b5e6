"""Pictures for TensorBoard, drawn with Pillow."""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageDraw

from jaxart import fonts

CELL = 44  # pixels
MARGIN = 8
FONT_SIZE = 13
BLUE = np.array([8, 48, 107])


def confusion_matrix(
    counts: Int[np.ndarray, "k k"], class_names: Sequence[str]
) -> UInt8[np.ndarray, "h w 3"]:
    """Draws a confusion matrix: a row for each class, a column for each prediction.

    A cell's shade is its share of its row; its number is the count.
    """
    corner = "class / predicted"
    names = (corner, *class_names)
    gutter = 2 * MARGIN + max(round(fonts.width(name, FONT_SIZE)) for name in names)
    side = gutter + CELL * len(class_names) + MARGIN
    picture = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(picture)
    write = functools.partial(fonts.write, draw, size=FONT_SIZE)
    write((gutter - MARGIN, gutter - MARGIN), corner, "gray", anchor="rb")
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    for i, name in enumerate(class_names):
        middle = gutter + CELL * i + CELL // 2
        write((gutter - MARGIN, middle), name, "black", anchor="rm")
        upwards = fonts.mask(name, FONT_SIZE).transpose(Image.Transpose.ROTATE_90)
        left = middle - (upwards.width + 1) // 2
        draw.bitmap((left, gutter - MARGIN - upwards.height), upwards, "black")
        for j in range(len(class_names)):
            x, y = gutter + CELL * j, gutter + CELL * i
            shade = 255 - rates[i, j] * (255 - BLUE)
            draw.rectangle((x, y, x + CELL - 2, y + CELL - 2), tuple(map(int, shade)))
            ink = "white" if rates[i, j] > 0.5 else "black"
            centre = (x + CELL // 2 - 1, y + CELL // 2 - 1)
            write(centre, str(counts[i, j]), ink, anchor="mm")
    return np.asarray(picture)
