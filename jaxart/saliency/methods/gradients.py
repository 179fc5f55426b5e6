"""Attribution by the gradient of the target's logit; `methods` has what all share.

References:
  gradient: Simonyan et al. 2013, "Deep inside convolutional networks", eq. 4.
  gradient_x_input: Shrikumar et al. 2016, "Not just a black box".
  smoothgrad, smoothgrad_squared: Smilkov et al. 2017, "SmoothGrad: removing noise by
    adding noise"; squared: Hooker et al. 2019, "A benchmark for interpretability
    methods in deep neural networks".
  vargrad: Adebayo et al. 2018, "Local explanation methods for deep neural networks
    lack sensitivity to parameter values".
  deconvnet: Zeiler and Fergus 2014, "Visualizing and understanding convolutional
    networks".
  guided_backprop: Springenberg et al. 2014, "Striving for simplicity", section 3.4.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxart.saliency.choices import CHANNEL_RULES
from jaxart.saliency.methods.batching import sum_samples
from jaxart.saliency.methods.inputs import takes_arrays
from jaxart.saliency.methods.scores import LogitsFn, Targets, per_image, score_gradient

Images = Float[Array, "b h w c"]


@takes_arrays
def gradient(logits_fn: LogitsFn, images: Images, targets: Targets) -> Images:
    """The gradient of the target's logit with respect to the image."""
    return score_gradient(logits_fn, images, targets)


@takes_arrays
def gradient_x_input(logits_fn: LogitsFn, images: Images, targets: Targets) -> Images:
    """`gradient` times the image, whose zero is the mean that was subtracted."""
    return images * gradient(logits_fn, images, targets)


@takes_arrays
def smoothgrad(
    logits_fn: LogitsFn,
    images: Images,
    targets: Targets,
    *,
    key: PRNGKeyArray,
    num_samples: int = 25,
    noise_level: float = 0.15,
    batch_size: int = 8,
) -> Images:
    """The mean gradient over copies of the image with Gaussian noise.

    Every image gets the same noise, at its own level, so that its map does not
    depend on the batch that it came in.

    Settings:
      num_samples: noisy copies of each image.
      noise_level: standard deviation, as a fraction of the image's range (maximum
        minus minimum).
    """
    return _mean_noisy(
        lambda gradients, _: gradients,
        *(logits_fn, images, targets, key, num_samples, noise_level, batch_size),
    )


@takes_arrays
def smoothgrad_squared(
    logits_fn: LogitsFn,
    images: Images,
    targets: Targets,
    *,
    key: PRNGKeyArray,
    num_samples: int = 25,
    noise_level: float = 0.15,
    batch_size: int = 8,
) -> Images:
    """The mean of the squared gradients over noisy copies; see `smoothgrad`."""
    return _mean_noisy(
        lambda gradients, _: gradients**2,
        *(logits_fn, images, targets, key, num_samples, noise_level, batch_size),
    )


@takes_arrays
def vargrad(
    logits_fn: LogitsFn,
    images: Images,
    targets: Targets,
    *,
    key: PRNGKeyArray,
    num_samples: int = 25,
    noise_level: float = 0.15,
    batch_size: int = 8,
) -> Images:
    """The variance of the gradients over noisy copies; see `smoothgrad`."""
    # Moments about one of the gradients: about zero, float32 would cancel.
    indices = jnp.arange(len(images))
    noisy = _add_noise(images, indices, jnp.zeros_like(indices), key, noise_level)
    centre = gradient(logits_fn, noisy, targets)

    def moments(gradients, indices):
        deviation = gradients - centre[indices]
        return deviation, deviation**2

    first, second = _mean_noisy(
        moments,
        *(logits_fn, images, targets, key, num_samples, noise_level, batch_size),
    )
    return jnp.maximum(second - first**2, 0)


@takes_arrays
def guided_backprop(
    logits_fn: Callable[..., Array], images: Images, targets: Targets
) -> Images:
    """`gradient`, where a ReLU passes back only what is positive on both ways.

    `logits_fn` takes `relu=`, too: what is to be every rectifier of the network.
    """
    guided = functools.partial(logits_fn, relu=guided_relu)
    return score_gradient(guided, images, targets)


@takes_arrays
def deconvnet(
    logits_fn: Callable[..., Array], images: Images, targets: Targets
) -> Images:
    """`gradient`, where a ReLU passes back what is positive on the way back.

    `logits_fn` as in `guided_backprop`.
    """
    deconvolved = functools.partial(logits_fn, relu=deconvnet_relu)
    return score_gradient(deconvolved, images, targets)


def channel_map(
    attribution: Float[Array, "b h w c"], rule: str
) -> Float[Array, "b h w"]:
    """One number a pixel.

    `rule` is 'max_abs', the largest magnitude (Simonyan et al. 2013); 'sum_abs', the
    sum of magnitudes; 'norm', Euclidean; 'sum' or 'mean', signed.
    """
    if rule == "max_abs":
        return jnp.abs(attribution).max(axis=-1)
    if rule == "sum_abs":
        return jnp.abs(attribution).sum(axis=-1)
    if rule == "norm":
        return jnp.sqrt((attribution**2).sum(axis=-1))
    if rule == "sum":
        return attribution.sum(axis=-1)
    if rule == "mean":
        return attribution.mean(axis=-1)
    raise ValueError(f"rule={rule!r}: one of {', '.join(CHANNEL_RULES)}")


@jax.custom_vjp
def guided_relu(x: Array) -> Array:
    """ReLU; what comes back passes where it and the activation are positive."""
    return jax.nn.relu(x)


guided_relu.defvjp(
    lambda x: (jax.nn.relu(x), x), lambda x, g: (jax.nn.relu(g) * (x > 0),)
)


@jax.custom_vjp
def deconvnet_relu(x: Array) -> Array:
    """ReLU; what comes back goes through a ReLU too."""
    return jax.nn.relu(x)


deconvnet_relu.defvjp(lambda x: (jax.nn.relu(x), None), lambda _, g: (jax.nn.relu(g),))


def _mean_noisy(
    transform: Callable[[Array, Array], Any],
    logits_fn: LogitsFn,
    images: Images,
    targets: Targets,
    key: PRNGKeyArray,
    num_samples: int,
    noise_level: float,
    batch_size: int,
) -> Any:
    """The mean of transform(gradients at noisy images, image indices)."""
    if not noise_level >= 0:
        raise ValueError(f"noise_level={noise_level}: not below 0")
    targets = per_image(targets, len(images))

    def evaluate(indices, samples):
        noisy = _add_noise(images, indices, samples, key, noise_level)
        return transform(score_gradient(logits_fn, noisy, targets[indices]), indices)

    total = sum_samples(evaluate, len(images), num_samples, batch_size)
    return jax.tree.map(lambda x: x / num_samples, total)


def _add_noise(
    images: Images,
    indices: Int[Array, " n"],
    samples: Int[Array, " n"],
    key: PRNGKeyArray,
    noise_level: float,
) -> Float[Array, "n h w c"]:
    """Images at `indices`, each with the noise of its sample's number."""

    def draw(sample):
        return jax.random.normal(jax.random.fold_in(key, sample), images.shape[1:])

    extent = jnp.ptp(images, axis=(1, 2, 3), keepdims=True)
    return images[indices] + noise_level * extent[indices] * jax.vmap(draw)(samples)
