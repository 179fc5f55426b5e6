"""AlexNet as Caffe trained it: one tower, `bvlc_alexnet`.

References:
  Krizhevsky et al. 2012, "ImageNet classification with deep convolutional
  neural networks".
  Caffe's models/bvlc_alexnet/train_val.prototxt.
"""

from typing import ClassVar

import flax.linen as nn

from jaxart.models.layers import (
    Convolution,
    Layer,
    LocalResponseNorm,
    MaxPool,
    Network,
)


class AlexNet(Network):
    """The one-tower AlexNet, 60,965,224 parameters at 1000 classes.

    Attributes:
      lrn_alpha: Caffe's alpha, before its division by the local size 5.
    """

    lrn_alpha: float = 1e-4

    preprocessing: ClassVar = {
        "size": 227,
        "channel_order": "bgr",
        "mean": (103.939, 116.779, 123.68),
    }
    weight_file: ClassVar = "bvlc_alexnet.safetensors"
    trained_with: ClassVar = ("lrn_alpha",)

    @nn.nowrap
    def convolutions(self) -> dict[str, Layer]:
        """The layers from conv1 to pool5."""
        norm = LocalResponseNorm(alpha=self.lrn_alpha, parent=None)
        return {
            "conv1": Convolution(96, 11, stride=4, parent=None),  # 227 -> 55
            "relu1": self.relu,
            "norm1": norm,
            "pool1": MaxPool(3, 2, parent=None),  # 55 -> 27
            "conv2": Convolution(256, 5, pad=2, groups=2, parent=None),
            "relu2": self.relu,
            "norm2": norm,
            "pool2": MaxPool(3, 2, parent=None),  # 27 -> 13
            "conv3": Convolution(384, 3, pad=1, parent=None),
            "relu3": self.relu,
            "conv4": Convolution(384, 3, pad=1, groups=2, parent=None),
            "relu4": self.relu,
            "conv5": Convolution(256, 3, pad=1, groups=2, parent=None),
            "relu5": self.relu,
            "pool5": MaxPool(3, 2, parent=None),  # 13 -> 6
        }
