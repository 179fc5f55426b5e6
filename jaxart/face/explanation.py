"""What a network looks at in an image, to be looked at."""

import dataclasses
import functools
import os
import textwrap
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32
from PIL import Image

from jaxart import storage
from jaxart.data import resizing
from jaxart.face import html
from jaxart.face.prediction import Prediction
from jaxart.saliency import pictures, render

WIDTH = 34  # characters of a title's line


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """A map of what a network looks at in an image.

    Attributes:
      prediction: what it says of the image.
      map: float32 [S, S], at the network's resolution.
      method: a name of `network.methods()`.
      settings: all of the method's own.
      target: the class that is explained.
      against: the class whose logit is subtracted, if any.
      score: the value that is explained, at this image.
      look: how maps are drawn; `percentile` of the map's absolute values is the end
        of the colour table.
    """

    prediction: Prediction
    map: Float32[np.ndarray, "s s"]
    method: str
    settings: dict[str, Any]
    target: int
    against: int | None
    score: float
    look: pictures.Look
    percentile: float

    @property
    def target_name(self) -> str:
        """What the target is called."""
        return self.prediction.class_names[self.target]

    @property
    def against_name(self) -> str | None:
        """What the class is called that the target is against, if any."""
        if self.against is None:
            return None
        return self.prediction.class_names[self.against]

    @property
    def picture(self) -> Image.Image:
        """The image as RGB, upright, at its own size."""
        return self.prediction.picture

    @functools.cached_property
    def limit(self) -> float:
        """The value at the end of the colour table."""
        return render.magnitude(self.map, self.percentile)

    @property
    def range(self) -> tuple[float, float]:
        """The values at both ends of the colour table."""
        return (-self.limit if self.look.signed else 0.0), self.limit

    def heatmap(self, side: int | None = None) -> Image.Image:
        """The map in colours, at the picture's own size: a palette image of levels.

        Smaller where a `side` says how long the longer side may be, in pixels.
        """
        size = self.picture.size
        size = render.fitted(size, side) if side else size
        return render.heatmap(self._levels(size), self.look.table)

    def overlay(self) -> Image.Image:
        """The map's colours over the picture, at its own size."""
        picture = np.asarray(self.picture)
        levels = self._levels(picture.shape[1::-1])
        return render.overlay(picture, levels, self.look.table, self.look.signed)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the overlay (.png, .jpg), or the map as numbers (.npy).

        Raises:
          ValueError: another suffix.
        """
        file = storage.path(path)
        suffix = file.suffix.lower()
        if suffix == ".npy":
            pictures.save_map(self.map, file)
        elif suffix in pictures.FORMATS:
            pictures.save(self.overlay(), file)
        else:
            raise ValueError(f"{file}: .npy, {' or '.join(pictures.FORMATS)}")

    def _levels(self, size: tuple[int, int]) -> np.ndarray:
        levels = render.to_levels(self.map, self.limit, self.look.signed)
        box = resizing.field_of_view(*size, len(levels), self.look.resize)
        return render.place(levels, size, box, render.zero_level(self.look.signed))

    def describe(self) -> str:
        """What is explained, in a line."""
        against = f" against {self.against_name}" if self.against_name else ""
        return f"{self.method} of {self.target_name}{against}, score {self.score:.4g}"

    def __repr__(self) -> str:
        return f"Explanation({self.describe()}, map {list(self.map.shape)})"

    def _repr_html_(self) -> str:
        """The picture beside its map, with the colour scale below."""
        scale = html.scale(self.look.table, *self.range)
        return html.row(
            html.figure(self.picture, self.prediction.describe()),
            html.figure(self.overlay(), self.describe(), scale),
        )

    def _repr_png_(self) -> bytes:
        """The same as one picture, for what shows no HTML."""
        return draw([[self]])


def draw(rows: Sequence[Sequence[Explanation]]) -> bytes:
    """A PNG file of explanations, each row behind the picture that it explains."""
    from jaxart.face.drawing import Panel, png  # noqa: PLC0415  (Matplotlib, late)

    panels = []
    for row in rows:
        title = _wrap(row[0].prediction.describe())
        panels.append([Panel(row[0].picture, title)])
        for one in row:
            title = _wrap(one.describe())
            panels[-1].append(Panel(one.overlay(), title, one.look.table, *one.range))
    return png(panels)


def _wrap(title: str) -> str:
    """A title in lines of `WIDTH`; a Chinese character is as wide as two letters."""
    wide = (char for char in set(title) if unicodedata.east_asian_width(char) in "WF")
    doubled = title.translate({ord(char): f"{char}\0" for char in wide})
    return textwrap.fill(doubled, WIDTH).replace("\0", "")
