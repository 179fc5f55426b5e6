"""grain: examples -> batches {'image', 'label', 'mask'}, all of one shape."""

import concurrent.futures
import dataclasses
import functools
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import grain
import numpy as np

from jaxart import storage
from jaxart.data import images
from jaxart.passes import work
from jaxart.passes.work import Record
from jaxart.storage import AnyPath

# A batch of 128 VGG16 inputs is 77 MB: a few in flight keep the device fed.
READ_OPTIONS = grain.ReadOptions(num_threads=4, prefetch_buffer_size=4)

# Images of a batch that are on their way from an object store at once; times the
# threads above.
_NUM_REQUESTS = 8


logger = logging.getLogger(__name__)


@runtime_checkable
class Inputs(Protocol):
    """What a network is fed, by index: image files, or rows of a feature store."""

    def __getitem__(self, indices: np.ndarray, /) -> np.ndarray: ...


class Loaded(NamedTuple):
    """A batch of images, and what is to be said of each."""

    images: np.ndarray  # float32 [B, S, S, 3], zeros in rows without an image
    reasons: list[str]  # why a file cannot be read; '' where it can, or there is none
    notes: Sequence[str] = ()  # what had to be left of a file, as in `images.Decoded`
    is_proven: Sequence[bool] = ()  # whether a file's content alone is why

    def skipped(self, row: int) -> Record | None:
        """What stands in a pass for a file that cannot be read; None for others."""
        if not self.reasons[row]:
            return None
        return work.skipped(self.reasons[row], is_proven=self.is_proven[row])


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """Image files that are loaded when asked for.

    One that breaks or goes meanwhile is left out of its batch: its row is zeros, with a
    mask that is False. A run is bit-equal to another one, resumed or not, only where
    the files are the same at every step.
    """

    paths: Sequence[AnyPath | bytes | None]  # or their bytes; None is a blank image
    resize: str  # one of `resizing.RESIZE_RULES`
    preprocessing: dict[str, Any]  # the network's own facts: size, channel_order, mean
    views: Sequence[str] | None = None  # of each, of `resizing.VIEWS`; None: the whole
    # By index: why one that was asked for gave no image, in this process.
    failures: dict[int, str] = dataclasses.field(
        default_factory=dict, init=False, compare=False
    )

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        """Images [B, S, S, 3]; one that cannot be read raises `images.ImageError`."""
        loaded, reasons, *_ = self.load_or_blank(indices)
        for index, reason in zip(indices, reasons, strict=True):
            if reason:
                raise images.ImageError(f"{self.paths[index]}: {reason}")
        return loaded

    def load_noting(self, indices: np.ndarray) -> "Loaded":
        """As `load_or_blank`; `failures` and a warning tell the reasons, once each."""
        loaded = self.load_or_blank(indices)
        for index, reason in zip(indices.tolist(), loaded.reasons, strict=True):
            if reason and self.failures.setdefault(index, reason) is reason:
                message = "%s is left out from now on: %s"
                logger.warning(message, self.paths[index], reason)
        return loaded

    def load_or_blank(self, indices: np.ndarray) -> "Loaded":
        """Images, zeros where one cannot be read, and the reasons why."""
        size = self.preprocessing["size"]
        loaded = np.zeros((len(indices), size, size, 3), np.float32)

        def load(row: int) -> tuple[str, str, bool]:
            index = int(indices[row])
            path = self.paths[index]
            if path is None:
                return "", "", True
            how = {"resize": self.resize, "view": "whole"}
            if self.views:
                how["view"] = self.views[index]
            try:
                decoded = images.read(path, images.side_enough(size, **how))
            except images.ImageError as error:
                return str(error), "", not isinstance(error, images.UnprovenError)
            loaded[row] = images.prepare(decoded.picture, **how, **self.preprocessing)
            return "", decoded.note, True

        rows = range(len(indices))
        if not any(
            isinstance(self.paths[index], storage.RemotePath) for index in indices
        ):
            says = list(map(load, rows))
        else:
            with concurrent.futures.ThreadPoolExecutor(_NUM_REQUESTS) as pool:
                says = list(pool.map(load, rows))
        return Loaded(
            loaded,
            reasons=[reason for reason, _, _ in says],
            notes=[note for _, note, _ in says],
            is_proven=[is_proven for _, _, is_proven in says],
        )


def load_batch(
    paths: Sequence[AnyPath | bytes | None],
    resize: str,
    preprocessing: dict[str, Any],
    batch_size: int,
    views: Sequence[str] | None = None,
) -> Loaded:
    """Images as a batch of fixed size, whatever is missing of it."""
    paths = [*paths, *[None] * (batch_size - len(paths))]
    files = ImageFiles(paths, resize, preprocessing, views)
    return files.load_or_blank(np.arange(batch_size))


def batches(
    inputs: Inputs,
    labels: np.ndarray,
    indices: np.ndarray,
    *,
    batch_size: int,
    seed: int | None = None,
    num_epochs: int = 1,
    first_batch: int = 0,
    rows: slice = slice(None),
    num_workers: int = 0,
) -> grain.IterDataset:
    """Batches of the examples at `indices`, epoch after epoch.

    Every epoch holds each example once. Its ragged last batch is filled up to
    `batch_size` with zeros whose mask is False, so that all batches have one shape;
    so is the place of an image file that cannot be read (see `ImageFiles`).

    `labels` int [N] are the classes of `inputs`. `indices` int [n] say which examples;
    or int [n, V], the V inputs that stand for each example, of which one is drawn anew
    in each epoch. `seed` is of the draws and of the shuffling, anew in each epoch; None
    keeps the order. Where a run resumes, batches before `first_batch` are left out;
    where processes share the batches, each loads its own `rows` of them. `num_workers`
    processes load, or threads of this one; the batches are the same.

    Returns:
      Dataset of {'image': float32 [B, ...], 'label': int32 [B], 'mask': bool [B]}, or
      of these rows of it.

    Raises:
      ValueError: there is something to draw, but no seed.
    """
    # An array is a source, but for the name that grain's types give to an argument.
    dataset = grain.MapDataset.source(indices)  # pyright: ignore[reportArgumentType]
    if seed is not None:
        dataset = dataset.seed(seed).shuffle()
    dataset = dataset.batch(batch_size)
    if indices.ndim == 2:
        dataset = dataset.random_map(_draw)
    dataset = dataset.repeat(num_epochs)[first_batch:]
    places = np.arange(batch_size)[rows]
    load = functools.partial(_load_batch, inputs, labels, places)
    dataset = dataset.map(load).to_iter_dataset(READ_OPTIONS)
    if num_workers:
        dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers))
    return dataset


def _draw(choices: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One of each row: [B, V] -> [B]. The generator is that of the epoch and batch."""
    return rng.permuted(choices, axis=1)[:, 0]


def _load_batch(
    inputs: Inputs, labels: np.ndarray, places: np.ndarray, chosen: np.ndarray
) -> dict[str, np.ndarray]:
    """The examples at some places of a batch; zeros after its end, or where broken."""
    mask = places < len(chosen)
    chosen = chosen[places[mask]]
    missing = len(places) - len(chosen)
    if isinstance(inputs, ImageFiles):
        image, reasons, *_ = inputs.load_noting(chosen)
        mask[mask] = [not reason for reason in reasons]
    else:
        image = np.asarray(inputs[chosen])
    return {
        "image": np.pad(image, [(0, missing)] + [(0, 0)] * (image.ndim - 1)),
        "label": np.pad(labels[chosen].astype(np.int32), (0, missing)),
        "mask": mask,
    }
