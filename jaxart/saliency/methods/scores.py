"""The score that is explained: the target's logit, never its probability."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

LogitsFn = Callable[[Array], Array]  # [B, ...] -> logits [B, K]
Targets = int | Int[Array, "..."]  # one class for all images, or [B]


def target_logits(logits: Float[Array, "b k"], targets: Targets) -> Float[Array, " b"]:
    """Each image's logit of its target class.

    Raises:
      ValueError: `targets` is an int, and no class.
    """
    num_classes = logits.shape[1]
    if isinstance(targets, int) and not 0 <= targets < num_classes:
        raise ValueError(f"targets={targets}: the classes are 0 to {num_classes - 1}")
    targets = jnp.broadcast_to(jnp.asarray(targets), logits.shape[:1])
    return jnp.take_along_axis(logits, targets[:, None], axis=1)[:, 0]


def score_gradient(
    logits_fn: LogitsFn, x: Float[Array, "b ..."], targets: Targets
) -> Float[Array, "b ..."]:
    """The gradient of each image's (or activation's) target logit with respect to it.

    Nothing checks that targets in an array are classes.
    """
    # A sum's gradient holds every image's own: images do not share a logit.
    return jax.grad(lambda x: target_logits(logits_fn(x), targets).sum())(x)
