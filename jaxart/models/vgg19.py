"""VGG19: configuration E.

Reference:
  Simonyan and Zisserman 2014, "Very deep convolutional networks for large-scale
  image recognition", table 1.
"""

from typing import ClassVar

from jaxart.models.vgg16 import VGG16


class VGG19(VGG16):
    """VGG19, 143,667,240 parameters at 1000 classes: blocks 3 to 5 are one deeper."""

    weight_file: ClassVar = "vgg19.safetensors"
    blocks: ClassVar = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
