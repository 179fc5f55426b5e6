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
    corner = "class / predicted"
    names = (corner, *class_names)
    gutter = 2 * MARGIN + max(round(font.getlength(name)) for name in names)
    side = gutter + CELL * len(class_names) + MARGIN
    picture = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((gutter - MARGIN, gutter - MARGIN), corner, "gray", font, anchor="rb")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    for i, name in enumerate(class_names):
        middle = gutter + CELL * i + CELL // 2
        draw.text((gutter - MARGIN, middle), name, "black", font, anchor="rm")
        _draw_upwards(picture, (middle, gutter - MARGIN), name, font)
        for j in range(len(class_names)):
            x, y = gutter + CELL * j, gutter + CELL * i
            shade = 255 - shares[i, j] * (255 - BLUE)
            draw.rectangle((x, y, x + CELL - 2, y + CELL - 2), tuple(map(int, shade)))
            ink = "white" if shares[i, j] > 0.5 else "black"
            centre = (x + CELL // 2 - 1, y + CELL // 2 - 1)
            draw.text(centre, str(counts[i, j]), ink, font, anchor="mm")
    return np.asarray(picture)


def _draw_upwards(
    picture: Image.Image,
    bottom: tuple[int, int],
    text: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    label = Image.new("RGB", (round(font.getlength(text)) + 1, 18), "white")
    ImageDraw.Draw(label).text((0, 9), text, "black", font, anchor="lm")
    label = label.rotate(90, expand=True)
    picture.paste(label, (bottom[0] - label.width // 2, bottom[1] - label.height))
