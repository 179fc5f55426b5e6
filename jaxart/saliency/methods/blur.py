"""Gaussian blur whose width may vary, and be differentiated."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def gaussian_blur(
    image: Float[Array, "h w c"], sigma: float | Float[Array, ""], max_sigma: float
) -> Float[Array, "h w c"]:
    """Blurs an image: a matrix product for the rows, and one for the columns.

    Beyond its edges an image is 0. `sigma` is the standard deviation in pixels, above
    0 and at most `max_sigma`, which bounds the reach of the kernel.
    """
    height, width, _ = image.shape
    reach = max(height, width, math.ceil(5 * max_sigma))
    bell = jnp.exp(-0.5 * (jnp.arange(-reach, reach + 1) / sigma) ** 2)
    bell /= bell.sum()
    rows, columns = (
        bell[reach + np.arange(size)[:, None] - np.arange(size)]
        for size in (height, width)
    )
    return jnp.einsum("ij,jkc,lk->ilc", rows, image, columns, precision="highest")
