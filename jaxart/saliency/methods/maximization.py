"""Activation maximization: the image that a class is, to the network.

References:
  Simonyan et al. 2013, "Deep inside convolutional networks", eq. 1.
  Jitter: Mordvintsev et al. 2015, "Inceptionism". Blur: Yosinski et al. 2015,
    "Understanding neural networks through deep visualization".
"""

from collections.abc import Callable
from typing import SupportsIndex

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxart.saliency.methods.blur import gaussian_blur
from jaxart.saliency.methods.inputs import of_classes
from jaxart.saliency.methods.scores import LogitsFn, target_logits

# Standard deviation, in pixel levels, of what a climb starts from where the zero image
# has no gradient: it does not show.
NOISE_LEVEL = 1.0


def class_model(
    logits_fn: LogitsFn,
    target: SupportsIndex,
    *,
    shape: tuple[int, int, int],
    l2: float = 1e-8,
    steps: int = 300,
    learning_rate: float = 2.0,
    key: PRNGKeyArray,
    jitter: int = 8,
    blur: float = 0.5,
    blur_every: int = 4,
    on_step: Callable[[Array], None] | None = None,
) -> Float[Array, "h w c"]:
    """Climbs S_c(I) - l2 |I|^2 from a zero image of `shape` [H, W, C], with Adam.

    From faint noise where a zero image has no gradient, as in a network without biases.
    `learning_rate` is about how far a pixel goes in a step, in pixel levels. The image
    is rolled by up to `jitter` pixels before each step, and back after it, and blurred
    by `blur` pixels in every `blur_every`-th. That keeps it legible: with `jitter=0,
    blur=0.0` it is the paper's objective alone. `on_step` is called with the number of
    each step that is done.
    """
    for name, value in {"l2": l2, "jitter": jitter, "blur": blur}.items():
        if not value >= 0:
            raise ValueError(f"{name}={value}: not below 0")
    for name, value in {"steps": steps, "blur_every": blur_every}.items():
        if value < 1:
            raise ValueError(f"{name}={value}: at least 1")
    logits_fn = of_classes(logits_fn, target)
    tx = optax.adam(learning_rate)

    def objective(image):
        score = target_logits(logits_fn(image[None]), jnp.asarray(target))[0]
        return score - l2 * (image**2).sum()

    def climb(step, carry):
        image, state = carry
        step_key = jax.random.fold_in(key, step)
        shift = jax.random.randint(step_key, (2,), -jitter, jitter + 1)
        gradient = jax.grad(objective)(jnp.roll(image, shift, axis=(0, 1)))
        gradient = jnp.roll(gradient, -shift, axis=(0, 1))
        updates, state = tx.update(-gradient, state)
        is_stuck = ~(image.any() | gradient.any())
        image = jnp.where(is_stuck, noise, image + updates)
        if blur:
            image = jax.lax.cond(
                step % blur_every == blur_every - 1,
                *(lambda x: gaussian_blur(x, blur, blur), lambda x: x, image),
            )
        if on_step is not None:
            jax.debug.callback(on_step, step)
        return image, state

    noise = NOISE_LEVEL * jax.random.normal(key, shape)
    image = jnp.zeros(shape)
    image, _ = jax.lax.fori_loop(0, steps, climb, (image, tx.init(image)))
    return image
