"""The score that is explained: a logit, or how far it is above another one."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

LogitsFn = Callable[[Array], Array]  # [B, ...] -> logits [B, K]
# One class for all images, or [B]; or [B, 2]: a class, and the one that it is against.
Targets = int | Int[Array, "..."]


def per_image(targets: Targets, count: int) -> Int[Array, "b ..."]:
    """Targets as an array that has a row for each of `count` images."""
    rows = jnp.asarray(targets)
    return jnp.broadcast_to(rows, (count, *rows.shape[1:]))


def target_logits(logits: Float[Array, "b k"], targets: Targets) -> Float[Array, " b"]:
    """Each image's logit of its target class, less that of the class it is against."""
    columns = per_image(targets, len(logits)).reshape(len(logits), -1)
    chosen = jnp.take_along_axis(logits, columns, axis=1)
    return chosen[:, 0] - chosen[:, 1] if columns.shape[1] == 2 else chosen[:, 0]


def score_gradient(
    logits_fn: LogitsFn, x: Float[Array, "b ..."], targets: Targets
) -> Float[Array, "b ..."]:
    """The gradient of each image's (or activation's) target logit in it."""
    # A sum's gradient holds every image's own: images do not share a logit.
    return jax.grad(lambda x: target_logits(logits_fn(x), targets).sum())(x)
