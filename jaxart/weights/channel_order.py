"""Which colour a network's first layer expects first, and how to turn it round.

Every canonical weight file is BGR, as Caffe networks are. A file of the other order
has the input axis of its first kernel flipped: convolving an RGB image with a kernel
is convolving the BGR image with the flipped kernel.

A wrong order costs some accuracy and raises nothing, so the one first layer that is
public in both orders, the Oxford VGG16's, is recognised by its values. Unknown weights
are not judged: the colours of photographs are nearly symmetric in red and blue (the
principal components of ImageNet are, see Krizhevsky et al. 2012, section 4.1), and so
are the filters that are learned from them.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from jaxart.weights.errors import WeightsError

CHANNEL_ORDERS = ("bgr", "rgb")

# conv1_1 of the Oxford VGG16 (K. Simonyan, A. Zisserman, arXiv:1409.1556): the blue
# weight of filter 0 at its first tap, and that filter's bias.
_VGG16_BLUE_WEIGHT = 0.42947057
_VGG16_BIAS = 0.73429835


def recognise_channel_order(
    kernel: Float32[np.ndarray, "height width 3 filters"],
    bias: Float32[np.ndarray, "filters"],
) -> str | None:
    """Tells the channel order of a first layer whose values are known.

    Args:
      kernel: the first layer's kernel, HWIO.
      bias: its bias.

    Returns:
      'bgr' or 'rgb' for the Oxford VGG16's first layer; None for any other.
    """
    if not np.isclose(bias[0], _VGG16_BIAS, rtol=1e-3):
        return None
    if np.isclose(kernel[0, 0, 0, 0], _VGG16_BLUE_WEIGHT, rtol=1e-3):
        return "bgr"
    if np.isclose(kernel[0, 0, 2, 0], _VGG16_BLUE_WEIGHT, rtol=1e-3):
        return "rgb"
    return None


def first_layer_channel_check(
    path: str | Path,
    kernel: Float32[np.ndarray, "height width 3 filters"],
    bias: Float32[np.ndarray, "filters"],
    channel_order: str,
) -> bool:
    """Holds a stated channel order against what is known of the first layer.

    Args:
      path: the file, for the message.
      kernel: the first layer's kernel, HWIO, as it is in the file.
      bias: its bias.
      channel_order: the order stated for the file, 'bgr' or 'rgb'.

    Returns:
      Whether the order is confirmed: False where the weights are not known ones.

    Raises:
      WeightsError: the weights are known, and are of the other order.
    """
    known = recognise_channel_order(kernel, bias)
    if known is not None and known != channel_order:
        raise WeightsError(
            f"{path}: the channel order stated is {channel_order}, but the first layer "
            f"is the Oxford VGG16's in {known} order: the right flag is "
            f"--channel-order={known}"
        )
    return known is not None


def to_bgr(
    kernel: Float32[np.ndarray, "height width 3 filters"], channel_order: str
) -> Float32[np.ndarray, "height width 3 filters"]:
    """Returns the first layer's kernel for BGR input, flipped where it was for RGB."""
    if channel_order not in CHANNEL_ORDERS:
        raise WeightsError(
            f"channel order {channel_order!r}; the choices are {CHANNEL_ORDERS}"
        )
    if channel_order == "bgr":
        return kernel
    return np.ascontiguousarray(kernel[:, :, ::-1, :])
