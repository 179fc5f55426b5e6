"""Shapes of a network's parameters, and the work of its convolutions and products."""

import math
from typing import NamedTuple

from jaxart.models import Network
from jaxart.models.layers import Convolution, InnerProduct, MaxPool


class LayerShape(NamedTuple):
    """A layer with parameters.

    Attributes:
      kernel: [k, k, inputs of a group, outputs], or [inputs, outputs].
      places: how often the kernel is applied to an image.
    """

    kernel: tuple[int, ...]
    places: int

    @property
    def flops(self) -> int:
        """For one image; a multiplication and an addition are two."""
        return 2 * math.prod(self.kernel) * self.places


def layer_shapes(model: Network) -> dict[str, LayerShape]:
    """The shapes of all layers with parameters, by name, in order."""
    shapes = {}
    side, channels = model.preprocessing["size"], 3
    for name, layer in model.layers().items():
        if isinstance(layer, Convolution):
            k = layer.kernel_size
            side = (side + 2 * layer.pad - k) // layer.stride + 1
            kernel = (k, k, channels // layer.groups, layer.features)
            shapes[name] = LayerShape(kernel, side * side)
            channels = layer.features
        elif isinstance(layer, MaxPool):
            side = (side - layer.window) // layer.stride + 1
        elif isinstance(layer, InnerProduct):
            kernel = (side * side * channels, layer.features)
            shapes[name] = LayerShape(kernel, 1)
            side, channels = 1, layer.features
    return shapes


def forward(model: Network, upto: str = "fc8") -> int:
    """The work of one image through the layers up to `upto`, which has parameters."""
    shapes = layer_shapes(model)
    names = list(shapes)
    return sum(shapes[name].flops for name in names[: names.index(upto) + 1])
