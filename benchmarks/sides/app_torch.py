"""One picture, from its file to the map of its class: PyTorch and Captum."""

from collections.abc import Iterator
from typing import Any

import torch
from captum.attr import Saliency

from benchmarks.sides import torch_networks
from benchmarks.timing import repeat
from jaxart.data import images
from jaxart.models import MODELS


def gradient(network: str, weights: str, paths: list[str]) -> Iterator[dict[str, Any]]:
    """Times a forward pass, which says the class, and Captum's gradient of it."""
    model = MODELS[network]()
    net = torch_networks.load(model, weights, variant="plain")
    method = Saliency(net)

    def explain(path: str) -> None:
        pixels = images.load(path, resize="antialias", **model.preprocessing)
        batch = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]
        with torch.no_grad():
            target = net(batch).argmax(1)
        method.attribute(batch, target=target).amax(1)

    explain(paths[0])
    while True:
        seconds = [repeat(lambda path=path: explain(path), 1)[0][0] for path in paths]
        yield {"seconds": {"map": seconds}}
