"""Caffe's AlexNet and VGG16 in PyTorch, with the parameters of our weight files."""

import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
import torch._inductor.config
from torch import nn

from jaxart.models import Network
from jaxart.models.layers import Convolution, InnerProduct, LocalResponseNorm, MaxPool
from jaxart.weights import canonical

torch.set_num_threads(os.cpu_count())
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def load(
    model: Network, weights: str, *, variant: str, fresh: tuple[str, ...] = ()
) -> nn.Sequential:
    """The network in PyTorch, every parameter frozen, in evaluation mode.

    Args:
      model: ours, which says what the layers are.
      weights: a weight file of ours.
      variant: words joined by '+'; 'channels_last' lays kernels out so.
      fresh: layers that keep random parameters.
    """
    params, _ = canonical.read(Path(weights))
    layers = OrderedDict()
    side, channels = model.preprocessing["size"], 3
    for name, layer in model.layers().items():
        if isinstance(layer, Convolution):
            k = layer.kernel_size
            settings = {"padding": layer.pad, "groups": layer.groups}
            made = nn.Conv2d(channels, layer.features, k, layer.stride, **settings)
            side = (side + 2 * layer.pad - k) // layer.stride + 1
            channels = layer.features
        elif isinstance(layer, InnerProduct):
            if side:
                layers["flatten"] = nn.Flatten()
            made = nn.Linear(side * side * channels or channels, layer.features)
            if name not in fresh:
                fill(made, params[name], (side, side, channels) if side else None)
            side, channels = 0, layer.features
        elif isinstance(layer, MaxPool):
            made = nn.MaxPool2d(layer.window, layer.stride)
            side = (side - layer.window) // layer.stride + 1
        elif isinstance(layer, LocalResponseNorm):
            made = nn.LocalResponseNorm(layer.size, layer.alpha, layer.beta, layer.k)
        elif name.startswith("drop"):
            made = nn.Dropout(layer.rate)
        else:
            made = nn.ReLU(inplace=True)
        if isinstance(made, nn.Conv2d):
            fill(made, params[name], None)
        layers[name] = made
    net = nn.Sequential(layers).eval().requires_grad_(False).to(DEVICE)
    if "channels_last" in variant.split("+"):
        net = net.to(memory_format=torch.channels_last)
    return net


def fill(
    layer: nn.Conv2d | nn.Linear,
    params: dict[str, np.ndarray],
    flattened: tuple[int, int, int] | None,
) -> None:
    """Puts in our parameters; ours flatten an image [H, W, C], PyTorch's [C, H, W]."""
    kernel = params["kernel"]
    if kernel.ndim == 4:
        kernel = kernel.transpose(3, 2, 0, 1)
    else:
        if flattened:
            kernel = kernel.reshape(*flattened, -1).transpose(2, 0, 1, 3)
        kernel = kernel.reshape(-1, kernel.shape[-1]).T
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
        layer.bias.copy_(torch.from_numpy(params["bias"]))


def compiled(net: nn.Module, variant: str) -> nn.Module:
    """The network, compiled if the variant says so."""
    if "compiled" not in variant.split("+"):
        return net
    # Where no gradient is asked for, weights are packed once: twice as fast.
    torch._inductor.config.freezing = True
    return torch.compile(net)


def to_images(images: torch.Tensor, variant: str) -> torch.Tensor:
    """[B, H, W, C] -> [B, C, H, W] on the device, laid out as the variant says."""
    images = images.to(DEVICE).permute(0, 3, 1, 2)
    last = "channels_last" in variant.split("+")
    return images.contiguous(
        memory_format=torch.channels_last if last else torch.contiguous_format
    )


def try_compile() -> dict[str, str]:
    """The reason why torch.compile does not work here; '' if it does."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    try:
        with torch.inference_mode():
            torch.compile(net.to(DEVICE))(torch.zeros(1, 3, 8, 8, device=DEVICE))
    except Exception as error:  # whatever a compiler stumbles over
        return {"reason": f"{type(error).__name__}: {error}"[:500]}
    return {"reason": ""}
