"""VGG16: configuration D.

Reference:
  Simonyan and Zisserman 2014, "Very deep convolutional networks for large-scale
  image recognition", table 1.
"""

from typing import ClassVar

import flax.linen as nn

from jaxart.models.layers import Convolution, Layer, MaxPool, Network


class VGG16(Network):
    """VGG16, 138,357,544 parameters at 1000 classes."""

    preprocessing: ClassVar = {
        "size": 224,
        "channel_order": "bgr",
        "mean": (103.939, 116.779, 123.68),
    }
    weight_file: ClassVar = "vgg16.safetensors"
    # Convolutions and features of each of the five blocks.
    blocks: ClassVar = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))

    @nn.nowrap
    def convolutions(self) -> dict[str, Layer]:
        """The layers from conv1_1 to pool5; each pool halves the side."""
        layers: dict[str, Layer] = {}
        for block, (depth, features) in enumerate(self.blocks, start=1):
            for number in range(1, depth + 1):
                convolution = Convolution(features, 3, pad=1, parent=None)
                layers[f"conv{block}_{number}"] = convolution
                layers[f"relu{block}_{number}"] = self.relu
            layers[f"pool{block}"] = MaxPool(2, 2, parent=None)
        return layers
