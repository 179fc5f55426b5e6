"""The files that predictions are written to: CSV, JSON lines, Parquet."""

import csv
import importlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32

from jaxart.data.predictions import column_of
from jaxart.passes.outputs import sibling
from jaxart.storage import AnyPath, results

UNKNOWN = -1  # as a label: nothing says which class the image shows

# A CSV file holds every class's probability, unless there are more classes than this.
MAX_CLASS_COLUMNS = 30

_MAX_LINE = 1 << 24  # bytes; no first line of ours is longer


class FormatError(ValueError):
    """Predictions cannot be written so; the message says what to do."""


class Predictions(NamedTuple):
    """What a network says of images, in their order."""

    names: Sequence[str]  # each image's path, as its list gives it
    labels: Int32[np.ndarray, " n"]  # what each is said to show, or `UNKNOWN`
    class_names: Sequence[str]
    indices: Int32[np.ndarray, "n k"]  # the best classes, the best one first
    logits: Float32[np.ndarray, "n k"]
    probabilities: Float32[np.ndarray, "n k"]
    losses: Float32[np.ndarray, " n"]  # -ln the label's probability; nan if unknown

    @property
    def label_names(self) -> list[str | None]:
        """What the class of each image's label is called; None where it is unknown."""
        return [
            None if label == UNKNOWN else self.class_names[int(label)]
            for label in self.labels
        ]

    def best(self, count: int) -> Iterator[tuple[list, list[str], list, list]]:
        """Indices, names, logits and probabilities of each image's best classes."""
        for columns in zip(self.indices, self.logits, self.probabilities, strict=True):
            indices, logits, probabilities = (row[:count].tolist() for row in columns)
            names = [self.class_names[int(index)] for index in indices]
            yield indices, names, logits, probabilities


# Of the path, the predictions, and how many of the best classes to write (None is the
# format's own choice).
Write = Callable[[Path, Predictions, int | None], None]


def find_format(out: AnyPath) -> Write:
    """How a file is written, by its suffix.

    Raises:
      FormatError: the suffix is none that is known, or a package is missing.
    """
    formats = {".csv": write_csv, ".jsonl": write_jsonl, ".parquet": write_parquet}
    if out.suffix.lower() not in formats:
        raise FormatError(f"out={out}: a file that ends in {', '.join(formats)}")
    if out.suffix.lower() == ".parquet":
        _import_pyarrow("pyarrow.parquet")
    return formats[out.suffix.lower()]


def check_replaceable(out: AnyPath) -> None:
    """Makes sure that what is there, if anything, is an earlier table.

    Raises:
      ValueError: it is something else, such as a list of images.
    """
    try:
        file = out.open("rb")
    except FileNotFoundError:
        return
    with file:
        if not _is_table(file, out.suffix.lower()):
            raise ValueError(
                f"out={out} is there, and no table of predictions: choose another name"
            )


def _is_table(file: BinaryIO, suffix: str) -> bool:
    """Whether a file is empty, or as the functions below write it."""
    line = file.readline(_MAX_LINE)
    if not line:
        return True
    try:
        if suffix == ".csv":
            columns = next(csv.reader([line.decode("utf-8", "replace")]))
            return {"path", "predicted"} <= set(columns)
        if suffix == ".jsonl":
            keys = set(json.loads(line))
            return {"path", "top"} <= keys <= {"path", "label", "top"}
        names = _import_pyarrow("pyarrow.parquet").read_schema(file).names
        return {"path", "top_index"} <= set(names)
    except (ValueError, TypeError, csv.Error):  # of JSON or Arrow, too
        return False


def num_kept(out: AnyPath, top_k: int | None, num_classes: int) -> int:
    """How many of the best classes a file, and top-5 accuracy, have to know."""
    if top_k is None and out.suffix.lower() == ".csv":
        return num_classes if num_classes <= MAX_CLASS_COLUMNS else 5
    return min(max(top_k or 5, 5), num_classes)


def write_csv(path: Path, predictions: Predictions, top_k: int | None) -> None:
    """Writes path, label (if any is known), predicted, and probabilities.

    By default they are those of all classes, a column each, as in a run's own
    predictions.csv. With more than 30 classes, or where `top_k` is given, they are
    those of the best: top_1, probability_1, top_2, probability_2 and so on.
    """
    names, _, class_names, indices, _, probabilities, _ = predictions
    if top_k is None and len(class_names) <= MAX_CLASS_COLUMNS:
        columns = [column_of(name) for name in class_names]
        cells = np.empty_like(probabilities)
        np.put_along_axis(cells, indices, probabilities, axis=1)
        rows = (map("{:.6g}".format, row) for row in cells)
    else:
        ranks = range(1, min(top_k or 5, indices.shape[1]) + 1)
        columns = [f"{what}_{n}" for n in ranks for what in ("top", "probability")]
        rows = (
            itertools.chain(*zip(names, map("{:.6g}".format, scores), strict=True))
            for _, names, _, scores in predictions.best(len(ranks))
        )
    labels = predictions.label_names
    has_labels = any(labels)
    results.write_csv(
        path,
        ("path", *["label"] * has_labels, "predicted", *columns),
        (
            (name, *[label or ""] * has_labels, class_names[index], *row)
            for name, label, index, row in zip(
                names, labels, indices[:, 0], rows, strict=True
            )
        ),
    )


def write_jsonl(path: Path, predictions: Predictions, top_k: int | None) -> None:
    """Writes a line an image: path, label (where known), and top, the best classes."""
    keys = ("index", "name", "logit", "probability")
    names, labels = predictions.names, predictions.label_names
    with open(path, "w", encoding="ascii") as file:
        best = predictions.best(top_k or 5)
        for name, label, columns in zip(names, labels, best, strict=True):
            top = [
                dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)
            ]
            line = {"path": name} | ({"label": label} if label else {}) | {"top": top}
            file.write(results.to_json(line) + "\n")


def write_parquet(path: Path, predictions: Predictions, top_k: int | None) -> None:
    """Writes path, label (or null), and lists of the best classes.

    The lists are top_index, top_name, top_logit and top_probability.
    """
    pa = _import_pyarrow("pyarrow")
    indices, names, logits, probabilities = zip(
        *predictions.best(top_k or 5), strict=True
    )
    # Names of files may be no UTF-8; Arrow's strings must be.
    paths = [os.fsencode(name).decode("utf-8", "replace") for name in predictions.names]
    columns = {
        "path": pa.array(paths, pa.string()),
        "label": pa.array(predictions.label_names, pa.string()),
        "top_index": pa.array(indices, pa.list_(pa.int32())),
        "top_name": pa.array(names, pa.list_(pa.string())),
        "top_logit": pa.array(logits, pa.list_(pa.float32())),
        "top_probability": pa.array(probabilities, pa.list_(pa.float32())),
    }
    _import_pyarrow("pyarrow.parquet").write_table(pa.table(columns), path)


def _import_pyarrow(module: str) -> ModuleType:
    """Only Parquet needs it, and it is large."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise FormatError(
            "a .parquet file needs a package more: pip install 'jaxart[parquet]'"
        ) from None


def write_lists(
    table: Path, names: Sequence[str], reasons: Sequence[str], notes: Sequence[str]
) -> None:
    """Writes which images gave nothing, and of which something had to be left."""
    skipped = [row for row in zip(names, reasons, strict=True) if row[1]]
    results.write_csv(sibling(table, "skipped.csv"), ("path", "reason"), skipped)
    noted = zip(names, notes, strict=True)
    results.write_notes(sibling(table, "notes.csv"), ("path", "note"), noted)


def remove_earlier(out: AnyPath, is_of_this: Mapping[str, Any]) -> None:
    """Removes an earlier table's files that would be taken for this one's."""
    for name, is_new in is_of_this.items():
        if not is_new:
            sibling(out, name).unlink(missing_ok=True)
