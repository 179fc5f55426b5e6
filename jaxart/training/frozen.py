"""The layers before those that train: what they compute, and what they are."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array

from jaxart.data import features
from jaxart.devices import compiling
from jaxart.devices.layout import Layout
from jaxart.models import Network
from jaxart.models.layers import select


class Frozen(NamedTuple):
    """A network up to `boundary`, the last layer before those that train."""

    model: Network
    params: Any  # of the whole network
    boundary: str

    def forward(self, layout: Layout) -> Callable[[Any], Array]:
        """Images [B, S, S, 3] -> the activations of the boundary, compiled.

        `layout` is of this process's own devices; each runs its own rows.
        """
        params = layout.put(self._params())
        run_layers = compiling.jit(
            layout.by_rows(
                lambda p, x: self.model.apply({"params": p}, x, upto=self.boundary)
            )
        )
        return lambda images: run_layers(params, layout.put_batch(images))

    def describe(self) -> dict[str, Any]:
        """All that the activations depend on but the images, as plain data."""
        # Layers are functions, or modules, whose repr has their fields.
        layers = [
            [name, getattr(layer, "__name__", None) or repr(layer)]
            for name, layer in self._layers().items()
        ]
        return {"layers": layers, "params": features.digest_params(self._params())}

    def _layers(self) -> dict[str, Any]:
        return select(self.model.layers(), None, self.boundary)

    def _params(self) -> dict[str, Any]:
        layers = self._layers()
        return {name: self.params[name] for name in self.params if name in layers}
