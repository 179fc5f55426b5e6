"""Fine-tuning, from image files to saved checkpoints: jaxart."""

import importlib
import logging
import tempfile
import time
from typing import Any

import numpy as np

from jaxart.training import loop


class EpochEnds(logging.Handler):
    """Notes when `jaxart.training.log` says that it has evaluated an epoch."""

    def __init__(self):
        super().__init__()
        self.times: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Notes the time of an epoch's line."""
        if record.msg.startswith("epoch "):
            self.times.append(time.perf_counter())


def run(
    config: str,
    weights: str,
    train_data: str,
    image_root: str,
    num_classes: int,
    batch_size: int,
    epochs: int,
    cache_dir: str,
) -> dict[str, Any]:
    """Times `train_and_evaluate` as a file of configs/ has it.

    Args:
      config: name of the file.
      weights: converted weights.
      train_data: images, as in the config.
      image_root: likewise.
      num_classes: likewise.
      batch_size: likewise.
      epochs: at least 2.
      cache_dir: of the frozen layers' activations; '' is an empty one.
    """
    settings = importlib.import_module(f"configs.{config}").get_config()
    settings.update(
        weights=weights,
        train_data=train_data,
        val_data="",
        image_root=image_root,
        num_classes=num_classes,
        batch_size=batch_size,
        num_epochs=epochs,
        check_leaks=False,  # which no peer does
    )
    ends = EpochEnds()
    logger = logging.getLogger("jaxart.training.log")
    logger.setLevel(logging.INFO)
    logger.addHandler(ends)
    with tempfile.TemporaryDirectory() as folder:
        settings.cache_dir = cache_dir or f"{folder}/cache"
        start = time.perf_counter()
        result = loop.train_and_evaluate(settings, f"{folder}/run")
        total = time.perf_counter() - start
    return {
        "seconds": {"total": [total], "later_epoch": np.diff(ends.times).tolist()},
        "frozen_layers_seconds": result["input_seconds"],
    }
