"""What is compiled of a pass: a batch's best classes, and a layer's activation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxart.devices import compiling
from jaxart.models import Network
from jaxart.models.layers import HEAD
from jaxart.predict import tables


class Scores(NamedTuple):
    """What the network says of a batch: as in `Predictions`, and an activation."""

    indices: Array
    logits: Array
    probabilities: Array
    losses: Array
    activation: Array | None  # where a layer is asked for


Step = Callable[[Any, Any, Any], Scores]


def make_step(
    model: Network, num_kept: int, features: str | None, temperature: float = 1.0
) -> Step:
    """Compiles (params, images, labels) -> `Scores`, of logits / `temperature`.

    Only the best classes, `num_kept` of them, leave the device. The activation of
    layer `features` is on the way to the logits: it costs nothing.
    """

    @compiling.jit
    def step(params, images, labels):
        activation = model.apply({"params": params}, images, upto=features or HEAD)
        logits = activation
        if features not in (None, HEAD):
            logits = model.apply({"params": params}, activation, after=features)
        logits = logits / temperature
        best, indices = jax.lax.top_k(logits, num_kept)
        chosen = jnp.take_along_axis(jax.nn.softmax(logits), indices, axis=-1)
        label = jnp.maximum(labels, 0)[:, None]
        losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), label, axis=-1)[:, 0]
        losses = jnp.where(labels == tables.UNKNOWN, jnp.nan, losses)
        return Scores(indices, best, chosen, losses, activation if features else None)

    return step
