"""What is compiled of a pass: a batch's best classes, and a layer's activation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxart import storage
from jaxart.classifier import Classifier
from jaxart.devices import compiling
from jaxart.models import Network
from jaxart.models.layers import HEAD
from jaxart.predict import tables
from jaxart.storage import AnyPath


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


def require_room(
    parts: AnyPath, network: Classifier, layer: str, num_images: int
) -> None:
    """Makes sure, before a pass, that the disk takes a layer's activations.

    They are there twice in the end: in its parts, some of which may be there, and
    joined.

    Raises:
      StorageError: it does not.
    """
    if not isinstance(parts, Path):
        return
    size = network.model.preprocessing["size"]
    image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)

    def activation(params, image):
        return network.model.apply({"params": params}, image, upto=layer)

    num_values = jax.eval_shape(activation, network.params, image).size
    there = sum((parts / name).stat().st_size for name in storage.names_in(parts))
    storage.require_room(parts, 2 * 4 * num_values * num_images - there)
