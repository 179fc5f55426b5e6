"""Fine-tuning, from image files to saved weights: PyTorch."""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.sides import torch_networks
from jaxart import storage
from jaxart.data import examples
from jaxart.models import MODELS

VAL_FRACTION = 0.2  # as in jaxart.training.config


class Files(Dataset):
    """Image files as pixels, uint8 [size, size, 3], BGR, with their labels."""

    def __init__(self, found: examples.Examples, size: int, limit: int | None):
        self.paths = found.paths[:limit]
        self.labels = found.labels[:limit].tolist()
        self.size = size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.open(self.paths[index]).convert("RGB")
        image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        pixels = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])
        return torch.from_numpy(pixels), self.labels[index]


def run(
    model: str,
    hidden: list[int],
    train_layers: list[str],
    optimizer: dict[str, float],
    weights: str,
    train_data: str,
    image_root: str,
    num_classes: int,
    batch_size: int,
    epochs: int,
    measured_epochs: int,
    limit: int | None,
    variant: str,
) -> dict[str, Any]:
    """Times epochs of training, validation and saving.

    All epochs cost the same. So `measured_epochs` run, of the first `limit` images of
    each side of the split, and their time is scaled up to all images and epochs.

    Args:
      model: one of `MODELS`.
      hidden: widths of fc6 and fc7.
      train_layers: what is trained; fc8 starts from random parameters.
      optimizer: settings of `torch.optim.SGD`.
      weights: converted weights.
      train_data: images.
      image_root: where their paths start.
      num_classes: outputs of fc8.
      batch_size: images a step.
      epochs: of the whole run.
      measured_epochs: how many really run.
      limit: how many training images really run; as many in proportion of the others.
      variant: see `torch_networks`.
    """
    device = torch_networks.DEVICE
    start = time.perf_counter()
    ours = MODELS[model](num_classes=num_classes, hidden=tuple(hidden))
    net = torch_networks.load(ours, weights, variant=variant, fresh=("fc8",))
    names = [name for name, _ in net.named_children()]
    first = names.index(train_layers[0])
    while isinstance(net[first - 1], (nn.Dropout, nn.Flatten)):
        first -= 1
    frozen = torch_networks.compiled(net[:first], variant)
    head = net[first:].requires_grad_(True)
    sgd = torch.optim.SGD(head.parameters(), **optimizer)

    found = examples.read(
        storage.path(train_data),
        num_classes=num_classes,
        image_root=storage.path_or_none(image_root),
    )
    size = ours.preprocessing["size"]
    sides = examples.split(found, VAL_FRACTION, seed=0)
    num_images = len(found.names)
    kept = 1 if limit is None else min(1, limit / len(sides[0].names))
    train, val = (
        Files(side, size, max(1, round(kept * len(side.names)))) for side in sides
    )
    mean = torch.tensor(ours.preprocessing["mean"], device=device)
    make = {"batch_size": batch_size, "num_workers": os.cpu_count()}
    make |= {"persistent_workers": True, "pin_memory": device == "cuda"}
    train_loader = DataLoader(train, shuffle=True, **make)
    val_loader = DataLoader(val, **make)

    def logits(pixels):
        with torch.no_grad():
            images = torch_networks.to_images(pixels.to(device).float() - mean, variant)
            features = frozen(images)
        return head(features)

    def run_epoch(path):
        head.train()
        for pixels, labels in train_loader:
            loss = nn.functional.cross_entropy(logits(pixels), labels.to(device))
            sgd.zero_grad()
            loss.backward()
            sgd.step()
        head.eval()
        correct = 0
        with torch.inference_mode():
            for pixels, labels in val_loader:
                correct += int((logits(pixels).argmax(1).cpu() == labels).sum())
        torch.save({"head": head.state_dict(), "sgd": sgd.state_dict()}, path)
        return correct / len(val)

    prepared = time.perf_counter() - start
    # Compiles and allocates: every size of batch once.
    for count in {*_batch_sizes(len(train), batch_size)}:
        logits(torch.zeros(count, size, size, 3, dtype=torch.uint8))
    with torch.inference_mode():
        for count in {*_batch_sizes(len(val), batch_size)}:
            logits(torch.zeros(count, size, size, 3, dtype=torch.uint8))
    scale = num_images / (len(train) + len(val))
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(measured_epochs):
            start = time.perf_counter()
            run_epoch(Path(folder) / "head.pt")
            seconds.append(scale * (time.perf_counter() - start))
    return {
        "seconds": {
            "total": [prepared + epochs * float(np.median(seconds))],
            "later_epoch": seconds,
        },
        "measured": f"{measured_epochs} of {epochs} epochs, {len(train) + len(val)} "
        f"of {num_images} images; the rest is scaled up",
    }


def _batch_sizes(count: int, batch_size: int) -> list[int]:
    sizes = [min(count, batch_size)]
    if count % batch_size:
        sizes.append(count % batch_size)
    return sizes
