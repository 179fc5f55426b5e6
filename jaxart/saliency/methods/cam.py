"""Class activation maps: where a layer's features speak for the target.

A network is given in two parts, cut after the layer whose features are looked at:
`features_fn`, images [B, H, W, C] -> features [B, h, w, c], and `head_fn`, features ->
logits [B, K]. Maps have the features' resolution, and are not below 0.

References:
  grad_cam, guided_grad_cam: Selvaraju et al. 2017, "Grad-CAM: visual explanations
    from deep networks via gradient-based localization".
  grad_cam_plus_plus: Chattopadhyay et al. 2018, "Grad-CAM++: improved visual
    explanations for deep convolutional networks".
  layer_cam: Jiang et al. 2021, "LayerCAM: exploring hierarchical class activation
    maps for localization".
"""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float

from jaxart.saliency.methods.gradients import guided_backprop
from jaxart.saliency.methods.inputs import takes_arrays
from jaxart.saliency.methods.scores import LogitsFn, Targets, score_gradient

FeaturesFn = Callable[[Array], Array]  # images [B, H, W, C] -> [B, h, w, c]
Images = Float[Array, "b H W C"]
Maps = Float[Array, "b h w"]


@takes_arrays
def grad_cam(
    features_fn: FeaturesFn, head_fn: LogitsFn, images: Images, targets: Targets
) -> Maps:
    """Features weighted by their mean gradient; what speaks for the target."""
    features, gradients = _at_layer(features_fn, head_fn, images, targets)
    weights = gradients.mean(axis=(1, 2), keepdims=True)
    return jax.nn.relu((weights * features).sum(axis=-1))


@takes_arrays
def grad_cam_plus_plus(
    features_fn: FeaturesFn, head_fn: LogitsFn, images: Images, targets: Targets
) -> Maps:
    """`grad_cam` with weights that give every occurrence of the object its due.

    The closed form of the paper's eq. 19, which holds for the exponential of the
    logit and whose constant factor is left out. Features must not be below 0, as
    after a ReLU.
    """
    features, gradients = _at_layer(features_fn, head_fn, images, targets)
    total = features.sum(axis=(1, 2), keepdims=True)
    # The paper's g^2 / (2 g^2 + total g^3) times relu(g); negative g do not count.
    positive = jax.nn.relu(gradients)
    weights = (positive / (2 + total * positive)).sum(axis=(1, 2), keepdims=True)
    return jax.nn.relu((weights * features).sum(axis=-1))


@takes_arrays
def layer_cam(
    features_fn: FeaturesFn, head_fn: LogitsFn, images: Images, targets: Targets
) -> Maps:
    """Features weighted, each at its own place, by their positive gradient."""
    features, gradients = _at_layer(features_fn, head_fn, images, targets)
    return jax.nn.relu((jax.nn.relu(gradients) * features).sum(axis=-1))


@takes_arrays
def guided_grad_cam(
    logits_fn: Callable[..., Array],
    features_fn: FeaturesFn,
    head_fn: LogitsFn,
    images: Images,
    targets: Targets,
) -> Images:
    """`guided_backprop` times `grad_cam`, enlarged to the image: sharp and located."""
    maps = enlarge(grad_cam(features_fn, head_fn, images, targets), images.shape[1:3])
    return guided_backprop(logits_fn, images, targets) * maps[..., None]


def enlarge(maps: Maps, size: tuple[int, ...]) -> Float[Array, "b H W"]:
    """Maps at an image's size [H, W], bilinear."""
    return jax.image.resize(maps, (len(maps), *size), "bilinear")


def _at_layer(features_fn, head_fn, images, targets):
    features = features_fn(images)
    return features, score_gradient(head_fn, features, targets)
