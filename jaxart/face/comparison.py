"""Explanations of one image side by side: methods, targets, networks."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from jaxart import storage
from jaxart.face.explanation import Explanation, draw
from jaxart.face.network import TrainedNetwork
from jaxart.face.pictures import ImageLike
from jaxart.saliency import catalogue, question


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """A grid of explanations, as `compare` gives it.

    Attributes:
      rows: explanations; a row is of one network and method, a column of one target.
    """

    rows: list[list[Explanation]]

    def save(self, path: str | os.PathLike) -> None:
        """Writes the grid as a PNG file.

        Raises:
          ValueError: another suffix.
        """
        file = storage.path(path)
        if file.suffix.lower() != ".png":
            raise ValueError(f"{file}: a .png file")
        storage.write_bytes(file, self._repr_png_())

    def __getitem__(self, row: int) -> list[Explanation]:
        return self.rows[row]

    def __repr__(self) -> str:
        lines = [[explanation.describe() for explanation in row] for row in self.rows]
        return "\n".join(" | ".join(line) for line in lines)

    def _repr_png_(self) -> bytes:
        return draw(self.rows)


def compare(
    networks: TrainedNetwork | Sequence[TrainedNetwork],
    image: ImageLike,
    *,
    methods: Sequence[str] = ("gradient",),
    targets: Sequence[str | int] = ("predicted",),
    **how: Any,
) -> Comparison:
    """Explains an image in several ways.

    Args:
      networks: one or several; each has its rows.
      image: a path, a URL, a PIL image or a uint8 array [H, W, 3].
      methods: each has a row.
      targets: each has a column.
      **how: as in `TrainedNetwork.explain`; a method's setting goes to the methods
        that have it.

    Raises:
      ValueError: no method has a setting of that name. Also as
        `TrainedNetwork.explain`.
    """
    if isinstance(networks, TrainedNetwork):
        networks = [networks]
    others = {
        name: how.pop(name) for name in list(how) if name not in catalogue.SETTINGS
    }
    rows = [
        [
            network.explain(image, method, target=target, **others, **settings)
            for target in targets
        ]
        for network in networks
        for method, settings in question.settings_of(methods, how)
    ]
    return Comparison(rows)
