"""Measured points with their fitted lines, drawn with Pillow."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 480, 320
LEFT, TOP, RIGHT, BOTTOM = 64, 40, 20, 48
INK, LINE, POINT = "#333333", "#2b6cb0", "#c05621"


class Panel(NamedTuple):
    """Points, and the line through them.

    Attributes:
      title: above the panel.
      x_name: what `x` counts.
      y_name: what `y` is.
      x: of the points.
      y: likewise.
      slope: of the line.
      intercept: of the line.
    """

    title: str
    x_name: str
    y_name: str
    x: list[float]
    y: list[float]
    slope: float
    intercept: float


def fit(x: list[float], y: list[float]) -> tuple[float, float, float]:
    """The line of least squares: slope, intercept, and the share it explains (R2)."""
    slope, intercept = np.polyfit(x, y, 1)
    rest = np.asarray(y) - (slope * np.asarray(x) + intercept)
    spread = np.var(y)
    explained = 1 - np.var(rest) / spread if spread else 1.0
    return float(slope), float(intercept), float(explained)


def draw(path: Path, panels: list[Panel], columns: int = 2) -> None:
    """Draws panels row by row into a PNG file."""
    rows = -(-len(panels) // columns)
    picture = Image.new("RGB", (columns * WIDTH, rows * HEIGHT), "white")
    for i, panel in enumerate(panels):
        corner = (i % columns * WIDTH, i // columns * HEIGHT)
        picture.paste(_draw_panel(panel), corner)
    picture.save(path)


def _draw_panel(panel: Panel) -> Image.Image:
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    x_end = 1.05 * max(panel.x)
    y_end = 1.15 * max(panel.y)

    def place(x, y):
        return (
            LEFT + x / x_end * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - y / y_end * (HEIGHT - TOP - BOTTOM),
        )

    pen.line([place(0, y_end), place(0, 0), place(x_end, 0)], INK)
    for value in sorted({0, *panel.x}):
        x, y = place(value, 0)
        pen.text((x, y + 6), f"{value:g}", INK, font, anchor="mt")
    for value in np.linspace(0, max(panel.y), 5):
        x, y = place(0, value)
        pen.line([(x - 4, y), (x, y)], INK)
        pen.text((x - 8, y), f"{value:.3g}", INK, font, anchor="rm")
    ends = [max(0.0, panel.intercept), panel.slope * x_end + panel.intercept]
    pen.line([place(0, ends[0]), place(x_end, ends[1])], LINE, 2)
    for point in zip(panel.x, panel.y, strict=True):
        pen.circle(place(*point), 4, POINT)
    pen.text((LEFT, 8), f"{panel.title} ({panel.y_name})", INK, font)
    pen.text((WIDTH - RIGHT, HEIGHT - 8), panel.x_name, INK, font, anchor="rb")
    return picture
