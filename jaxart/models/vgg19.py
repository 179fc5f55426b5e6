"""VGG19: configuration E.

Reference:
  Simonyan and Zisserman 2014, "Very deep convolutional networks for large-scale
  image recognition", table 1.
"""

from typing import ClassVar

from jaxart.models.vgg16 import VGG16


class VGG19(VGG16):
    """VGG16 with a fourth convolution in its last three blocks; 143,667,240 parameters.

    That is their number at 1000 classes.
    """

    weight_file: ClassVar = "vgg19.safetensors"
    blocks: ClassVar = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
