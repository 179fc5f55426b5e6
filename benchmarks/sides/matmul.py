"""The machine's own rate: a product of two float32 matrices."""

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.timing import repeat


def run(size: int, repeats: int) -> dict[str, Any]:
    """Times a product of two square matrices, from their second one on."""
    keys = jax.random.split(jax.random.key(0))
    a, b = (jax.random.normal(key, (size, size)) for key in keys)
    product = jax.jit(jnp.matmul)
    product(a, b).block_until_ready()
    seconds, _ = repeat(lambda: product(a, b).block_until_ready(), repeats)
    return {"seconds": {"product": seconds}}
