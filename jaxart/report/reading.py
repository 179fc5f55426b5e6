"""What a run's folder holds: its predictions, its settings, its lists, its curves."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float64, Int64

from jaxart import storage
from jaxart.data import predictions, trained_on
from jaxart.report import curves
from jaxart.storage import AnyPath, results
from jaxart.storage.results import DamagedError

T = TypeVar("T")


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
      DamagedError: a file is not as training writes it.
    """
    config = _if_there(results.read_json, workdir / "config.json")
    if config is None:
        raise ReportError(
            f"{workdir}: no run of `jaxart train` (config.json is missing)"
        )
    path = workdir / "predictions.csv"
    rows = _if_there(results.read_csv, path) or []
    if rows and tuple(rows[0][:3]) != predictions.COLUMNS:
        raise DamagedError(f"{path}: damaged: no table of a run's predictions")
    if len(rows) < 2:
        raise ReportError(
            f"{workdir}: the run has no predictions yet (predictions.csv is missing or "
            "empty); the same command of `jaxart train` goes on with it"
        )
    missing = []
    result = _if_there(results.read_json, workdir / "result.json")
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
        _table(path, rows),
        of_steps,
        _dicts(workdir / "skipped.csv", "path", "reason"),
        _dicts(workdir / "leaks.csv"),
        _count_copies(workdir),
        missing,
    )


def _table(path: AnyPath, rows: list[list[str]]) -> Table:
    header, *rows = rows
    class_names = [predictions.class_of(column) for column in header[3:]]
    index_of = {name: index for index, name in enumerate(class_names)}
    try:
        return Table(
            [row[0] for row in rows],
            class_names,
            np.array([index_of[row[1]] for row in rows], np.int64),
            np.array([index_of[row[2]] for row in rows], np.int64),
            np.array([row[3:] for row in rows], np.float64),
        )
    except (LookupError, ValueError) as error:
        raise DamagedError(
            f"{path}: damaged: no table of a run's predictions ({error})"
        ) from None


def _count_copies(workdir: AnyPath) -> int | None:
    rows = _dicts(workdir / trained_on.NAME, "sha256")
    return len(rows) - len({row["sha256"] for row in rows}) if rows else None


def _if_there(read: Callable[[AnyPath], T], path: AnyPath) -> T | None:
    """What a file says; None where there is none."""
    try:
        return read(path)
    except FileNotFoundError:
        return None


def _dicts(path: AnyPath, *columns: str) -> list[dict[str, str]]:
    """The rows of a table with these columns; none where there is no file."""
    try:
        return results.read_dicts(path, *columns)
    except FileNotFoundError:
        return []
