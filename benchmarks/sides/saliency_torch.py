"""Saliency maps: PyTorch and Captum."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from captum.attr import IntegratedGradients, NoiseTunnel, Saliency
from torch.utils.data import DataLoader

from benchmarks.sides import torch_networks
from benchmarks.sides.train_torch import Files
from benchmarks.timing import repeat
from jaxart.data.examples import Examples
from jaxart.models import VGG16

MEAN = torch.tensor(VGG16.preprocessing["mean"], device=torch_networks.DEVICE)
SIZE = VGG16.preprocessing["size"]


def folder(
    weights: str, paths: list[str], batch_size: int, variant: str
) -> dict[str, Any]:
    """Times vanilla gradients, files to raw maps.

    The variant 'captum' finds the class and then calls `Saliency`; 'autograd' does
    with one forward pass.
    """
    words = variant.split("+")
    net = _network(weights, variant)
    attribute = _captum if "captum" in words else _autograd
    times, check = [], []
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        for pixels, _ in DataLoader(
            _files(paths), batch_size, num_workers=os.cpu_count()
        ):
            maps = attribute(net, _inputs(pixels, variant))
            for values in maps.cpu().numpy():
                np.save(Path(out) / f"{len(check)}.npy", values)
                check.append(float(values.mean()))
            times.append(time.perf_counter())
    seconds = {"total": [times[-1] - start]}
    if len(times) > 1:
        seconds["after_first_batch"] = [times[-1] - times[0]]
    return {"seconds": seconds, "check": sorted(check)}


def smoothgrad(
    weights: str, paths: list[str], num_samples: int, copies: int, variant: str
) -> Iterator[dict[str, Any]]:
    """Times SmoothGrad on one batch; `copies` of each image run at once."""
    net = _network(weights, variant)
    images = _inputs(_pixels(paths), variant)
    tunnel = NoiseTunnel(Saliency(net))

    def attribute(num_samples):
        with torch.no_grad():
            targets = net(images).argmax(1)
        spread = 0.15 * float((images.amax((1, 2, 3)) - images.amin((1, 2, 3))).mean())
        values = tunnel.attribute(
            images,
            nt_type="smoothgrad",
            nt_samples=num_samples,
            nt_samples_batch_size=copies,
            stdevs=spread,
            target=targets,
            abs=False,
        )
        return values.abs().amax(1)

    attribute(copies)
    while True:
        seconds, _ = repeat(lambda: attribute(num_samples), 1)
        yield {"seconds": {"maps": seconds}}


def integrated_gradients(
    weights: str, paths: list[str], num_steps: int, at_once: int, variant: str
) -> Iterator[dict[str, Any]]:
    """Times integrated gradients on one batch; `at_once` points run at once."""
    net = _network(weights, variant)
    images = _inputs(_pixels(paths), variant)
    method = IntegratedGradients(net)

    def attribute(num_steps):
        with torch.no_grad():
            targets = net(images).argmax(1)
        values = method.attribute(
            images,
            target=targets,
            n_steps=num_steps,
            internal_batch_size=at_once,
        )
        return values.sum(1)

    attribute(max(2, at_once // len(images)))
    while True:
        seconds, maps = repeat(lambda: attribute(num_steps), 1)
        check = sorted(maps.detach().abs().mean((1, 2)).tolist())
        yield {"seconds": {"maps": seconds}, "check": check}


def _captum(net, images):
    with torch.no_grad():
        targets = net(images).argmax(1)
    return Saliency(net).attribute(images, target=targets).amax(1)


def _autograd(net, images):
    images.requires_grad_()
    logits = net(images)
    (gradient,) = torch.autograd.grad(logits.amax(1).sum(), images)
    return gradient.abs().amax(1)


def _network(weights: str, variant: str):
    net = torch_networks.load(VGG16(), weights, variant=variant)
    return torch_networks.compiled(net, variant)


def _files(paths: list[str]) -> Files:
    labels = np.zeros(len(paths), np.int32)
    return Files(Examples(Path("/"), tuple(paths), labels, ("",)), SIZE, None)


def _pixels(paths: list[str]) -> torch.Tensor:
    return torch.stack([pixels for pixels, _ in _files(paths)])


def _inputs(pixels: torch.Tensor, variant: str) -> torch.Tensor:
    return torch_networks.to_images(
        pixels.to(torch_networks.DEVICE).float() - MEAN, variant
    )
