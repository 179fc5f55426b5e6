"""The networks, by the name that a config gives them: ordered lists of Caffe layers.

`MODELS` is the catalogue. A network's module is imported, and JAX with it, once the
network is asked for: its name is all that a command's --help needs.
"""

import importlib
from collections import UserDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxart.models.layers import Network

__all__ = ["MODELS", "Network", "imagenet", "layers", "name_of", "with_todays_name"]


class _Catalogue(UserDict[str, "type[Network] | str"]):
    """The networks' classes by name; one of your own joins by assignment.

    It holds a class, or what it is called in the module that is to be imported.
    """

    def __getitem__(self, name: str) -> "type[Network]":
        kind = self.data[name]
        if isinstance(kind, str):
            kind = getattr(importlib.import_module(f"jaxart.models.{name}"), kind)
        return kind


# Each class by its module, which is the network's name.
_CLASSES = {
    "alexnet": "AlexNet",
    "caffenet": "CaffeNet",
    "vgg16": "VGG16",
    "vgg19": "VGG19",
}

MODELS = _Catalogue(_CLASSES)


def name_of(model: "Network") -> str:
    """The name that configs and weight files have for a network's architecture."""
    return next(name for name in MODELS if type(model) is MODELS[name])


def with_todays_name(name: str, facts: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A network's name and facts as they are today, from a file or run of any age.

    CaffeNet was an AlexNet of `norm_order='pool_norm'` once; what AlexNet is now had
    'norm_pool'.
    """
    facts = dict(facts)
    is_caffenet = facts.pop("norm_order", None) == "pool_norm"
    return "caffenet" if is_caffenet else name, facts


def __getattr__(name: str) -> Any:
    """The classes themselves, as `jaxart.models.VGG16`."""
    modules = {"Network": "layers"} | {kind: name for name, kind in _CLASSES.items()}
    if name not in modules:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"jaxart.models.{modules[name]}"), name)
