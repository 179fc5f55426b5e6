"""Pictures for TensorBoard, drawn with Pillow."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageDraw, ImageFont

CELL = 44  # pixels
MARGIN = 8
BLUE = np.array([8, 48, 107])


def confusion_matrix(
    counts: Int[np.ndarray, "k k"], class_names: Sequence[str]
) -> UInt8[np.ndarray, "h w 3"]:
    """Draws a confusion matrix: a row for each class, a column for each prediction.

    A cell's shade is its share of its row; its number is the count.
    """
    font = ImageFont.load_default(13)
    upwards = ImageFont.TransposedFont(font, Image.Transpose.ROTATE_90)
    corner = "class / predicted"
    names = (corner, *class_names)
    gutter = 2 * MARGIN + max(round(font.getlength(name)) for name in names)
    side = gutter + CELL * len(class_names) + MARGIN
    picture = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((gutter - MARGIN, gutter - MARGIN), corner, "gray", font, anchor="rb")
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    for i, name in enumerate(class_names):
        middle = gutter + CELL * i + CELL // 2
        draw.text((gutter - MARGIN, middle), name, "black", font, anchor="rm")
        _, _, width, height = upwards.getbbox(name)
        corner_of_name = (middle - width / 2, gutter - MARGIN - height)
        draw.text(corner_of_name, name, "black", upwards)
        for j in range(len(class_names)):
            x, y = gutter + CELL * j, gutter + CELL * i
            shade = 255 - rates[i, j] * (255 - BLUE)
            draw.rectangle((x, y, x + CELL - 2, y + CELL - 2), tuple(map(int, shade)))
            ink = "white" if rates[i, j] > 0.5 else "black"
            centre = (x + CELL // 2 - 1, y + CELL // 2 - 1)
            draw.text(centre, str(counts[i, j]), ink, font, anchor="mm")
    return np.asarray(picture)
