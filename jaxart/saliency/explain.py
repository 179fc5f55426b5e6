"""The compiled step: images through the network, to their logits and maps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxart import compiling
from jaxart.classifier import Classifier
from jaxart.models import CaffeNet

PREDICTED = -1  # as a target: the class with the highest logit

Attribute = Callable[[Any, Array, Array], Array]  # params, images, targets -> maps


class Explained(NamedTuple):
    """What the network makes of a batch: logits [B, K], targets [B], maps [B, S, S]."""

    logits: Float[Array, "b k"]
    targets: Int[Array, " b"]
    maps: Float[Array, "b s s"]


Step = Callable[[Any, Any, Any], Explained]


def make_step(model: CaffeNet, attribute: Attribute) -> Step:
    """Compiles (params, images, targets) -> `Explained`.

    The logits that tell the class and those that are differentiated are one and the
    same computation: XLA merges them.
    """

    @compiling.jit
    def step(params, images, targets):
        logits = model.apply({"params": params}, images)
        targets = jnp.where(targets == PREDICTED, logits.argmax(axis=-1), targets)
        return Explained(logits, targets, attribute(params, images, targets))

    return step


def check(
    step: Callable[..., Explained], classifier: Classifier, batch_size: int
) -> None:
    """Traces a step without running it.

    Raises:
      ValueError: a setting of the method is out of range.
    """
    size = classifier.model.preprocessing["size"]
    images = jax.ShapeDtypeStruct((batch_size, size, size, 3), jnp.float32)
    targets = jax.ShapeDtypeStruct((batch_size,), jnp.int32)
    jax.eval_shape(step, classifier.params, images, targets)
