"""Images through the network, batch after batch: decode and network side by side.

Batches have a fixed size and composition, so that what a rerun adds equals, to the
bit, what an uninterrupted run would have made.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import grain
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxart import compiling
from jaxart.classifier import Classifier
from jaxart.data import pipeline
from jaxart.models import CaffeNet
from jaxart.overlap import fetch_one_behind

PREDICTED = -1  # as a target: the class with the highest logit

Attribute = Callable[[Any, Array, Array], Array]  # params, images, targets -> maps


class Batch(NamedTuple):
    """Images on their way to the network.

    Attributes:
      images: [B, S, S, 3]; zeros in rows without an image.
      targets: int32 [B], classes or `PREDICTED`.
      rows: the rows that hold an image, and which one (an index) each.
      unreadable: which images gave none, and why.
    """

    images: np.ndarray
    targets: np.ndarray
    rows: list[tuple[int, int]]
    unreadable: list[tuple[int, str]]


class Explained(NamedTuple):
    """What the network makes of a batch: logits [B, K], targets [B], maps [B, S, S]."""

    logits: Float[Array, "b k"]
    targets: Int[Array, " b"]
    maps: Float[Array, "b s s"]


@dataclasses.dataclass(frozen=True)
class Loader:
    """Loads a batch by its number, leaving out images that are done.

    An image keeps its row, whatever else is left out.
    """

    files: pipeline.ImageFiles
    targets: np.ndarray
    is_done: np.ndarray
    batch_size: int

    def __call__(self, number: int) -> Batch:
        """Batch `number` of all images."""
        start = int(number) * self.batch_size
        size = self.files.preprocessing["size"]
        images = np.zeros((self.batch_size, size, size, 3), np.float32)
        targets = np.zeros(self.batch_size, np.int32)
        rows, unreadable = [], []
        chosen = self.is_done[start : start + self.batch_size]
        free = np.flatnonzero(~chosen)
        images[free], reasons = self.files.load_or_blank(start + free)
        targets[free] = self.targets[start + free]
        for row, reason in zip(free.tolist(), reasons, strict=True):
            if reason:
                unreadable.append((start + row, reason))
            else:
                rows.append((row, start + row))
        return Batch(images, targets, rows, unreadable)

    def numbers(self) -> list[int]:
        """The batches that hold an image to do."""
        return np.unique(np.flatnonzero(~self.is_done) // self.batch_size).tolist()


def load_batches(loader: Loader, num_workers: int) -> Iterator[Batch]:
    """Loads every batch with something to do, ahead of who asks."""
    numbers = grain.MapDataset.source(loader.numbers())
    return iter(pipeline.load_ahead(numbers, loader, num_workers))


def make_step(
    model: CaffeNet, attribute: Attribute
) -> Callable[[Any, Array, Array], Explained]:
    """Compiles (params, images, targets) -> `Explained`.

    The logits that tell the class and those that are differentiated are one and the
    same computation: XLA merges them.
    """

    @compiling.jit
    def step(params, images, targets):
        logits = model.apply({"params": params}, images)
        targets = jnp.where(targets == PREDICTED, logits.argmax(axis=-1), targets)
        return Explained(logits, targets, attribute(params, images, targets))

    return step


def check(
    step: Callable[..., Explained], classifier: Classifier, batch_size: int
) -> None:
    """Traces a step without running it.

    Raises:
      ValueError: a setting of the method is out of range.
    """
    size = classifier.model.preprocessing["size"]
    images = jax.ShapeDtypeStruct((batch_size, size, size, 3), jnp.float32)
    targets = jax.ShapeDtypeStruct((batch_size,), jnp.int32)
    jax.eval_shape(step, classifier.params, images, targets)


def explain_batches(
    step: Callable[[Any, Array, Array], Explained],
    params: Any,
    batches: Iterator[Batch],
) -> Iterator[tuple[Batch, Explained | None]]:
    """Yields each batch and what the network makes of it, in NumPy arrays.

    The next batch is running by then. A batch without images gives None.
    """

    def started():
        for batch in batches:
            arrays = jax.device_put((batch.images, batch.targets))
            yield step(params, *arrays) if batch.rows else None, batch

    for explained, batch in fetch_one_behind(started()):
        yield batch, explained
