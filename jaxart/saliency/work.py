"""What a pass does with each image: the map, its files, and a record."""

import concurrent.futures
import dataclasses
import errno
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int32

from jaxart import storage
from jaxart.classifier import Classifier
from jaxart.data import files, images, pipeline
from jaxart.devices import compiling
from jaxart.models import Network
from jaxart.passes.work import Record, Results, skipped
from jaxart.saliency import catalogue, pictures, render
from jaxart.saliency.choices import KINDS
from jaxart.saliency.manifest import describe_image, describe_map
from jaxart.saliency.options import Options
from jaxart.saliency.question import BEST_OTHER, PREDICTED, Question
from jaxart.storage import AnyPath, StorageError

_NUM_THREADS = 4  # Pillow works outside of the interpreter's lock
_NUM_REMOTE_THREADS = 16  # where they mostly wait for an object store


class Item(NamedTuple):
    """An image: its path as listed, its class if known, and what each map is of.

    That are classes as `Question.classes` gives them. On a cluster, it comes as a list.
    """

    name: str
    label: int | None
    classes: tuple[int | tuple[int, int], ...]


class Loaded(NamedTuple):
    """A batch, and for each question the classes, [B] or [B, 2]."""

    batch: pipeline.Loaded
    targets: list[Int32[np.ndarray, "b *against"]]


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
    """The work of a pass: `passes.work.Work`, and, with steps, `Opened`."""

    network: Classifier
    root: AnyPath  # where relative names start
    out: AnyPath  # the folder of all files
    options: Options
    batch_size: int
    steps: tuple[Step, ...] = ()  # of each question

    def open(self) -> "Explaining":
        """Makes the steps, which compile with the first batch."""
        return dataclasses.replace(self, steps=self.make_steps())

    def make_steps(self) -> tuple[Step, ...]:
        """The steps of these options, traced without running them.

        Raises:
          ValueError: a setting of a method is out of range.
        """
        steps: dict[tuple, Step] = {}
        for question in self.options.questions:
            if question.program not in steps:
                steps[question.program] = self._make_step(question)
        return tuple(steps[question.program] for question in self.options.questions)

    def _make_step(self, question: Question) -> Step:
        model = self.network.model
        attribute = catalogue.bind(
            question.method,
            model,
            question.settings,
            channel_rule=question.channel_rule,
            batch_size=self.batch_size,
            key=jax.random.key(self.options.seed),
            score=question.score,
        )
        step = make_step(model, attribute)
        size = model.preprocessing["size"]
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

    def skip(self, item: Any, reason: str) -> Record:
        """What stands for an image that gave no map."""
        return {"path": item[0]} | skipped(reason)

    def files(self, name: str) -> tuple[dict[str, str], list[dict[str, str]]]:
        """Where an image's own files lie, and those of its maps, by kind."""
        kinds = [kind for kind in KINDS[:-1] if kind in self.options.save]
        if self.options.scale == "common" and "npy" not in kinds:
            kinds.append("npy")  # pictures are drawn when all maps are known
        questions = self.options.questions
        folders = [question.name for question in questions]
        if len(questions) == 1:
            folders = [""]
        of_maps = [pictures.file_names(name, kinds, folder) for folder in folders]
        return pictures.file_names(name), of_maps

    def identify(self, items: Sequence[Any]) -> list[str]:
        """What each image's content is."""
        paths = [storage.join(self.root, name) for name, *_ in items]
        return files.versions(paths)

    def load(self, items: Sequence[Any]) -> Loaded:
        """Reads a batch's images."""
        batch = pipeline.load_batch(
            [item and storage.join(self.root, item[0]) for item in items],
            self.options.resize,
            self.network.model.preprocessing,
            self.batch_size,
        )
        targets = []
        for number, question in enumerate(self.options.questions):
            shape = (self.batch_size, 2) if question.against else (self.batch_size,)
            targets.append(np.zeros(shape, np.int32))
            for row, item in enumerate(items):
                targets[-1][row] = item[2][number] if item else 0
        return Loaded(batch, targets)

    def start(self, loaded: Loaded) -> list[Explained]:
        """Runs the steps."""
        assert self.steps, "not opened"
        images = jax.device_put(loaded.batch.images)
        return [
            step(self.network.params, images, jax.device_put(targets))
            for step, targets in zip(self.steps, loaded.targets, strict=True)
        ]

    def finish(
        self, items: Sequence[Any], loaded: Loaded, values: list[Explained]
    ) -> Results:
        """Writes the files of each image, in threads; gives their records."""
        answers = [tuple(map(np.asarray, answer)) for answer in values]

        def write(row: int, item: Any) -> Record:
            if unread := loaded.batch.skipped(row):
                return {"path": item[0]} | unread
            try:
                return self._write(item, [[x[row] for x in one] for one in answers])
            except images.UnprovenError as error:  # it went meanwhile
                return {"path": item[0]} | skipped(str(error), is_proven=False)
            except Exception as error:  # of this picture alone
                if _is_of_the_machine(error):
                    raise
                is_worded = isinstance(error, ValueError | ArithmeticError | OSError)
                kind = "" if is_worded else f"{type(error).__name__}: "
                return self.skip(item, f"{kind}{error}")

        rows = [row for row, item in enumerate(items) if item is not None]
        there = [item for item in items if item is not None]
        with concurrent.futures.ThreadPoolExecutor(self.num_threads) as pool:
            return Results(list(pool.map(write, rows, there)))

    def _write(self, item: Any, answers: Sequence[Sequence[Any]]) -> Record:
        """Writes an image's files, once all of its maps are known to be sound.

        An answer is of a question: logits [K], classes and a map [S, S].
        """
        options, class_names = self.options, self.network.class_names
        name, label, _ = item  # from Ray, a list
        record = describe_image(class_names, answers[0][0], label)
        maps = []
        for question, (logits, classes, values) in zip(
            options.questions, answers, strict=True
        ):
            limit = render.magnitude(values, options.percentile)
            chosen = np.atleast_1d(classes).tolist()
            says = describe_map(question, class_names, logits, chosen, values, limit)
            maps.append(says)
        picture, _, note = images.read(storage.join(self.root, name))
        note = "; ".join(filter(None, [note, pictures.note_of_size(picture)]))
        own_files, files_of_maps = self.files(name)
        for question, (*_, values), says, names in zip(
            options.questions, answers, maps, files_of_maps, strict=True
        ):
            says["files"] = names
            paths = {kind: self.out / name for kind, name in names.items()}
            if "npy" in paths:
                pictures.save_map(values, paths["npy"])
            if options.scale == "image":
                limit, look = says["map"]["limit"], options.look(question)
                pictures.draw_map(picture, values, limit, look, paths)
        paths = {kind: self.out / name for kind, name in own_files.items()}
        pictures.draw_picture(picture, paths)
        size = [picture.width, picture.height]
        said = {"note": note} if note else {}
        return {
            "path": name,
            "size": size,
            **said,
            **record,
            "files": own_files,
            "maps": maps,
        }


def _is_of_the_machine(error: Exception) -> bool:
    """Whether other pictures would fail, too: a full disk, a store, no memory.

    An error of an encoder has no number; a name may be too long for the disk.
    """
    if isinstance(error, OSError):
        is_of_picture = error.errno in (None, errno.ENAMETOOLONG)
        return isinstance(error, StorageError) or not is_of_picture
    return isinstance(error, MemoryError | RuntimeError)
