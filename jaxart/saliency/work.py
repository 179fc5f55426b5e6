"""What a pass does with each image: the map, its files, and a record."""

import concurrent.futures
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Int32

from jaxart import storage
from jaxart.classifier import Classifier
from jaxart.data import files, images, pipeline
from jaxart.devices import compiling
from jaxart.models import Network
from jaxart.passes.work import Record, Results
from jaxart.saliency import catalogue, pictures, render
from jaxart.saliency.choices import KINDS
from jaxart.saliency.manifest import describe
from jaxart.saliency.options import Options
from jaxart.storage import AnyPath

PREDICTED = -1  # as a target: the class with the highest logit
BEST_OTHER = -1  # as what a target is against: the highest logit of the other classes

_NUM_THREADS = 4  # Pillow works outside of the interpreter's lock
_NUM_REMOTE_THREADS = 16  # where they mostly wait for an object store


class Item(NamedTuple):
    """An image: its path as listed, its target or `PREDICTED`, its class if known."""

    name: str
    target: int
    label: int | None


class Loaded(NamedTuple):
    """A batch: images [B, S, S, 3], targets, and why a row holds no image, or ''."""

    images: np.ndarray
    targets: Int32[np.ndarray, " b"]
    reasons: list[str]


class Explained(NamedTuple):
    """What the network makes of a batch: logits [B, K], targets, maps [B, S, S].

    Targets are [B], or [B, 2] with what they are against.
    """

    logits: Float[Array, "b k"]
    targets: Int[Array, "b *against"]
    maps: Float[Array, "b s s"]


Step = Callable[[Any, Any, Any], Explained]


def make_step(model: Network, attribute: Callable[[Any, Array, Array], Array]) -> Step:
    """Compiles (params, images, targets) -> `Explained`; `catalogue.bind` attributes.

    Targets [B] may be `PREDICTED`; in [B, 2], what they are against, `BEST_OTHER`.

    The logits that tell the class and those that are differentiated are one and the
    same computation: XLA merges them.
    """

    @compiling.jit
    def step(params, images, targets):
        logits = model.apply({"params": params}, images)
        targets = resolve(logits, targets)
        return Explained(logits, targets, attribute(params, images, targets))

    return step


def resolve(
    logits: Float[Array, "b k"], targets: Int[Array, "b *against"]
) -> Int[Array, "b *against"]:
    """The classes that `PREDICTED` and `BEST_OTHER` stand for, in their place."""
    if targets.ndim == 1:
        return jnp.where(targets == PREDICTED, logits.argmax(axis=-1), targets)
    chosen = resolve(logits, targets[:, 0])
    is_chosen = jnp.arange(logits.shape[1]) == chosen[:, None]
    best_other = jnp.where(is_chosen, -jnp.inf, logits).argmax(axis=-1)
    against = jnp.where(targets[:, 1] == BEST_OTHER, best_other, targets[:, 1])
    return jnp.stack([chosen, against], axis=1)


@dataclasses.dataclass(frozen=True)
class Explaining:
    """The work of a pass: `passes.work.Work`, and, with a step, `Opened`."""

    network: Classifier
    root: AnyPath  # where relative names start
    out: AnyPath  # the folder of all files
    options: Options
    batch_size: int
    step: Step | None = None

    def open(self) -> "Explaining":
        """Makes the step, which compiles with the first batch."""
        return dataclasses.replace(self, step=self.make_step())

    def make_step(self) -> Step:
        """The step of these options, traced without running it.

        Raises:
          ValueError: a setting of the method is out of range.
        """
        attribute = catalogue.bind(
            self.options.method,
            self.network.model,
            self.options.settings,
            channel_rule=self.options.channel_rule,
            batch_size=self.batch_size,
            key=jax.random.key(self.options.seed),
        )
        step = make_step(self.network.model, attribute)
        size = self.network.model.preprocessing["size"]
        shape = (self.batch_size, size, size, 3)
        images = jax.ShapeDtypeStruct(shape, jnp.float32)
        targets = jax.ShapeDtypeStruct(shape[:1], jnp.int32)
        jax.eval_shape(step, self.network.params, images, targets)
        return step

    @property
    def num_threads(self) -> int:
        """Threads that draw and write."""
        is_remote = storage.is_remote(self.out)
        return _NUM_REMOTE_THREADS if is_remote else _NUM_THREADS

    def skip(self, item: Item, reason: str) -> Record:
        """What stands for an image that gave no map."""
        return {"path": item[0], "reason": reason}

    def files(self, name: str) -> dict[str, str]:
        """Where an image's files lie, relative to `out`, by kind."""
        kinds = [kind for kind in KINDS[:-1] if kind in self.options.save]
        if self.options.scale == "common" and "npy" not in kinds:
            kinds.append("npy")  # pictures are drawn when all maps are known
        return pictures.file_names(name, kinds)

    def identify(self, items: Sequence[Item]) -> list[str]:
        """What each image's content is."""
        paths = [storage.join(self.root, name) for name, *_ in items]
        return files.versions(paths)

    def load(self, items: Sequence[Item | None]) -> Loaded:
        """Reads a batch's images."""
        batch, reasons = pipeline.load_batch(
            [item and storage.join(self.root, item[0]) for item in items],
            self.options.resize,
            self.network.model.preprocessing,
            self.batch_size,
        )
        targets = np.zeros(self.batch_size, np.int32)
        for row, item in enumerate(items):
            targets[row] = item[1] if item else 0
        return Loaded(batch, targets, reasons)

    def start(self, loaded: Loaded) -> Explained:
        """Runs the step."""
        assert self.step is not None, "not opened"
        arrays = jax.device_put((loaded.images, loaded.targets))
        return self.step(self.network.params, *arrays)

    def finish(
        self, items: Sequence[Item | None], loaded: Loaded, values: Explained
    ) -> Results:
        """Writes the files of each image, in threads; gives their records."""
        logits, targets, maps = map(np.asarray, values)

        def write(row: int, item: Item) -> Record:
            if loaded.reasons[row]:
                return self.skip(item, loaded.reasons[row])
            return self._write(item, logits[row], int(targets[row]), maps[row])

        rows = [row for row, item in enumerate(items) if item is not None]
        there = [item for item in items if item is not None]
        with concurrent.futures.ThreadPoolExecutor(self.num_threads) as pool:
            return Results(list(pool.map(write, rows, there)))

    def _write(
        self,
        item: Item,
        logits: Float32[np.ndarray, " k"],
        target: int,
        values: Float32[np.ndarray, "s s"],
    ) -> Record:
        name, _, label = item
        options, file_of = self.options, self.files(name)
        paths = {kind: self.out / file for kind, file in file_of.items()}
        try:
            says = describe(self.network.class_names, logits, target, label)
            limit = render.magnitude(values, options.percentile)
            picture = np.asarray(images.decode(storage.join(self.root, name)))
        except (ValueError, FloatingPointError) as error:
            return self.skip(item, str(error))
        if "npy" in file_of:
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
            "files": file_of,
        }
