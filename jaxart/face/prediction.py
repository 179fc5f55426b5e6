"""What a network says of an image, to be looked at."""

import dataclasses
import functools
import os

import numpy as np
from jaxtyping import Float, Float32
from PIL import Image

from jaxart import storage
from jaxart.face import html
from jaxart.face.pictures import Picture
from jaxart.predict import tables

TOP = 5  # classes that are shown


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """What a network says of an image.

    Attributes:
      class_names: what each logit stands for.
      logits: [K], in the order of `class_names`.
      probabilities: [K], their softmax.
      image: what was given.
    """

    class_names: tuple[str, ...]
    logits: Float32[np.ndarray, " k"]
    probabilities: Float[np.ndarray, " k"]
    image: Picture

    @property
    def index(self) -> int:
        """The class with the highest logit."""
        return int(self.logits.argmax())

    @property
    def name(self) -> str:
        """What that class is called."""
        return self.class_names[self.index]

    @property
    def probability(self) -> float:
        """What the network gives that class."""
        return float(self.probabilities[self.index])

    @functools.cached_property
    def picture(self) -> Image.Image:
        """The image as RGB, upright, at its own size."""
        return self.image.decode()

    def top(self, count: int = TOP) -> list[tuple[str, float]]:
        """The best classes with their probabilities, the best one first."""
        order = np.argsort(-self.logits, kind="stable")[:count]
        return [(self.class_names[i], float(self.probabilities[i])) for i in order]

    def save(self, path: str | os.PathLike) -> None:
        """Writes a table of one image, as `jaxart predict` does.

        Raises:
          FormatError: the suffix is none of .csv, .jsonl and .parquet.
        """
        table = storage.path(path)
        order = np.argsort(-self.logits, kind="stable")[None]
        rows = tables.Predictions(
            [self.image.name],
            np.array([tables.UNKNOWN], np.int32),
            self.class_names,
            order.astype(np.int32),
            self.logits[order],
            self.probabilities[order].astype(np.float32),
            np.array([np.nan], np.float32),
        )
        write = tables.find_format(table)
        with storage.written_together(table) as beside:
            write(beside, rows, None)

    def describe(self) -> str:
        """The best class, in a few words."""
        return f"{self.name} {self.probability:.1%}"

    def __repr__(self) -> str:
        best = ", ".join(f"{name} {value:.1%}" for name, value in self.top(3))
        return f"Prediction({best})"

    def _repr_html_(self) -> str:
        """The picture, and the best classes as bars."""
        return html.row(
            html.figure(self.picture, self.image.short_name), html.bars(self.top())
        )
