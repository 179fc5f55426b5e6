"""VGG16 weights from torchvision, as `.safetensors` or as a `.pth` of `torch.save`.

The names are torchvision's (`features.0.weight` ... `classifier.6.bias`) or timm's
(`pre_logits.fc1.weight`, `head.fc.weight`: the same network, with convolutions for
fully connected layers).

torchvision's networks take RGB in 0..1, less a mean and divided by a deviation; ours
take BGR in 0..255 less Caffe's mean. The difference is linear, so it is folded into
the first layer. Only the zeros that pad the image mean another colour than before:
Caffe's mean instead of torchvision's, which differ by half a level of 255 at most.

Sources: https://docs.pytorch.org/vision/stable/models/vgg.html and
torchvision/models/vgg.py; https://huggingface.co/timm/vgg16.tv_in1k.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from safetensors import safe_open

from jaxart.models.vgg16 import VGG16
from jaxart.weights.errors import WeightsError, refuse_bad_file
from jaxart.weights.torch_zip import (
    is_legacy_torch_file,
    is_torch_zip,
    read_state_dict,
)
from jaxart.weights.vgg16_layout import CONVOLUTIONS, in_vgg16_order

# Of the images that torchvision's networks are for: RGB in 0..1.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)

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


def is_torchvision_file(path: str | Path) -> bool:
    """Tells by the content whether a file is of a kind that `read` is for.

    That is `.safetensors`, our own included, and `.pth`, legacy ones included: `read`
    says what is wrong with those.

    Raises:
      OSError: the file cannot be opened.
    """
    return _is_safetensors(path) or is_legacy_torch_file(path) or is_torch_zip(path)


def read(path: str | Path) -> dict[str, dict[str, np.ndarray]]:
    """Reads torchvision's VGG16, for BGR input as all our networks have it.

    Args:
      path: a `.safetensors` or `.pth` file, told apart by content.

    Returns:
      `{'conv1_1': {'kernel', 'bias'}, ...}` in network order, float32, with conv1_1
      folded: no channels are to be flipped, and images are prepared as for Caffe's
      VGG16 (BGR in 0..255 less its mean). Without fully connected layers where the
      file has none.

    Raises:
      WeightsError: another network, or a damaged file; nothing in it is run.
      OSError: the file cannot be opened.
    """
    arrays = _read_safetensors(path) if _is_safetensors(path) else read_state_dict(path)
    with refuse_bad_file(path):
        _check_network(path, arrays)
        params: dict[str, dict[str, np.ndarray]] = {}
        for name, array in arrays.items():
            module, _, parameter = name.rpartition(".")
            layer = _LAYERS[module]
            key = "kernel" if parameter == "weight" else "bias"
            if key in params.setdefault(layer, {}):
                raise WeightsError(f"{path}: has {layer} under two names")
            params[layer][key] = _to_our_layout(path, name, layer, array)
        if "fc6" not in params and not params.keys() <= set(CONVOLUTIONS):
            raise WeightsError(f"{path}: has fc7 or fc8 but lacks fc6")
        params = in_vgg16_order(path, params)
        wanted = _POOL5_SIDE**2 * len(params["conv5_3"]["bias"])
        if "fc6" in params and len(params["fc6"]["kernel"]) != wanted:
            inputs = len(params["fc6"]["kernel"])
            raise WeightsError(f"{path}: fc6 has {inputs} inputs, not {wanted}")
        params["conv1_1"] = dict(
            zip(("kernel", "bias"), fold_input(**params["conv1_1"]), strict=True)
        )
        return params


def fold_input(
    kernel: Float[np.ndarray, "height width 3 filters"],
    bias: Float[np.ndarray, "filters"],
) -> tuple[
    Float[np.ndarray, "height width 3 filters"],
    Float[np.ndarray, "filters"],
]:
    """Makes a first layer for torchvision's input into one for Caffe's.

    With p a pixel in 0..255, torchvision's input is (p / 255 - mean) / std and ours is
    x = p - caffe_mean, so that the former is (x + caffe_mean - 255 mean) / (255 std).

    Args:
      kernel: the kernel, HWIO, for RGB.
      bias: its bias.

    Returns:
      The kernel for BGR and the bias, float32. The outputs are the same, but for those
      that see the padding: there the image goes on in Caffe's mean colour.
    """
    shift = np.array(VGG16.preprocessing["mean"])[::-1] - 255 * np.array(_MEAN)
    scaled = kernel / (255 * np.array(_STD))[:, None]
    folded_bias = bias + np.einsum("hwio,i->o", scaled, shift)
    return (
        np.ascontiguousarray(scaled[:, :, ::-1], np.float32),
        folded_bias.astype(np.float32),
    )


def _is_safetensors(path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(9)[8:] == b"{"


def _read_safetensors(path) -> dict[str, np.ndarray]:
    with refuse_bad_file(path), safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _check_network(path, arrays: dict[str, np.ndarray]) -> None:
    """Requires the names of torchvision's VGG16; names the other networks it knows."""
    wanted = "the network read is vgg16, without batch norm"
    first = arrays.get("features.0.weight")
    if first is not None and first.shape[2:] == (11, 11):
        raise WeightsError(
            f"{path}: this is torchvision's alexnet, another network than Caffe's "
            "AlexNet: 64 filters in the first layer instead of 96, no groups, no "
            f"response norm, other sizes; {wanted}"
        )
    if any(name.endswith((".running_mean", ".running_var")) for name in arrays):
        raise WeightsError(
            f"{path}: a network with batch norm (vgg16_bn?), which the VGG16 here does "
            f"not have; {wanted}"
        )
    features = {
        name.removesuffix(".weight")
        for name in arrays
        if name.startswith("features.") and name.endswith(".weight")
    }
    for network, indices in _FEATURES.items():
        if network != "vgg16" and features == {f"features.{i}" for i in indices}:
            raise WeightsError(f"{path}: this is torchvision's {network}; {wanted}")
    for name, array in arrays.items():
        module, _, parameter = name.rpartition(".")
        if module not in _LAYERS or parameter not in ("weight", "bias"):
            raise WeightsError(
                f"{path}: holds {name[:80]!r}, which torchvision's vgg16 does not have"
            )
        if array.dtype.kind != "f":
            raise WeightsError(f"{path}: {name} is an array of {array.dtype}")


def _to_our_layout(path, name: str, layer: str, array: np.ndarray) -> np.ndarray:
    """Moves the axes from (out, in, height, width) or (out, in) to ours."""
    if name.endswith(".bias"):
        return array
    if layer in CONVOLUTIONS and array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    side = _POOL5_SIDE if layer == "fc6" else 1
    if array.ndim == 2 and array.shape[1] % side**2 == 0:
        array = array.reshape(len(array), -1, side, side)
    if layer in CONVOLUTIONS or array.ndim != 4 or array.shape[2:] != (side, side):
        raise WeightsError(f"{path}: {name} has the shape {array.shape}")
    return array.transpose(2, 3, 1, 0).reshape(-1, len(array))
