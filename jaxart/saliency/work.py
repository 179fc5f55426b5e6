"""What a run does with each image: the map, its files, and a line for the manifest."""

import concurrent.futures
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float32, Int, Int32

from jaxart import storage
from jaxart.classifier import Classifier
from jaxart.data import images, pipeline
from jaxart.passes.work import Record, Results
from jaxart.saliency import catalogue, explain, pictures, render
from jaxart.saliency.choices import KINDS
from jaxart.saliency.manifest import describe
from jaxart.saliency.options import Options
from jaxart.storage import AnyPath

NUM_THREADS = 4  # Pillow works outside of the interpreter's lock
NUM_REMOTE_THREADS = 16  # where they mostly wait for an object store


class Item(NamedTuple):
    """An image to explain.

    Attributes:
      name: its path, as the list gives it.
      target: the class to explain, or `explain.PREDICTED`.
      label: the class that it is said to show, if any.
    """

    name: str
    target: int
    label: int | None


class Loaded(NamedTuple):
    """A batch on its way to the network.

    Attributes:
      images: [B, S, S, 3]; zeros in rows without an image.
      targets: int32 [B], classes or `explain.PREDICTED`.
      reasons: of each row why it gives no image, '' where it does or has none to give.
    """

    images: np.ndarray
    targets: Int32[np.ndarray, " b"]
    reasons: list[str]


@dataclasses.dataclass(frozen=True)
class Explaining:
    """The work of a run.

    Attributes:
      network: what to explain.
      root: where relative names start.
      out: where files go.
      options: what to explain, and how to show it.
      batch_size: network inputs that run at once.
    """

    network: Classifier
    root: AnyPath
    out: AnyPath
    options: Options
    batch_size: int

    def open(self) -> "Explainer":
        """Makes the step, which compiles with the first batch."""
        return Explainer(self, self.make_step())

    def make_step(self) -> explain.Step:
        """The compiled step of these options.

        Raises:
          ValueError: a setting is out of range; before anything runs.
        """
        attribute = catalogue.bind(
            self.options.method,
            self.network.model,
            self.options.settings,
            channel_rule=self.options.channel_rule,
            batch_size=self.batch_size,
            key=jax.random.key(self.options.seed),
        )
        step = explain.make_step(self.network.model, attribute)
        explain.check(step, self.network, self.batch_size)
        return step

    def skip(self, item: Item, reason: str) -> Record:
        """What stands for an image that gave no map."""
        return {"path": item[0], "reason": reason}

    def files(self, name: str) -> dict[str, str]:
        """Where an image's files lie, relative to `out`, by kind."""
        kinds = [kind for kind in KINDS[:-1] if kind in self.options.save]
        if self.options.scale == "common" and "npy" not in kinds:
            kinds.append("npy")  # pictures are drawn when all maps are known
        return pictures.file_names(name, kinds)


class Explainer:
    """The work in a process: `passes.work.Opened`."""

    def __init__(self, work: Explaining, step: explain.Step):
        self._work = work
        self._step = step

    def identify(self, items: Sequence[Item]) -> list[str]:
        """What each image's content is."""
        return pipeline.versions([self._path(name) for name, *_ in items])

    def load(self, items: Sequence[Item | None]) -> Loaded:
        """Reads a batch's images."""
        work = self._work
        batch, reasons = pipeline.load_batch(
            [item and self._path(item[0]) for item in items],
            work.options.resize,
            work.network.model.preprocessing,
            work.batch_size,
        )
        targets = np.zeros(work.batch_size, np.int32)
        for row, item in enumerate(items):
            targets[row] = item[1] if item else 0
        return Loaded(batch, targets, reasons)

    def start(self, loaded: Loaded) -> explain.Explained:
        """Runs the step."""
        arrays = jax.device_put((loaded.images, loaded.targets))
        return self._step(self._work.network.params, *arrays)

    def finish(
        self, items: Sequence[Item | None], loaded: Loaded, values: explain.Explained
    ) -> Results:
        """Writes the files of each image, in threads; gives their lines."""

        def write(row: int) -> Record:
            if loaded.reasons[row]:
                return self._work.skip(items[row], loaded.reasons[row])
            return self._write(items[row], *(value[row] for value in values))

        rows = [row for row, item in enumerate(items) if item is not None]
        is_remote = storage.is_remote(self._work.out)
        num_threads = NUM_REMOTE_THREADS if is_remote else NUM_THREADS
        with concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
            return Results(list(pool.map(write, rows)))

    def _path(self, name: str) -> AnyPath:
        return storage.join(self._work.root, name)

    def _write(
        self,
        item: Item,
        logits: Float32[np.ndarray, " k"],
        target: Int[np.generic, ""],
        values: Float32[np.ndarray, "s s"],
    ) -> Record:
        name, _, label = item
        work, options = self._work, self._work.options
        files = work.files(name)
        paths = {kind: work.out / file for kind, file in files.items()}
        try:
            says = describe(work.network.class_names, logits, int(target), label)
            limit = render.magnitude(values, options.percentile)
            picture = np.asarray(images.decode(self._path(name)))
        except (ValueError, FloatingPointError) as error:
            return work.skip(item, str(error))
        if "npy" in files:
            pictures.save_map(values, paths["npy"])
        if options.scale == "image":
            pictures.draw(picture, values, limit, options.look, paths)
        return {
            "path": name,
            "size": [picture.shape[1], picture.shape[0]],
            **says,
            "method": options.method,
            "settings": options.settings,
            "map": {
                "min": float(values.min()),
                "max": float(values.max()),
                "sum": float(values.sum(dtype=np.float64)),
                "limit": limit,
            },
            "files": files,
        }
