"""Networks forward, images in memory: jaxart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.material import random_images
from benchmarks.timing import rounds
from jaxart.classifier import from_weights
from jaxart.devices import compiling, layout
from jaxart.training.frozen import Frozen


def alexnet(weights: str, batch_size: int, repeats: int) -> Iterator[dict[str, Any]]:
    """AlexNet to relu6, by the very function that fills the frozen-prefix cache."""
    model, params, *_ = from_weights(Path(weights))
    forward = Frozen(model, params, "relu6").forward(layout.over_all_devices())
    images = random_images(batch_size, model.preprocessing["size"])
    return _time(lambda: np.asarray(forward(images)), repeats)


def vgg16(weights: str, batch_size: int, repeats: int) -> Iterator[dict[str, Any]]:
    """VGG16 to its logits."""
    model, params, *_ = from_weights(Path(weights))
    forward = compiling.jit(
        lambda params, images: model.apply({"params": params}, images)
    )
    images = random_images(batch_size, model.preprocessing["size"])
    return _time(lambda: np.asarray(forward(params, images)), repeats)


def _time(forward, repeats: int) -> Iterator[dict[str, Any]]:
    return rounds(
        *("forward", forward, repeats),
        lambda outputs: {"check": outputs[:, :8].ravel().tolist()},
    )
