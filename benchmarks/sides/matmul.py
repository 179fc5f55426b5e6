"""The machine's own rate: a product of two float32 matrices."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.timing import rounds


def run(size: int, repeats: int) -> Iterator[dict[str, Any]]:
    """Times a product of two square matrices."""
    keys = jax.random.split(jax.random.key(0))
    a, b = (jax.random.normal(key, (size, size)) for key in keys)
    product = jax.jit(jnp.matmul)
    return rounds("product", lambda: product(a, b).block_until_ready(), repeats)
