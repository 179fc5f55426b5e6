"""What a run's folder holds: its predictions, its settings, its lists, its curves."""

import csv
import io
import json
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from jaxart import storage
from jaxart.data import predictions, trained_on
from jaxart.report import curves
from jaxart.storage import AnyPath


class ReportError(ValueError):
    """There is nothing to report; the message says why."""


class Table(NamedTuple):
    """What a run's best epoch says of its validation images."""

    names: list[str]  # each image's path, as its list gives it
    class_names: list[str]
    labels: Int64[np.ndarray, " n"]
    predicted: Int64[np.ndarray, " n"]
    probabilities: Float64[np.ndarray, "n k"]

    @property
    def is_right(self) -> Bool[np.ndarray, " n"]:
        return self.predicted == self.labels

    @property
    def confidences(self) -> Float64[np.ndarray, " n"]:
        """The probability of each image's predicted class."""
        return self.probabilities[np.arange(len(self.names)), self.predicted]


class RunFolder(NamedTuple):
    """A run's files, read; `missing` says what is not there, and so not reported."""

    workdir: AnyPath
    config: dict[str, Any]
    result: dict[str, Any]
    table: Table
    curves: curves.Curves
    skipped: list[dict[str, str]]
    leaks: list[dict[str, str]]
    num_copies: int | None  # training images that another has the content of
    missing: list[str]

    @property
    def name(self) -> str:
        return self.workdir.name or str(self.workdir)

    @property
    def image_root(self) -> AnyPath:
        """Where its validation images lie, unless they were moved."""
        config = self.config
        if config.get("train_data") == "procedural":
            return self.workdir / "procedural"
        source = storage.path(config.get("val_data") or config.get("train_data", ""))
        if source.is_dir():
            return source
        return storage.path_or_none(config.get("image_root") or "") or source.parent


def read(workdir: AnyPath) -> RunFolder:
    """Reads what a run of `jaxart train` left, of an earlier jaxart, too.

    Raises:
      ReportError: the folder holds no run, or one without predictions.
    """
    config = _json(workdir / "config.json")
    if config is None:
        raise ReportError(
            f"{workdir}: no run of `jaxart train` (config.json is missing)"
        )
    rows = _rows(workdir / "predictions.csv")
    if not rows or len(rows) < 2:
        raise ReportError(
            f"{workdir}: the run has no predictions yet (predictions.csv is missing or "
            "empty); the same command of `jaxart train` goes on with it"
        )
    missing = []
    result = _json(workdir / "result.json")
    if result is None:
        missing.append("result.json: the run did not end")
    elif "temperature" not in result:
        missing.append("the temperature and versions: the run is of an earlier jaxart")
    of_steps = curves.read(workdir)
    if not of_steps:
        missing.append("curves: there are no event files of TensorBoard")
    return RunFolder(
        workdir,
        config,
        result or {},
        _table(rows),
        of_steps,
        _dicts(workdir / "skipped.csv"),
        _dicts(workdir / "leaks.csv"),
        _count_copies(workdir),
        missing,
    )


def _table(rows: list[list[str]]) -> Table:
    (_, _, _, *columns), *rows = rows
    class_names = [predictions.class_of(column) for column in columns]
    index_of = {name: index for index, name in enumerate(class_names)}
    return Table(
        [row[0] for row in rows],
        class_names,
        np.array([index_of[row[1]] for row in rows], np.int64),
        np.array([index_of[row[2]] for row in rows], np.int64),
        np.array([row[3:] for row in rows], np.float64),
    )


def _count_copies(workdir: AnyPath) -> int | None:
    rows = _dicts(workdir / trained_on.NAME)
    return len(rows) - len({row["sha256"] for row in rows}) if rows else None


def _json(path: AnyPath) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _rows(path: AnyPath) -> list[list[str]]:
    """Of a CSV file, with its header; none where there is no file."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return []
    return list(csv.reader(io.StringIO(text, newline="")))


def _dicts(path: AnyPath) -> list[dict[str, str]]:
    header, *rows = _rows(path) or [[]]
    return [dict(zip(header, row, strict=True)) for row in rows]
