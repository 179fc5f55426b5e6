"""torchvision's VGGs: their names, and what tells other networks from them.

The names are torchvision's (`features.0.weight` ... `classifier.6.bias`) or timm's
(`pre_logits.fc1.weight`, `head.fc.weight`: the same network, with convolutions for
fully connected layers). The networks take RGB in 0..1, less a mean and divided by a
deviation; `channel_order` makes them take Caffe's input.

Sources: https://docs.pytorch.org/vision/stable/models/vgg.html and
torchvision/models/vgg.py; https://huggingface.co/timm/vgg16.tv_in1k.
"""

from pathlib import Path

import numpy as np

from jaxart.models import Network
from jaxart.models.layers import trainable
from jaxart.weights.errors import WeightsError, refuse_bad_file
from jaxart.weights.layout import TORCHVISION_ALEXNET, Params
from jaxart.weights.readers import caffe_state_dict

_TIMM = {"pre_logits.fc1": "fc6", "pre_logits.fc2": "fc7", "head.fc": "fc8"}


def to_params(
    path: str | Path, arrays: dict[str, np.ndarray], network: Network
) -> Params:
    """Turns arrays by torchvision's or timm's names into a network's parameters.

    Returns:
      `{'conv1_1': {'kernel', 'bias'}, ...}` in network order, float32, for
      torchvision's input still: RGB in 0..1, less its mean, by its deviation. As many
      layers as there are.

    Raises:
      WeightsError: another network; the message says which, where it is a known one.
    """
    with refuse_bad_file(path):
        _refuse_other_networks(arrays)
        with_caffes_names = _rename(arrays, network)
    return caffe_state_dict.to_params(path, with_caffes_names)


def _refuse_other_networks(arrays: dict[str, np.ndarray]) -> None:
    first = arrays.get("features.0.weight")
    if first is not None and first.shape[2:] == (11, 11):
        raise WeightsError(f"this is {TORCHVISION_ALEXNET}")
    if any(name.endswith((".running_mean", ".running_var")) for name in arrays):
        raise WeightsError(
            "a network with batch norm (vgg16_bn?), which those here do not have"
        )


def _rename(arrays: dict[str, np.ndarray], network: Network) -> dict[str, np.ndarray]:
    """The arrays as `conv1_1.weight` ..., in network order."""
    names = _names(network)
    renamed = {}
    for name, array in arrays.items():
        if name not in names:
            raise WeightsError(
                f"holds {name[:80]!r}, which torchvision's {type(network).__name__} "
                "does not have"
            )
        ours = names[name]
        if ours in renamed:
            raise WeightsError(f"has {ours} under two names")
        is_dense = ours.startswith("fc") and array.ndim == 4  # timm's
        renamed[ours] = array.reshape(len(array), -1) if is_dense else array
    return {ours: renamed[ours] for ours in names.values() if ours in renamed}


def _names(network: Network) -> dict[str, str]:
    """Ours by torchvision's, `features.0.weight`, and by timm's, in network order.

    torchvision numbers all layers, ReLUs and pools too.
    """
    features = network.convolutions()
    classifier = [layer for layer in network.layers() if layer not in features]
    modules = {f"features.{i}": layer for i, layer in enumerate(features)}
    modules |= {f"classifier.{i}": layer for i, layer in enumerate(classifier)}
    layers = trainable(network.layers())
    return {
        f"{module}.{parameter}": f"{layer}.{parameter}"
        for module, layer in (modules | _TIMM).items()
        if layer in layers
        for parameter in ("weight", "bias")
    }
