"""Pictures and maps side by side as one picture, drawn by Matplotlib."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from PIL import Image

from jaxart import fonts

INCHES, DPI = 3, 110  # of a picture's square; pixels of an inch


class Panel(NamedTuple):
    """A picture, and what its colours mean, if they mean something."""

    picture: Image.Image
    title: str
    table: UInt8[np.ndarray, "256 3"] | None = None
    low: float = 0.0
    high: float = 1.0


def png(rows: Sequence[Sequence[Panel]]) -> bytes:
    """Rows of pictures, with titles above and colour scales beside them."""
    num_columns = max(map(len, rows))
    size = INCHES * num_columns, 0.85 * INCHES * len(rows)
    figure = Figure(figsize=size, layout="constrained")
    names = fonts.families(panel.title for row in rows for panel in row)
    axes = figure.subplots(len(rows), num_columns, squeeze=False)
    for places, row in zip(axes, rows, strict=True):
        for axis in places:
            axis.set_axis_off()
        for axis, panel in zip(places, row, strict=False):
            axis.imshow(panel.picture)
            title = fonts.drawable(panel.title).text
            axis.set_title(title, fontsize="small", fontfamily=names, parse_math=False)
            if panel.table is not None:
                colors = ListedColormap(panel.table[1:].astype(np.float64) / 255)
                scale = ScalarMappable(Normalize(panel.low, panel.high), colors)
                figure.colorbar(scale, ax=axis, shrink=0.7)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    return content.getvalue()
