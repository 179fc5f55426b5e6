"""One pass over many images: the best classes of each, and a layer's activations."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import jax
import numpy as np

from jaxart import storage
from jaxart.classifier import Classifier, ClassifierError
from jaxart.data import features as feature_store
from jaxart.data import files, images, listing, pipeline, trained_on
from jaxart.models.layers import select
from jaxart.passes import folder, running
from jaxart.passes.outputs import sibling
from jaxart.passes.work import Record, Results, skipped
from jaxart.predict import evaluation, tables
from jaxart.predict.step import Scores, Step, make_step, require_room
from jaxart.predict.tables import Predictions
from jaxart.storage import AnyPath, results

PARTS = "parts"  # what the folder of the pass ends in

# Of a record, and of `Scores` but for the activation.
_COLUMNS = {
    "indices": np.int32,
    "logits": np.float32,
    "probabilities": np.float32,
    "losses": np.float32,
}

_NUM_BATCHES = 4  # of a part: about ten seconds' work on a CPU


class Outcome(NamedTuple):
    """What became of a pass's images."""

    num_images: int  # that could be read
    num_skipped: int
    metrics: dict[str, Any] | None  # of those whose label is known, if any
    trained: np.ndarray | None  # bool, which are its training images; None: unknown


class Item(NamedTuple):
    """An image: its path, as the list gives it, and its class, or `UNKNOWN`."""

    name: str
    label: int


class Loaded(NamedTuple):
    """A batch, and its labels [B]."""

    batch: pipeline.Loaded
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Predicting:
    """The work of a pass: `passes.work.Work`, and, with a step, `Opened`."""

    network: Classifier
    root: AnyPath  # where relative names start
    resize: str  # one of `resizing.RESIZE_RULES`
    num_kept: int  # best classes of each image
    features: str | None  # a layer whose activations are kept, too
    batch_size: int
    temperature: float = 1.0  # that logits are divided by
    step: Step | None = None
    trained_on: frozenset[str] | None = None  # contents, where they can be told
    contents: dict[str, str] = dataclasses.field(default_factory=dict)  # by name

    def open(self) -> "Predicting":
        """Makes the step, which compiles with the first batch."""
        step = make_step(
            self.network.model, self.num_kept, self.features, self.temperature
        )
        trained = None
        if not storage.is_remote(self.root):  # whose versions are no digests
            trained = trained_on.read(self.network.source)
        return dataclasses.replace(self, step=step, trained_on=trained)

    def calibrated(self) -> "Predicting":
        """The same, at the network's temperature.

        Raises:
          ClassifierError: it has none.
        """
        temperature = self.network.temperature
        if temperature is None:
            raise ClassifierError(
                f"{self.network.source}: has no temperature. A run of `jaxart train` "
                "has one; a weight file, or a run of an earlier jaxart, has none"
            )
        return dataclasses.replace(self, temperature=temperature)

    def skip(self, item: Item, reason: str) -> Record:
        """What stands for an image that cannot be read."""
        return skipped(reason)

    def identify(self, items: Sequence[Item]) -> list[str]:
        """What each image's content is."""
        versions = files.versions([storage.join(self.root, name) for name, _ in items])
        if self.trained_on is not None:
            names = (name for name, _ in items)
            self.contents.update(zip(names, versions, strict=True))
        return versions

    def load(self, items: Sequence[Item | None]) -> Loaded:
        """Reads a batch's images."""
        batch = pipeline.load_batch(
            [item and storage.join(self.root, item[0]) for item in items],
            self.resize,
            self.network.model.preprocessing,
            self.batch_size,
        )
        labels = np.zeros(self.batch_size, np.int32)
        for row, item in enumerate(items):
            labels[row] = item[1] if item else 0
        return Loaded(batch, labels)

    def start(self, loaded: Loaded) -> Scores:
        """Runs the step."""
        assert self.step is not None, "not opened"
        arrays = jax.device_put((loaded.batch.images, loaded.labels))
        return self.step(self.network.params, *arrays)

    def finish(
        self, items: Sequence[Item | None], loaded: Loaded, values: Scores
    ) -> Results:
        """Gives the records, and the activations of the images that can be read."""
        (*columns, activation), batch = values, loaded.batch
        records, is_read = [], np.zeros(len(batch.reasons), bool)
        for row, item in enumerate(items):
            if item is None:
                continue
            if unread := batch.skipped(row):
                records.append(unread)
                continue
            is_read[row] = True
            says = [column[row].tolist() for column in columns]
            record: Record = dict(zip(_COLUMNS, says, strict=True))
            if item[1] == tables.UNKNOWN:
                record["losses"] = None  # JSON has no nan
            if batch.notes[row]:
                record["note"] = batch.notes[row]
            if self.trained_on is not None:
                # Of an item that is done alone, its part may be another process's.
                content = self.contents.get(item[0]) or self.identify([item])[0]
                record["trained_on"] = content in self.trained_on
            records.append(record)
        if activation is None:
            return Results(records)
        return Results(records, np.asarray(activation)[is_read].astype(np.float32))


def predict_images(
    classifier: Classifier,
    image_list: listing.Listing,
    out: AnyPath,
    *,
    top_k: int | None = None,
    batch_size: int,
    part_size: int | None = None,
    resize: str,
    features: str | None = None,
    calibrated: bool = False,
    ray: running.Cluster | None = None,
) -> Outcome:
    """Writes the best classes of images, and what belongs to them beside the table.

    All files appear at the end, or, where anything fails, none; then the same call goes
    on. The caller holds the parts: `passes.driver.alone(outputs.sibling(out, PARTS))`.

    The table's suffix is its format, which chooses how many classes are written where
    `top_k` is None. `features` is a layer whose activations are written, too.
    `calibrated` divides logits by the network's temperature. The rest is as in
    `saliency.run.explain_images`.

    Raises:
      ValueError: the format, its package, the layer or the temperature is missing, the
        parts beside the table are of another pass, or no image can be read.
    """
    write = tables.find_format(out)
    select(classifier.model.layers(), None, features or None)  # raises
    num_kept = tables.num_kept(out, top_k, len(classifier.class_names))
    labels = evaluation.find_labels(image_list, classifier)
    root = storage.resolve(image_list.root)
    work = Predicting(classifier, root, resize, num_kept, features, batch_size)
    work = work.calibrated() if calibrated else work
    items = [Item(*row) for row in zip(image_list.names, labels.tolist(), strict=True)]
    num_batches = 1 if features else _NUM_BATCHES  # activations may be large
    part_size = part_size or folder.part_size(len(items), batch_size, num_batches)
    passed, part_names = _pass(sibling(out, PARTS), work, items, part_size, ray)
    columns, reasons, notes, trained = _read(passed, part_names)
    is_read = [not reason for reason in reasons]
    if not any(is_read):
        passed.remove()
        _refuse(image_list, reasons)
    names = list(itertools.compress(image_list.names, is_read))
    predictions = Predictions(names, labels[is_read], classifier.class_names, *columns)
    metrics = evaluation.evaluate(predictions, trained)
    # What a killed process leaves of it goes with the parts.
    with storage.written_together(out, passed.path) as table:
        write(table, predictions, top_k)
        tables.write_lists(table, image_list.names, reasons, notes)
        if features:
            _write_rows(passed, part_names, names, sibling(table, features))
        if metrics:
            results.write_json(sibling(table, "metrics.json"), metrics)
    tables.remove_earlier(out, {"metrics.json": metrics, "notes.csv": any(notes)})
    passed.remove()
    return Outcome(len(names), len(reasons) - len(names), metrics, trained)


def _refuse(image_list: listing.Listing, reasons: Sequence[str]) -> NoReturn:
    first = f"the first is {image_list.paths[0]}: {reasons[0]}"
    raise ValueError(f"none of the {len(reasons)} images can be read; {first}")


def _pass(
    path: AnyPath,
    work: Predicting,
    items: Sequence[Item],
    part_size: int,
    ray: running.Cluster | None,
) -> tuple[folder.Folder, list[str]]:
    """Does all parts; gives their folder and their names."""
    if work.features:
        require_room(path, work.network, work.features, len(items))
    passed = folder.Folder(path, _describe(work, items, part_size))
    passed.begin()
    parts = folder.cut(items, part_size)
    return passed, running.run(work, parts, passed, title="predicting", ray=ray).names


def _describe(work: Predicting, items: Sequence[Item], part_size: int) -> dict:
    """What a pass is of: its settings."""
    names, labels = zip(*items, strict=True)
    model = work.network.model
    return {
        "images": folder.digest([str(work.root), *names]),
        "labels": folder.digest(map(str, labels)),
        "class_names": folder.digest(work.network.class_names),
        "model": type(model).__name__.lower(),
        "compute_dtype": model.compute_dtype,
        "network": feature_store.digest_params(jax.device_get(work.network.params)),
        "resize": work.resize,
        "batch_size": work.batch_size,
        "classes_kept": work.num_kept,
        "features": work.features,
        "temperature": work.temperature,
        "image_reader": images.reader(),
        "part_size": part_size,
    }


def _write_rows(
    passed: folder.Folder, part_names: Sequence[str], names: Sequence[str], out: Path
) -> None:
    """Writes all parts' activations to `out` with .npy, and whose each is with .csv."""
    index = out.with_name(f"{out.name}.csv")
    results.write_csv(index, ("row", "path"), enumerate(names))
    passed.join_rows(part_names, out.with_name(f"{out.name}.npy"))


def _read(
    passed: folder.Folder, names: Sequence[str]
) -> tuple[list[np.ndarray], list[str], list[str], np.ndarray | None]:
    """All parts' columns of the images that could be read, and all images' reasons.

    And their notes, and which of the former were trained on, if that is known. Only
    one part's records are in memory at a time, which take twenty times as much.
    """
    pieces, reasons, notes, trained = [], [], [], []
    for name in names:
        records = list(passed.records([name]))
        reasons += [record.get("reason", "") for record in records]
        notes += [record.get("note", "") for record in records]
        readable = [record for record in records if "reason" not in record]
        trained += [record.get("trained_on") for record in readable]
        if readable:
            pieces.append(
                [
                    np.array([record[key] for record in readable], dtype)
                    for key, dtype in _COLUMNS.items()
                ]
            )
    columns = [np.concatenate(column) for column in zip(*pieces, strict=True)]
    is_trained = None if None in trained else np.array(trained, bool)
    return columns, reasons, notes, is_trained
