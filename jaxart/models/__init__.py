"""The networks, by the name that a config gives them: ordered lists of Caffe layers.

`MODELS` is the catalogue. A network's module is imported, and JAX with it, once the
network is asked for: its name is all that a command's --help needs.
"""

import importlib
from collections import UserDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxart.models.alexnet import AlexNet
    from jaxart.models.layers import Network
    from jaxart.models.vgg16 import VGG16

__all__ = ["MODELS", "VGG16", "AlexNet", "Network", "alexnet", "imagenet", "layers"]


class _Catalogue(UserDict[str, "type[Network]"]):
    """The networks' classes by name; one of your own joins by assignment."""

    def __getitem__(self, name: str) -> "type[Network]":
        kind = self.data[name]
        if isinstance(kind, str):
            kind = getattr(importlib.import_module(f"jaxart.models.{name}"), kind)
        return kind


# Each class by its module, which is the network's name.
_CLASSES = {"alexnet": "AlexNet", "vgg16": "VGG16"}

MODELS = _Catalogue(_CLASSES)


def __getattr__(name: str) -> Any:
    """The classes themselves, as `jaxart.models.VGG16`."""
    modules = {"Network": "layers"} | {kind: name for name, kind in _CLASSES.items()}
    if name not in modules:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"jaxart.models.{modules[name]}"), name)
