"""Networks forward, images in memory: PyTorch."""

from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.material import random_images
from benchmarks.sides import torch_networks
from benchmarks.timing import rounds
from jaxart.models import MODELS


def run(
    model: str, upto: str, weights: str, batch_size: int, repeats: int, variant: str
) -> Iterator[dict[str, Any]]:
    """Times a network up to layer `upto`."""
    ours = MODELS[model]()
    net = torch_networks.load(ours, weights, variant=variant)
    names = [name for name, _ in net.named_children()]
    net = torch_networks.compiled(net[: names.index(upto) + 1], variant)
    images = random_images(batch_size, ours.preprocessing["size"])
    images = torch_networks.to_images(torch.from_numpy(images), variant)
    forward = torch.inference_mode()(lambda: net(images))
    return rounds(
        *("forward", forward, repeats),
        lambda outputs: {"check": outputs[:, :8].flatten().tolist()},
    )
