"""Convolutions with fewer multiplications: F(2x2, 3x3), for CPUs.

A tile of 2 x 2 outputs takes 16 multiplications for each pair of channels instead of
36. Sums and differences come before and after: where an image has many places and many
channels, that is worth it.

References:
  Winograd 1980, Arithmetic complexity of computations.
  Lavin and Gray 2016, Fast algorithms for convolutional neural networks, section 4.1.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

# G, B^T and A^T of Lavin and Gray: what is made of 3 weights, of the 4 inputs that a
# tile's side needs, and of their 4 products.
OF_WEIGHTS = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
OF_INPUTS = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
OF_PRODUCTS = ((1, 1, 1, 0), (0, 1, -1, -1))

# Where it was measured to be faster; elsewhere it is slower.
MIN_SIDE = 28
MIN_CHANNELS = 256
MIN_IMAGES = 4  # which share the kernel's transform
TOGETHER = 2  # images whose tiles stay in the processor's cache


def suits(x: Array, kernel: Array, stride: int, pad: int) -> bool:
    """Whether `convolve` computes this convolution, and faster than XLA's own."""
    count, *sides, _ = x.shape
    return (
        x.dtype == kernel.dtype == jnp.float32
        and kernel.shape[:2] == (3, 3)
        and (stride, pad) == (1, 1)
        and min(kernel.shape[2:]) >= MIN_CHANNELS
        and all(side >= MIN_SIDE and side % 2 == 0 for side in sides)
        and isinstance(count, int)  # an exported program takes any count
        and count >= MIN_IMAGES
        and count % TOGETHER == 0
    )


def convolve(
    x: Float32[Array, "b h w c"], kernel: Float32[Array, "3 3 c c2"]
) -> Float32[Array, "b h w c2"]:
    """Convolves images that `suits` accepts with a kernel, zero padded by 1."""
    g = np.array(OF_WEIGHTS, np.float32)
    weights = jnp.asarray(np.kron(g, g)) @ kernel.reshape(9, -1)
    weights = weights.reshape(4, 4, *kernel.shape[2:])
    together = x.reshape(-1, TOGETHER, *x.shape[1:])
    y = jax.lax.map(lambda images: _convolve(images, weights), together)
    return y.reshape(*x.shape[:-1], -1)


def _convolve(images: Array, weights: Array) -> Array:
    count, height, width, channels = images.shape
    images = jnp.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)])
    # Each place of a tile in all tiles at once.
    inputs = [
        [images[:, i : i + height : 2, j : j + width : 2] for j in range(4)]
        for i in range(4)
    ]
    inputs = _transform(OF_INPUTS, inputs)
    products = [
        [inputs[i][j].reshape(-1, channels) @ weights[i, j] for j in range(4)]
        for i in range(4)
    ]
    shape = (count, height // 2, width // 2, -1)
    outputs = [
        jnp.stack([place.reshape(shape) for place in row], axis=3)
        for row in _transform(OF_PRODUCTS, products)
    ]  # each [b, h/2, w/2, 2, c2]
    return jnp.stack(outputs, axis=2).reshape(count, height, width, -1)


def _transform(
    matrix: Sequence[Sequence[int]], places: list[list[Array]]
) -> list[list[Array]]:
    """M P M^T: a matrix of numbers, and the places of a tile."""
    columns = list(zip(*places, strict=True))
    rows = [[_combine(factors, column) for column in columns] for factors in matrix]
    return [[_combine(factors, row) for factors in matrix] for row in rows]


def _combine(factors: Sequence[int], arrays: Sequence[Array]) -> Array:
    """The sum of arrays times factors of 1, 0 and -1."""
    signed = {1: lambda a: a, -1: jnp.negative}
    terms = (signed[f](a) for f, a in zip(factors, arrays, strict=True) if f)
    return functools.reduce(jnp.add, terms)
