"""Convolutions as these networks have them, and their gradient, fast on CPU, too."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxart.models import winograd


def _convolve(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k k c c2"], stride: int, pad: int
) -> Float[Array, "b h2 w2 c2"]:
    """Convolves images with a square kernel, zero padded by `pad` on each side.

    On CPU some convolutions are Winograd's. The gradient with respect to `x` at stride
    1 is written as a convolution with the flipped kernel, laid out for it. XLA does
    that by itself, except inside a loop: on CPU, where methods that sample spend all
    their time, it is 4 times faster. Forward-mode derivatives are not defined.
    """
    plain = functools.partial(_plain_convolve, stride=stride, pad=pad)
    if winograd.suits(x, kernel, stride, pad):
        return jax.lax.platform_dependent(
            x, kernel, cpu=winograd.convolve, default=plain
        )
    return plain(x, kernel)


def _plain_convolve(x, kernel, *, stride, pad):
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=[(pad, pad)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _convolve_forward(x, kernel, stride, pad):
    return convolve(x, kernel, stride, pad), (x, kernel)


def _convolve_backward(stride, pad, inputs, gradient):
    x, kernel = inputs
    if stride == 1:
        flipped = jnp.flip(kernel, axis=(0, 1)).swapaxes(2, 3)
        # Without the barriers XLA takes flip and transposition back out.
        flipped = jax.lax.optimization_barrier(flipped)
        x_gradient = convolve(gradient, flipped, 1, kernel.shape[0] - 1 - pad)
    else:
        plain = functools.partial(_plain_convolve, stride=stride, pad=pad)
        x_gradient, _ = jax.vjp(plain, x, kernel)[1](gradient)
    # Over the images, instead of over the channels.
    turned = jax.lax.optimization_barrier(
        (x.transpose(3, 1, 2, 0), gradient.transpose(1, 2, 0, 3))
    )
    kernel_gradient = jax.lax.conv_general_dilated(
        *turned,
        window_strides=(1, 1),
        padding=[(pad, pad)] * 2,
        rhs_dilation=(stride, stride),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )[:, : kernel.shape[0], : kernel.shape[1]]
    return x_gradient, kernel_gradient.transpose(1, 2, 0, 3)


convolve = jax.custom_vjp(_convolve, nondiff_argnums=(2, 3))
convolve.defvjp(_convolve_forward, _convolve_backward)
