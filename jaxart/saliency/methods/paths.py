"""Path methods: the gradient, collected on the way from a baseline to the image.

Each shares out among the pixels what the score gains on the way: up to the error of
its steps, an attribution, in logits, sums to score(image) - score(baseline).
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxart.saliency.methods.batching import sum_samples
from jaxart.saliency.methods.blur import gaussian_blur
from jaxart.saliency.methods.inputs import takes_arrays
from jaxart.saliency.methods.scores import LogitsFn, Targets, per_image, score_gradient

# Where the path of blurs begins: a neighbour weighs exp(-12.5), 4e-6.
MIN_SIGMA = 0.2


@takes_arrays
def integrated_gradients(
    logits_fn: LogitsFn,
    images: Float[Array, "b h w c"],
    targets: Targets,
    *,
    baseline: float | Float[Array, "..."] = 0.0,
    num_steps: int = 50,
    batch_size: int = 8,
    quadrature: str = "gauss_legendre",
) -> Float[Array, "b h w c"]:
    """The mean gradient on the straight line from a baseline, times its length.

    Sundararajan et al. 2017, arXiv 1703.01365.

    Settings:
      baseline: where the line begins; broadcast to the images.
      num_steps: points on each line.
      quadrature: 'gauss_legendre', exact where the gradient along the line is a
        polynomial of degree 2 num_steps - 1, or 'midpoint', evenly spaced.
    """
    nodes, weights = _quadrature(quadrature, num_steps)
    targets = per_image(targets, len(images))
    difference = images - baseline

    def evaluate(i, step):
        x = images[i] - (1 - nodes[step, None, None, None]) * difference[i]
        gradient = score_gradient(logits_fn, x, targets[i])
        return weights[step, None, None, None] * gradient

    return difference * sum_samples(evaluate, len(images), num_steps, batch_size)


@takes_arrays
def blur_integrated_gradients(
    logits_fn: LogitsFn,
    images: Float[Array, "b h w c"],
    targets: Targets,
    *,
    max_sigma: float = 50.0,
    num_steps: int = 50,
    batch_size: int = 8,
) -> Float[Array, "b h w c"]:
    """The gradient on the path of blurs, from the blurred image to the image.

    Xu et al. 2020, "Attribution in scale and space", arXiv 2004.03383.

    No baseline need be chosen: the attribution sums to score(image) - score(image
    blurred by `max_sigma`).

    The steps are even in log(sigma). A blur takes away the details of its own size,
    and they come in octaves: with steps even in sigma, as in the authors' code, nearly
    all that happens falls into the first.

    Beyond its edges an image is 0, the mean colour, as there: edges fade towards it.

    Settings:
      max_sigma: standard deviation of the strongest blur, in pixels. The weakest has
        0.2, which does not show.
      num_steps: blurs of each image.
    """
    if not MIN_SIGMA < max_sigma < math.inf:
        raise ValueError(f"max_sigma={max_sigma}: above {MIN_SIGMA} and finite")
    # The kinks of rectifiers bound the error, not the order: evenly spaced is best.
    nodes, weights = _quadrature("midpoint", num_steps)
    targets = per_image(targets, len(images))

    def evaluate(i, step):
        def path(u):
            sigma = MIN_SIGMA * (max_sigma / MIN_SIGMA) ** u
            return jax.vmap(gaussian_blur, (0, 0, None))(images[i], sigma, max_sigma)

        x, change = jax.jvp(path, (nodes[step],), (jnp.ones(len(step)),))
        gradient = score_gradient(logits_fn, x, targets[i])
        # Negative: the way to the image goes from u = 1 to u = 0.
        return -weights[step, None, None, None] * change * gradient

    return sum_samples(evaluate, len(images), num_steps, batch_size)


@takes_arrays
def guided_integrated_gradients(
    logits_fn: LogitsFn,
    images: Float[Array, "b h w c"],
    targets: Targets,
    *,
    baseline: float | Float[Array, "..."] = 0.0,
    num_steps: int = 50,
    fraction: float = 0.25,
    max_dist: float = 0.02,
    batch_size: int = 8,
) -> Float[Array, "b h w c"]:
    """The gradient on a path from a baseline that avoids large gradients.

    Kapishnikov et al. 2021, "Guided integrated gradients", arXiv 2106.09788.

    The path moves the values of smallest gradient first, and so stays out of regions
    that make integrated gradients noisy. Each step goes 1 / `num_steps` of the L1
    distance, with the gradient at its start: the sum is off by O(1 / `num_steps`).

    Settings:
      baseline: where the path begins; broadcast to the images.
      num_steps: steps of the path; each takes one gradient.
      fraction: of the values that move together, 0 (one by one) to 1.
      max_dist: how far a value may be from the straight line, as a part of its own
        way: 0 (on it) to 1 (no limit).
    """
    for name, value in (("fraction", fraction), ("max_dist", max_dist)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name}={value}: from 0 to 1")
    if num_steps < 1:
        raise ValueError(f"num_steps={num_steps}: at least 1")
    targets = per_image(targets, len(images))
    difference = images - baseline
    distance = jnp.abs(difference)
    total = distance.sum(axis=(1, 2, 3), keepdims=True)
    weights = distance / jnp.where(total > 0, total, 1)
    advance = jax.vmap(_advance, (0, 0, 0, None, None, None))

    def step(n, state):
        alpha, attribution = state
        x = images - (1 - alpha) * difference
        gradient = sum_samples(
            lambda i, _: score_gradient(logits_fn, x[i], targets[i]),
            *(len(images), 1, batch_size),
        )
        line = (n + 1) / num_steps
        advanced = advance(alpha, gradient, weights, line, fraction, max_dist)
        return advanced, attribution + (advanced - alpha) * difference * gradient

    # Alpha is how much of its way each value has gone: who has none to go has arrived.
    alpha = jnp.where(distance > 0, 0.0, 1.0)
    start = (alpha, jnp.zeros_like(difference))
    return jax.lax.fori_loop(0, num_steps, step, start)[1]


def _advance(
    alpha: Float[Array, "h w c"],
    gradient: Float[Array, "h w c"],
    weights: Float[Array, "h w c"],
    line: Float[Array, ""],
    fraction: float,
    max_dist: float,
) -> Float[Array, "h w c"]:
    """Moves the mean of `alpha` to `line`, the values of small gradient first.

    The authors' inner loop, with positions as fractions of the way. Values that reach
    the limit are the first in the order, the next follow: one sort serves all rounds.
    """
    limit = jnp.minimum(line + max_dist, 1.0)
    alpha = jnp.maximum(alpha, line - max_dist)
    movable = alpha < limit
    magnitude = jnp.where(movable, jnp.abs(gradient), jnp.inf)
    order = jnp.sort(magnitude.ravel())
    quantile = int(fraction * (alpha.size - 1))

    def move(state):
        alpha, _ = state
        num_moved = jnp.sum(movable & (alpha >= limit))
        threshold = order[jnp.minimum(num_moved + quantile, alpha.size - 1)]
        chosen = (alpha < limit) & (magnitude <= threshold)
        gap = line - (weights * alpha).sum()
        room = (weights * (limit - alpha)).sum(where=chosen)
        ratio = jnp.where(gap > 0, gap / room, 0)
        # Exactly the limit where it is reached: rounding must not keep the loop going.
        moved = jnp.where(ratio < 1, alpha + ratio * (limit - alpha), limit)
        # With none left to choose, the gap is rounding.
        return jnp.where(chosen, moved, alpha), (ratio > 1) & chosen.any()

    return jax.lax.while_loop(lambda state: state[1], move, (alpha, True))[0]


def _quadrature(name: str, num_steps: int) -> Float[Array, "2 n"]:
    """Nodes in 0..1, and their weights, which sum to 1."""
    if num_steps < 1:
        raise ValueError(f"num_steps={num_steps}: at least 1")
    if name == "gauss_legendre":
        nodes, weights = np.polynomial.legendre.leggauss(num_steps)
        nodes, weights = (nodes + 1) / 2, weights / 2
    elif name == "midpoint":
        nodes = (np.arange(num_steps) + 0.5) / num_steps
        weights = np.full(num_steps, 1 / num_steps)
    else:
        raise ValueError(f"quadrature={name!r}: 'gauss_legendre' or 'midpoint'")
    return jnp.asarray([nodes, weights], jnp.float32)
