"""The Python face: load a network, ask it, see what it looks at, train another one.

`jaxart` itself has these names; what they give shows itself in notebooks.
"""

from jaxart.face.comparison import Comparison, compare
from jaxart.face.explanation import Explanation
from jaxart.face.network import TrainedNetwork, load
from jaxart.face.prediction import Prediction
from jaxart.face.training import Run, train

__all__ = [
    "Comparison",
    "Explanation",
    "Prediction",
    "Run",
    "TrainedNetwork",
    "compare",
    "load",
    "train",
]
