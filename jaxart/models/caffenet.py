"""CaffeNet, `bvlc_reference_caffenet`: AlexNet that pools before it normalises.

Reference:
  Caffe's models/bvlc_reference_caffenet/train_val.prototxt.
"""

from typing import ClassVar

import flax.linen as nn

from jaxart.models.alexnet import AlexNet
from jaxart.models.layers import Layer

# What stands where AlexNet has the other.
_SWAPPED = {"norm1": "pool1", "pool1": "norm1", "norm2": "pool2", "pool2": "norm2"}


class CaffeNet(AlexNet):
    """AlexNet with its first norms and pools swapped; it has the same parameters."""

    weight_file: ClassVar = "bvlc_reference_caffenet.safetensors"

    @nn.nowrap
    def convolutions(self) -> dict[str, Layer]:
        """The layers from conv1 to pool5."""
        layers = super().convolutions()
        order = [_SWAPPED.get(name, name) for name in layers]
        return {name: layers[name] for name in order}
