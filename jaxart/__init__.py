"""Fine-tuning and saliency on the classic Caffe networks, in JAX/Flax."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxart import saliency
    from jaxart.face import (
        Comparison,
        Explanation,
        Prediction,
        Run,
        TrainedNetwork,
        compare,
        load,
        train,
    )

__all__ = [
    "Comparison",
    "Explanation",
    "Prediction",
    "Run",
    "TrainedNetwork",
    "compare",
    "load",
    "saliency",
    "train",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The public face, which brings JAX along when it is asked for."""
    if name == "saliency":
        return importlib.import_module("jaxart.saliency")
    if name in __all__:
        return getattr(importlib.import_module("jaxart.face"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
