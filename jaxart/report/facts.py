"""The numbers of a run's report, as plain data that JSON knows.

References:
  Wilson 1927, "Probable inference, the law of succession, and statistical inference".
  Efron 1979, "Bootstrap methods: another look at the jackknife".
  Guo et al. 2017, "On calibration of modern neural networks".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from scipy import sparse

from jaxart.data import temperature
from jaxart.data.predictions import wilson_interval
from jaxart.predict import evaluation
from jaxart.report import reading
from jaxart.report.reading import RunFolder, Table
from jaxart.storage import AnyPath

NUM_SHOWN = 24  # of the most confident mistakes, and of the least certain paintings
NUM_TYPICAL = 6  # of each class

_NUM_RESAMPLES = 2000
_SEED = 0
_SMALLEST = 1e-38  # a probability below is written as 0, and has no logarithm


def of_run(workdir: AnyPath) -> dict[str, Any]:
    """The numbers of a run's folder.

    Raises:
      ReportError: the folder holds no run, or one without predictions.
    """
    return of_folder(reading.read(workdir))


def of_folder(run: RunFolder) -> dict[str, Any]:
    """The numbers of what was read of a run's folder.

    Returns:
      {'name', 'classes', 'count', 'accuracy', 'accuracy_ci95', 'majority', 'log_loss',
      'confusion', 'per_class', 'calibration', 'mistakes', 'uncertain', 'typical',
      'curves', 'data', 'result', 'config', 'missing'}. Images are numbers of rows of
      predictions.csv, from 0.
    """
    table, result = run.table, run.result
    num_right, count = int(table.is_right.sum()), len(table.names)
    supports = np.bincount(table.labels, minlength=len(table.class_names))
    largest = int(supports.argmax())
    return {
        "name": run.name,
        "classes": table.class_names,
        "count": count,
        "accuracy": num_right / count,
        "accuracy_ci95": list(wilson_interval(num_right, count)),
        "majority": {
            "name": table.class_names[largest],
            "accuracy": int(supports[largest]) / count,
        },
        "log_loss": temperature.negative_log_likelihood(_logits(table), table.labels),
        "confusion": confusion(table).tolist(),
        "per_class": per_class(table),
        "calibration": calibration(table) | {"temperature": result.get("temperature")},
        "mistakes": _first(-table.confidences, ~table.is_right, NUM_SHOWN),
        "uncertain": _first(table.confidences, table.is_right | True, NUM_SHOWN),
        "typical": [
            _first(
                -table.confidences,
                table.is_right & (table.labels == index),
                NUM_TYPICAL,
            )
            for index in range(len(table.class_names))
        ],
        "curves": run.curves,
        "data": {
            "num_train": result.get("num_train"),
            "num_copies": run.num_copies,
            "num_val": count,
            "num_skipped": len(run.skipped),
            "leaks": result.get("leaks"),
            "skipped": run.skipped,
            "leaking": run.leaks,
        },
        "result": result,
        "config": run.config,
        "missing": run.missing,
    }


def confusion(table: Table) -> Int64[np.ndarray, "k k"]:
    """How many images of each class (rows) are predicted as each class (columns)."""
    num_classes = len(table.class_names)
    counts = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts, (table.labels, table.predicted), 1)
    return counts


def per_class(table: Table) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each class, with 95 % intervals; None for 0 / 0.

    Intervals are Wilson's for precision and recall, and for F1 the percentile
    bootstrap's over images, of the resamples in which the class occurs.
    """
    counts = confusion(table)
    right, supports, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    lows, highs = _f1_intervals(counts)
    rows = []
    for index, name in enumerate(table.class_names):
        hits, support, num_predicted = (
            int(x[index]) for x in (right, supports, predicted)
        )
        row = {"name": name, "support": support, "predicted": num_predicted}
        for what, total in (("precision", num_predicted), ("recall", support)):
            row[what] = hits / total if total else None
            interval = list(wilson_interval(hits, total)) if total else None
            row[f"{what}_ci95"] = interval
        both = support + num_predicted
        row["f1"] = 2 * hits / both if both else None
        interval = [float(lows[index]), float(highs[index])]
        row["f1_ci95"] = interval if both else None
        rows.append(row)
    return rows


def _f1_intervals(counts: Int64[np.ndarray, "k k"]) -> Float64[np.ndarray, "2 k"]:
    """Images that are drawn with replacement fall into cells as multinomial counts."""
    num_classes = len(counts)
    rows, columns = counts.nonzero()
    cells = counts[rows, columns]
    rng = np.random.default_rng(_SEED)
    drawn = rng.multinomial(cells.sum(), cells / cells.sum(), _NUM_RESAMPLES)

    def totals(classes, chosen=slice(None)):
        places = np.arange(len(classes))[chosen]
        ones = np.ones(len(places))
        shape = (len(classes), num_classes)
        adding = sparse.csr_array((ones, (places, classes[chosen])), shape)
        return drawn @ adding

    both = totals(rows) + totals(columns)
    with np.errstate(invalid="ignore"):
        scores = 2 * totals(rows, rows == columns) / both
    occurring = counts.sum(0) + counts.sum(1) > 0
    intervals = np.full((2, num_classes), np.nan)
    intervals[:, occurring] = np.nanpercentile(scores[:, occurring], (2.5, 97.5), 0)
    return intervals


def calibration(table: Table) -> dict[str, Any]:
    """How sure the run is and how sure it may be, before and after a temperature.

    The temperatures behind 'after' are fitted on the other half of the images, so that
    it does not flatter.

    Returns:
      {'before', 'after', 'halves'}: two of `evaluation.calibrate`, and the halves'
      temperatures; None where there are too few images.
    """
    before = evaluation.calibrate(table.confidences, table.is_right)
    scaled = temperature.cross_fit(_logits(table), table.labels, _SEED)
    if scaled is None:
        return {"before": before, "after": None, "halves": None}
    probabilities, halves = scaled
    confidences = table._replace(probabilities=probabilities).confidences
    after = evaluation.calibrate(confidences, table.is_right)
    return {"before": before, "after": after, "halves": halves}


def _logits(table: Table) -> Float64[np.ndarray, "n k"]:
    """Log probabilities, which are logits up to a constant of each row."""
    return np.log(np.maximum(table.probabilities, _SMALLEST))


def _first(keys: np.ndarray, is_chosen: np.ndarray, count: int) -> Sequence[int]:
    """The chosen rows with the smallest keys."""
    order = np.argsort(keys, kind="stable")
    return order[is_chosen[order]][:count].tolist()
