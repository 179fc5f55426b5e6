"""torchvision's VGG16: its names, and how they differ from other networks'.

The names are torchvision's (`features.0.weight` ... `classifier.6.bias`) or timm's
(`pre_logits.fc1.weight`, `head.fc.weight`: the same network, with convolutions for
fully connected layers). The networks take RGB in 0..1, less a mean and divided by a
deviation; `channel_order` makes them take Caffe's input.

Sources: https://docs.pytorch.org/vision/stable/models/vgg.html and
torchvision/models/vgg.py; https://huggingface.co/timm/vgg16.tv_in1k.
"""

import re
from pathlib import Path

import numpy as np

from jaxart.weights.errors import WeightsError, refuse_bad_file
from jaxart.weights.layout import TORCHVISION_ALEXNET, Params, hwio, in_vgg16_order
from jaxart.weights.layout import VGG16_CONVOLUTIONS as CONVOLUTIONS

# Where each network's convolutions are in its `features`, ReLUs and pools counted.
_FEATURES = {
    "vgg11": (0, 3, 6, 8, 11, 13, 16, 18),
    "vgg13": (0, 2, 5, 7, 10, 12, 15, 17, 20, 22),
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    "vgg19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
}
_LAYERS = {
    f"features.{index}": layer
    for index, layer in zip(_FEATURES["vgg16"], CONVOLUTIONS, strict=True)
} | {
    "classifier.0": "fc6",
    "classifier.3": "fc7",
    "classifier.6": "fc8",
    "pre_logits.fc1": "fc6",
    "pre_logits.fc2": "fc7",
    "head.fc": "fc8",
}
_POOL5_SIDE = 7  # torchvision pools the last features to 7 x 7.


def to_params(path: str | Path, arrays: dict[str, np.ndarray]) -> Params:
    """Turns arrays by torchvision's or timm's names into parameters.

    Returns:
      `{'conv1_1': {'kernel', 'bias'}, ...}` in network order, float32, for
      torchvision's input still: RGB in 0..1, less its mean, by its deviation. Without
      fully connected layers where there are none.

    Raises:
      WeightsError: another network; the message says which, where it is a known one.
    """
    with refuse_bad_file(path):
        _check_network(arrays)
        params: Params = {}
        for name, array in arrays.items():
            module, _, parameter = name.rpartition(".")
            layer = _LAYERS[module]
            key = "kernel" if parameter == "weight" else "bias"
            if key in params.setdefault(layer, {}):
                raise WeightsError(f"has {layer} under two names")
            params[layer][key] = _to_our_layout(name, layer, array)
        if "fc6" not in params and not params.keys() <= set(CONVOLUTIONS):
            raise WeightsError("has fc7 or fc8 but lacks fc6")
        params = in_vgg16_order(params)
        wanted = _POOL5_SIDE**2 * len(params["conv5_3"]["bias"])
        if "fc6" in params and len(params["fc6"]["kernel"]) != wanted:
            inputs = len(params["fc6"]["kernel"])
            raise WeightsError(f"fc6 has {inputs} inputs, not {wanted}")
        return params


def _check_network(arrays: dict[str, np.ndarray]) -> None:
    """Requires the names of torchvision's VGG16; names the other networks it knows."""
    wanted = "the network read is vgg16, without batch norm"
    first = arrays.get("features.0.weight")
    if first is not None and first.shape[2:] == (11, 11):
        raise WeightsError(f"this is {TORCHVISION_ALEXNET}; {wanted}")
    if any(name.endswith((".running_mean", ".running_var")) for name in arrays):
        raise WeightsError(
            "a network with batch norm (vgg16_bn?), which the VGG16 here does "
            f"not have; {wanted}"
        )
    features = {name for name in arrays if re.fullmatch(r"features\..*\.weight", name)}
    for network, indices in _FEATURES.items():
        names = {f"features.{index}.weight" for index in indices}
        if network != "vgg16" and features == names:
            raise WeightsError(f"this is torchvision's {network}; {wanted}")
    for name, array in arrays.items():
        module, _, parameter = name.rpartition(".")
        if module not in _LAYERS or parameter not in ("weight", "bias"):
            raise WeightsError(
                f"holds {name[:80]!r}, which torchvision's vgg16 does not have"
            )
        if array.dtype.kind != "f":
            raise WeightsError(f"{name} is an array of {array.dtype}")


def _to_our_layout(name: str, layer: str, array: np.ndarray) -> np.ndarray:
    """Copies what is (out, in, height, width) or (out, in), with the axes as ours."""
    if name.endswith(".bias"):
        return np.array(array, np.float32)
    if layer in CONVOLUTIONS and array.ndim == 4:
        return hwio(array)
    side = _POOL5_SIDE if layer == "fc6" else 1
    if array.ndim == 2 and array.shape[1] % side**2 == 0:
        array = array.reshape(len(array), -1, side, side)
    if layer in CONVOLUTIONS or array.ndim != 4 or array.shape[2:] != (side, side):
        raise WeightsError(f"{name} has the shape {array.shape}")
    return hwio(array).reshape(-1, len(array))
