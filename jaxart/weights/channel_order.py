"""What a network's first layer expects of an image, and how to make it Caffe's.

Files come with three conventions. `bgr` is Caffe's: 0..255, blue first, less a mean.
`rgb` is the same with red first. `torchvision` is red first in 0..1, less another mean
and divided by a deviation. They differ linearly, so the difference is folded into the
first layer, and every canonical weight file is `bgr`: one input serves all of them.

A wrong order costs some accuracy and raises nothing, so the one first layer that is
public in both orders, the Oxford VGG16's, is recognised by its values. Unknown weights
are not judged: the colours of photographs are nearly symmetric in red and blue (the
principal components of ImageNet are, see Krizhevsky et al. 2012, section 4.1), and so
are the filters that are learned from them.
"""

import numpy as np
from jaxtyping import Float32

from jaxart.weights.choices import CHANNEL_ORDERS
from jaxart.weights.errors import WeightsError
from jaxart.weights.layout import Params

# Of the images that torchvision's networks are for, RGB in 0..1:
# https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.vgg16.html
_TORCHVISION_MEAN = (0.485, 0.456, 0.406)
_TORCHVISION_STD = (0.229, 0.224, 0.225)

# conv1_1 of the Oxford VGG16 (K. Simonyan, A. Zisserman, arXiv:1409.1556): the blue
# weight of filter 0 at its first tap, and that filter's bias.
_VGG16_BLUE_WEIGHT = 0.42947057
_VGG16_BIAS = 0.73429835


def recognise_channel_order(params: Params) -> str | None:
    """Tells the channel order of a network whose first layer is a known one.

    Returns:
      'bgr' or 'rgb' for the Oxford VGG16's first layer; None for any other.
    """
    if "conv1_1" not in params:
        return None
    kernel, bias = params["conv1_1"]["kernel"], params["conv1_1"]["bias"]
    if (kernel.shape, bias.shape) != ((3, 3, 3, 64), (64,)):
        return None
    if not np.isclose(bias[0], _VGG16_BIAS, rtol=1e-3):
        return None
    for order, blue in (("bgr", 0), ("rgb", 2)):
        if np.isclose(kernel[0, 0, blue, 0], _VGG16_BLUE_WEIGHT, rtol=1e-3):
            return order
    return None


def for_caffe_input(
    kernel: Float32[np.ndarray, "height width 3 filters"],
    bias: Float32[np.ndarray, "filters"],
    channel_order: str,
    mean: tuple[float, float, float],
) -> tuple[
    Float32[np.ndarray, "height width 3 filters"], Float32[np.ndarray, "filters"]
]:
    """Makes a first layer of any convention into one for `bgr` input.

    With p a pixel in 0..255, torchvision's input is (p / 255 - m) / std and ours is
    x = p - mean, so that the former is (x + mean - 255 m) / (255 std). The mean is of
    `bgr` input, blue first.

    Returns:
      The kernel and the bias. The outputs are the same, but for those of torchvision's
      that see the padding: there the image goes on in our mean colour instead of
      torchvision's, which differs by half a level of 255 at most.

    Raises:
      WeightsError: no such convention.
    """
    if channel_order not in CHANNEL_ORDERS:
        raise WeightsError(
            f"channel order {channel_order!r}; the choices are {CHANNEL_ORDERS}"
        )
    if channel_order == "bgr":
        return kernel, bias
    if channel_order == "torchvision":
        shift = np.array(mean)[::-1] - 255 * np.array(_TORCHVISION_MEAN)
        scaled = kernel / (255 * np.array(_TORCHVISION_STD))[:, None]
        kernel = scaled.astype(np.float32)
        bias = (bias + np.einsum("hwio,i->o", scaled, shift)).astype(np.float32)
    return np.ascontiguousarray(kernel[:, :, ::-1]), bias
