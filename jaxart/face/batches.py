"""What was given, run in batches of one size: one result an image."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from jaxart.classifier import Classifier
from jaxart.face.pictures import Picture, picture_of
from jaxart.passes.local import map_ahead

_NUM_AHEAD = 2  # batches that are loaded while one runs
_QUIET_SECONDS = 2  # work that is done by then shows no progress

T = TypeVar("T")
Images = Float32[np.ndarray, "b s s 3"]


def run(
    network: Classifier,
    images: Any,
    batch_size: int,
    step: Callable[[Images], Any],
    finish: Callable[[list[Picture], Any], list[T]],
) -> list[T]:
    """Runs images, as users give them; `finish` makes a batch's results.

    Raises:
      ImageError: an image cannot be read; names it.
      TypeError, ValueError: one is no image; says what to give.
    """
    pictures = [picture_of(image) for image in images]
    starts = range(0, len(pictures), batch_size)
    blocks = [pictures[start : start + batch_size] for start in starts]
    results: list[T] = []
    is_quick = len(blocks) == 1
    bar = tqdm(total=len(images), unit="img", delay=_QUIET_SECONDS, disable=is_quick)
    with bar:
        for block, batch in _load(network, blocks, batch_size):
            results += finish(block, jax.device_get(step(batch)))
            bar.update(len(block))
    return results


def _load(
    network: Classifier, blocks: list[list[Picture]], batch_size: int
) -> Iterator[tuple[list[Picture], Images]]:
    preprocessing = network.model.preprocessing
    side = preprocessing["size"]

    def load(block: list[Picture]) -> tuple[list[Picture], Images]:
        batch = np.zeros((batch_size, side, side, 3), np.float32)
        for row, picture in enumerate(block):
            batch[row] = picture.load(network.resize or "antialias", preprocessing)
        return block, batch

    return map_ahead(load, blocks, _NUM_AHEAD, _NUM_AHEAD)
