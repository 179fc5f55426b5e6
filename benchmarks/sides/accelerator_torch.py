"""Pieces of work on a GPU, where there is one: PyTorch and Captum."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import torch
from captum.attr import (
    GuidedBackprop,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    NoiseTunnel,
    Occlusion,
    Saliency,
)
from torch import nn

from benchmarks.material import random_images
from benchmarks.sides import torch_networks
from benchmarks.sides.accelerator import Piece, Ready, answers
from jaxart.models import MODELS

WINDOW, STRIDE = 32, 16  # of occlusion, as ours


def run(
    pieces: list[dict[str, Any]], rounds: int, weights: dict[str, str], variant: str
) -> Iterator[dict[str, Any]]:
    """Times the pieces; see `accelerator.answers`.

    Args:
      pieces: what to do.
      rounds: how often each is timed.
      weights: files by network.
      variant: 'eager', 'channels_last' or 'compiled+channels_last'.
    """
    torch.backends.cudnn.benchmark = True
    read = functools.cache(
        lambda name: torch_networks.load(MODELS[name](), weights[name], variant=variant)
    )

    def make(piece: Piece) -> Ready:
        if "compiled" in variant and piece.method not in ("", "gradient"):
            raise NotImplementedError("Captum, on a compiled network: not tried")
        function = _MAKERS[piece.kind](piece, read, variant)

        def call():
            with _precision(piece.precision):
                return function()

        # A program's own memory: what it needs above what is there for all of them.
        bytes_before = _reset_peak()
        _wait(call())
        return Ready(call, _wait, _peak() - bytes_before if _peak() else None)

    return answers(pieces, rounds, make)


@contextlib.contextmanager
def _precision(name: str):
    allow = name != "float32"
    torch.backends.cuda.matmul.allow_tf32 = allow
    torch.backends.cudnn.allow_tf32 = allow
    half = torch.autocast(torch_networks.DEVICE, torch.bfloat16, name == "bfloat16")
    with half:
        yield


def _wait(result: torch.Tensor) -> list[float]:
    if torch_networks.DEVICE == "cuda":
        torch.cuda.synchronize()
    if result.ndim == 3:
        return result.detach().float().abs().mean((1, 2)).tolist()
    if result.ndim == 2:
        return result.detach()[:, :8].flatten().tolist()
    return []


def _reset_peak() -> int:
    if torch_networks.DEVICE != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def _peak() -> int:
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0


def _images(piece: Piece, variant: str) -> torch.Tensor:
    size = MODELS[piece.network].preprocessing["size"]
    images = torch.from_numpy(random_images(piece.count, size))
    return torch_networks.to_images(images, variant)


def _product(piece, read, variant):
    half = piece.precision == "bfloat16"
    a, b = torch.randn(2, piece.count, piece.count, device=torch_networks.DEVICE)
    if half:
        a, b = a.bfloat16(), b.bfloat16()
    return lambda: (a @ b)[0, 0]


def _forward(piece, read, variant):
    net, images = read(piece.network), _images(piece, variant)
    names = [name for name, _ in net.named_children()]
    (upto,) = piece.layers
    part = torch_networks.compiled(net[: names.index(upto) + 1], variant)

    def forward():
        with torch.inference_mode():
            return part(images)

    return forward


def _train(piece, read, variant):
    net, images = read(piece.network), _images(piece, variant)
    names = [name for name, _ in net.named_children()]
    first = names.index(piece.layers[0]) if piece.layers else 0
    while first and isinstance(net[first - 1], (nn.Dropout, nn.Flatten)):
        first -= 1
    frozen = torch_networks.compiled(net[:first], variant) if first else None
    head = net[first:].requires_grad_(True).train()
    logits = torch_networks.compiled(head, variant)
    sgd = torch.optim.SGD(head.parameters(), lr=1e-6, foreach=True)
    labels = torch.arange(piece.count, device=torch_networks.DEVICE) % 10

    def step():
        features = images
        if frozen is not None:
            with torch.no_grad():
                features = frozen(images)
        loss = nn.functional.cross_entropy(logits(features), labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        return loss

    return step


def _maps(piece, read, variant):
    net, images = read(piece.network).requires_grad_(False).eval(), None
    images = _images(piece, variant)
    for layer in net:
        if isinstance(layer, nn.ReLU):
            layer.inplace = not piece.method.startswith("g")  # Captum's hooks
    run_net = torch_networks.compiled(net, variant)

    def targets():
        with torch.no_grad():
            return run_net(images).argmax(1)

    def autograd():
        leaf = images.detach().requires_grad_()
        logits = run_net(leaf)
        (gradient,) = torch.autograd.grad(logits.amax(1).sum(), leaf)
        return gradient.abs().amax(1)

    def smoothgrad():
        spread = 0.15 * float((images.amax((1, 2, 3)) - images.amin((1, 2, 3))).mean())
        values = NoiseTunnel(Saliency(run_net)).attribute(
            images,
            nt_type="smoothgrad",
            nt_samples=piece.samples,
            nt_samples_batch_size=max(1, piece.at_once // piece.count),
            stdevs=spread,
            target=targets(),
            abs=False,
        )
        return values.abs().amax(1)

    def integrated_gradients():
        values = IntegratedGradients(run_net).attribute(
            images,
            target=targets(),
            n_steps=piece.samples,
            internal_batch_size=piece.at_once,
        )
        return values.sum(1)

    def guided_backprop():
        return GuidedBackprop(net).attribute(images, target=targets()).abs().amax(1)

    def grad_cam():
        last = net[[name for name, _ in net.named_children()].index("pool5") - 1]
        cam = LayerGradCam(net, last).attribute(
            images.detach().requires_grad_(), target=targets(), relu_attributions=True
        )
        side = images.shape[-1]
        return LayerAttribution.interpolate(cam, (side, side), "bilinear")[:, 0]

    def occlusion():
        values = Occlusion(run_net).attribute(
            images,
            (3, WINDOW, WINDOW),
            strides=(3, STRIDE, STRIDE),
            target=targets(),
            perturbations_per_eval=max(1, piece.at_once // piece.count),
        )
        return values[:, 0]

    functions = {
        "gradient": autograd,
        "smoothgrad": smoothgrad,
        "integrated_gradients": integrated_gradients,
        "guided_backprop": guided_backprop,
        "grad_cam": grad_cam,
        "occlusion": occlusion,
    }
    return functions[piece.method]


_MAKERS = {"product": _product, "forward": _forward, "maps": _maps, "train": _train}
