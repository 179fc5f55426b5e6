"""The networks, by the name that a config gives them: ordered lists of Caffe layers."""

from jaxart.models.alexnet import AlexNet
from jaxart.models.layers import CaffeNet
from jaxart.models.vgg16 import VGG16

MODELS: dict[str, type[CaffeNet]] = {"alexnet": AlexNet, "vgg16": VGG16}

__all__ = ["MODELS", "VGG16", "AlexNet", "CaffeNet", "alexnet", "imagenet", "layers"]
