"""Perturbation methods: what the score does when parts of the image are hidden.

They need no gradient. Each sums masks, weighted by a score, over many masked copies:
an attribution is in logits, and the same for every channel.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from jaxart.saliency.methods.batching import sum_samples
from jaxart.saliency.methods.inputs import takes_arrays
from jaxart.saliency.methods.scores import LogitsFn, Targets, per_image, target_logits


@takes_arrays
def occlusion(
    logits_fn: LogitsFn,
    images: Float[Array, "b h w c"],
    targets: Targets,
    *,
    window: int = 32,
    stride: int = 16,
    baseline: float | Float[Array, "..."] = 0.0,
    normalise: bool = False,
    batch_size: int = 8,
) -> Float[Array, "b h w c"]:
    """How much the score drops when a square hides a part of the image.

    Zeiler and Fergus 2014, arXiv 1311.2901.

    A square slides over the image; a pixel gets the sum of the score's drops under
    all squares that cover it. It is a sum, not a mean: where `stride` is below
    `window`, fewer squares cover the pixels near the border, and more of them where
    the last square had to be drawn in. `normalise` makes it the mean, as Captum's is.

    Settings:
      window: side of the square, in pixels, at most the image's.
      stride: pixels from one position to the next, at most `window`. One last
        position is flush with the border where the stride does not reach it.
      baseline: what the square shows; broadcast to the images.
      normalise: whether a pixel gets the mean over the squares that cover it.
    """
    shape = images.shape
    if not 1 <= window <= min(shape[1:3]):
        raise ValueError(f"window={window}: from 1 to the image's {min(shape[1:3])}")
    if not 1 <= stride <= window:
        raise ValueError(f"stride={stride}: from 1 to window={window}")
    rows = _windows(shape[1], window, stride)
    columns = _windows(shape[2], window, stride)
    targets = per_image(targets, len(images))
    baseline = jnp.broadcast_to(baseline, shape)

    def score(x, i):
        return target_logits(logits_fn(x), targets[i])

    scores = sum_samples(lambda i, _: score(images[i], i), len(images), 1, batch_size)

    def evaluate(i, position):
        row, column = jnp.divmod(position, len(columns))
        square = (rows[row, :, None] & columns[column, None])[..., None]
        drop = scores[i] - score(jnp.where(square, baseline[i], images[i]), i)
        return drop[:, None, None, None] * square

    drops = sum_samples(evaluate, len(images), len(rows) * len(columns), batch_size)
    if normalise:
        drops /= jnp.outer(rows.sum(axis=0), columns.sum(axis=0))[..., None]
    return jnp.broadcast_to(drops, shape)


@takes_arrays
def rise(
    logits_fn: LogitsFn,
    images: Float[Array, "b h w c"],
    targets: Targets,
    *,
    key: PRNGKeyArray,
    num_masks: int = 1000,
    grid: int = 7,
    probability: float = 0.5,
    batch_size: int = 8,
) -> Float[Array, "b h w c"]:
    """The mean of random masks, weighted by what the network says of the rest.

    Petsiuk et al. 2018, "RISE", arXiv 1806.07421.

    Random smooth masks hide parts of the image. The map is the mean of the masks, each
    weighted by its image's score, over `probability`. A mask is a coarse grid of zeros
    and ones, enlarged bilinearly and shifted at random. What is hidden is 0, the mean
    colour.

    Unlike the paper's, the score is the logit, and counts from its mean over all masks.
    That takes a constant from the map, so that 0 is where hiding changes nothing, and
    with it the noise that the masks' own mean leaves: a logit far from 0 would drown
    the map in it.

    Settings:
      num_masks: masks, which are the same for every image.
      grid: cells along each side of the coarse grid.
      probability: of a cell to be shown, above 0.
    """
    for name, value in (("num_masks", num_masks), ("grid", grid)):
        if value < 1:
            raise ValueError(f"{name}={value}: at least 1")
    if not 0 < probability <= 1:
        raise ValueError(f"probability={probability}: above 0, at most 1")
    targets = per_image(targets, len(images))

    def draw(number):
        mask_key = jax.random.fold_in(key, number)
        # One draw for all of a mask: compiling each costs a second.
        uniform = jax.random.uniform(mask_key, (2 + grid * grid,))
        cells = (uniform[2:].reshape(grid, grid) < probability).astype(images.dtype)
        rows = _enlarge(uniform[0], images.shape[1], grid)
        columns = _enlarge(uniform[1], images.shape[2], grid)
        return jnp.einsum("hi,ij,wj->hw", rows, cells, columns, precision="highest")

    def evaluate(i, number):
        masks = jax.vmap(draw)(number)[..., None]
        scores = target_logits(logits_fn(images[i] * masks), targets[i])
        scores = scores[:, None, None, None]
        return scores * masks, scores, masks

    sums = sum_samples(evaluate, len(images), num_masks, batch_size)
    weighted, score, mask = (total / num_masks for total in sums)
    return jnp.broadcast_to((weighted - score * mask) / probability, images.shape)


def _windows(size: int, window: int, stride: int) -> Bool[Array, "positions size"]:
    """The pixels that a window covers along one side, a row a position."""
    starts = np.append(np.arange(0, size - window, stride), size - window)
    offsets = np.arange(size) - starts[:, None]
    return jnp.asarray((offsets >= 0) & (offsets < window))


def _enlarge(
    shift: Float[Array, ""], size: int, grid: int
) -> Float[Array, "size grid"]:
    """Bilinear weights of the cells for each pixel along one side.

    `grid` cells become (grid + 1) ceil(size / grid) pixels, of which `size` are taken,
    from one of the first ceil(size / grid), as `shift` in 0..1 says.
    """
    cell = -(-size // grid)
    pixels = jnp.floor(shift * cell) + jnp.arange(size)
    centres = (pixels + 0.5) * grid / ((grid + 1) * cell) - 0.5
    centres = jnp.clip(centres, 0, grid - 1)[:, None]
    return jnp.maximum(0, 1 - jnp.abs(centres - jnp.arange(grid)))
