"""What a network runs: compiled once, and kept for every network of its architecture.

They are the programs of the commands, so that the numbers are theirs.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax

from jaxart.models import Network
from jaxart.predict import run as predict
from jaxart.saliency import catalogue, work

_NUM_KEPT = 64  # programs: what was used least goes first

P = ParamSpec("P")
T = TypeVar("T")


def kept(make: Callable[P, T]) -> Callable[P, T]:
    """Makes what was made for the same arguments only once."""
    return functools.lru_cache(_NUM_KEPT)(make)  # pyright: ignore[reportReturnType]


@kept
def predicting(model: Network, layer: str | None) -> predict.Step:
    """Gives all classes, and the activation of a layer, if any.

    Raises:
      ValueError: there is no such layer.
    """
    return predict.make_step(model, model.num_classes, layer)


@kept
def explaining(
    model: Network,
    method: str,
    settings: tuple[tuple[str, Any], ...],
    channel_rule: str,
    score: str,
    seed: int,
    batch_size: int,
) -> work.Step:
    """Gives logits, targets and maps of a batch."""
    attribute = catalogue.bind(
        method,
        model,
        dict(settings),
        channel_rule=channel_rule,
        batch_size=batch_size,
        key=jax.random.key(seed),
        score=score,
    )
    return work.make_step(model, attribute)
