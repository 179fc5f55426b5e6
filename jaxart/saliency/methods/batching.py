"""Many samples of each image through the network, in batches of a fixed size."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int


def sum_samples(
    evaluate: Callable[[Int[Array, " n"], Int[Array, " n"]], Any],
    num_images: int,
    num_samples: int,
    batch_size: int,
) -> Any:
    """Sums `evaluate` over the samples of each image.

    All pairs of an image and a sample run in batches of `batch_size`, one after the
    other in one compiled loop: memory does not depend on `num_samples`.

    `evaluate` takes image indices [n] and sample indices [n], and gives arrays
    [n, ...], a row a pair; of these come arrays [num_images, ...], a row an image.
    """
    counts = {"num_images": num_images, "num_samples": num_samples}
    for name, value in (counts | {"batch_size": batch_size}).items():
        if value < 1:
            raise ValueError(f"{name}={value}: at least 1")
    num_pairs = num_images * num_samples
    batch_size = min(batch_size, num_pairs)

    def add_batch(i, sums):
        pairs = i * batch_size + jnp.arange(batch_size)
        samples, images = jnp.divmod(pairs, num_images)
        values = evaluate(images, samples)
        # Pairs that fill up the last batch belong to no image.
        rows = jnp.where(pairs < num_pairs, images, num_images)
        return jax.tree.map(
            lambda total, value: total.at[rows].add(value, mode="drop"), sums, values
        )

    index = jax.ShapeDtypeStruct((batch_size,), jnp.int32)
    shapes = jax.eval_shape(evaluate, index, index)
    zeros = jax.tree.map(
        lambda x: jnp.zeros((num_images, *x.shape[1:]), x.dtype), shapes
    )
    return jax.lax.fori_loop(0, -(-num_pairs // batch_size), add_batch, zeros)
