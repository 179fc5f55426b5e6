"""A class at a glance: some of its pictures, side by side."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from jaxart.data import images
from jaxart.passes.local import map_ahead

COLUMNS, ROWS = 8, 6
CELL = 160  # pixels
_GAP = 4
_NUM_THREADS = 4


def draw(paths: Sequence[Path]) -> Image.Image:
    """Draws pictures from all over a list, as many as a sheet holds.

    Args:
      paths: sound image files, at least one.

    Returns:
      RGB, as high as there are rows.
    """
    count = min(len(paths), COLUMNS * ROWS)
    chosen = [paths[i * len(paths) // count] for i in range(count)]

    def load(path: Path) -> Image.Image:
        return ImageOps.contain(images.decode(path, 2 * CELL), (CELL, CELL))

    num_rows = -(-count // COLUMNS)
    step = CELL + _GAP
    sheet = Image.new("RGB", (COLUMNS * step + _GAP, num_rows * step + _GAP), "white")
    for i, picture in enumerate(
        map_ahead(load, chosen, _NUM_THREADS, 2 * _NUM_THREADS)
    ):
        row, column = divmod(i, COLUMNS)
        left, top = (
            _GAP + step * place + (CELL - side) // 2
            for place, side in zip((column, row), picture.size, strict=True)
        )
        sheet.paste(picture, (left, top))
    return sheet
