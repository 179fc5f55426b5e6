"""How right predictions are, on images whose class is known.

References:
  Guo et al. 2017, "On calibration of modern neural networks": the expected
  calibration error, its bins (a, b].
"""

import importlib
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Int32

from jaxart.classifier import Classifier, ClassifierError
from jaxart.data import labels
from jaxart.data.listing import Listing
from jaxart.data.predictions import wilson_interval
from jaxart.predict.tables import UNKNOWN, Predictions

logger = logging.getLogger(__name__)

NUM_BINS = 15


def find_labels(image_list: Listing, classifier: Classifier) -> Int32[np.ndarray, " n"]:
    """The class that each image is said to show; `UNKNOWN` where none is.

    An index stands for what the list's own classes.txt calls it, if the network has
    classes of all its names, and else for the network's class of that index.
    """
    classes, unknown = {"": UNKNOWN}, []
    called: dict[int | None, str] = dict(enumerate(image_list.index_names))
    known = classifier.class_names
    if any(labels.position(name, known) is None for name in called.values()):
        called = {}
    for label in sorted(set(image_list.labels) - {""}):
        name = called.get(labels.number(label), label)
        try:
            classes[label] = classifier.class_index(name, is_name=image_list.are_names)
        except ClassifierError as error:
            classes[label] = UNKNOWN
            unknown.append((label, error))
    if unknown:
        count = sum(image_list.labels.count(label) for label, _ in unknown)
        logger.warning(
            "Labels that are no classes, and left out: those of %d images; %s",
            count,
            unknown[0][1],
        )
    return np.array([classes[label] for label in image_list.labels], np.int32)


def evaluate(
    predictions: Predictions, trained: Bool[np.ndarray, " n"] | None = None
) -> dict[str, Any] | None:
    """Metrics of the images whose label is known; None where no label is.

    The predictions are of at least 5 classes each (or of all, if fewer). `trained` are
    the images that the network was trained on, if that is known.

    Returns:
      {'count', 'accuracy', 'accuracy_ci95', 'log_loss', 'classes', 'per_class',
      'confusion', 'calibration'}, and 'top_5_accuracy' where there are more than 5
      classes; where `trained` is known, 'trained_on', 'accuracy_of_others' and
      'accuracy_of_others_ci95' (None if there are no others). Classes that are neither
      any image's label nor predicted are left out; rows of the confusion matrix are
      labels, columns are predictions.
    """
    class_names = predictions.class_names
    is_known = predictions.labels != UNKNOWN
    if not is_known.any():
        return None
    # Only labelled images need it, and it takes a second to import.
    metrics = importlib.import_module("sklearn.metrics")
    labels, indices = predictions.labels[is_known], predictions.indices[is_known]
    predicted = indices[:, 0]
    is_right = predicted == labels
    report = {"count": len(labels)} | _accuracy("accuracy", is_right)
    if len(class_names) > 5:
        is_near = (indices[:, :5] == labels[:, None]).any(axis=1)
        report["top_5_accuracy"] = float(is_near.mean())

    if trained is not None:
        is_own = trained[is_known]
        report["trained_on"] = int(is_own.sum())
        report |= _accuracy("accuracy_of_others", is_right[~is_own])

    occurring = np.union1d(labels, predicted)
    names = [class_names[index] for index in occurring]
    *columns, _ = metrics.precision_recall_fscore_support(
        labels, predicted, labels=occurring, zero_division=0
    )
    confusion = metrics.confusion_matrix(labels, predicted, labels=occurring)
    keys = ("precision", "recall", "f1", "support")
    columns.append(confusion.sum(axis=1))  # counts, and no floats
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return report | {
        "log_loss": float(predictions.losses[is_known].mean(dtype=np.float64)),
        "classes": names,
        "per_class": {
            name: dict(zip(keys, row, strict=True))
            for name, row in zip(names, rows, strict=True)
        },
        "confusion": confusion.tolist(),
        "calibration": calibrate(
            predictions.probabilities[is_known, 0].astype(np.float64), is_right
        ),
    }


def calibrate(
    confidences: Float[np.ndarray, " n"], is_right: Bool[np.ndarray, " n"]
) -> dict[str, Any]:
    """How well the predicted classes' probabilities say how often they are right.

    Returns:
      {'expected_calibration_error', 'bins'}: the mean distance of a bin's accuracy
      from its confidence, weighted by its count; and of each of 15 bins of equal
      width 'above', 'upto', 'count', 'confidence' and 'accuracy' (None if empty).
    """
    edges = np.linspace(0, 1, NUM_BINS + 1)
    bin_of: Int[np.ndarray, " n"] = np.digitize(confidences, edges[1:-1], right=True)
    bins, error = [], 0.0
    for number in range(NUM_BINS):
        chosen = bin_of == number
        count = int(chosen.sum())
        confidence = accuracy = None
        if count:
            confidence = float(confidences[chosen].mean())
            accuracy = float(is_right[chosen].mean())
            error += count / len(confidences) * abs(accuracy - confidence)
        bins.append(
            {
                "above": float(edges[number]),
                "upto": float(edges[number + 1]),
                "count": count,
                "confidence": confidence,
                "accuracy": accuracy,
            }
        )
    return {"expected_calibration_error": error, "bins": bins}


def table(report: Mapping[str, Any]) -> str:
    """What `evaluate` says, for people."""
    count, num_own = report["count"], report.get("trained_on", 0)
    lines = [f"{_shown(report, 'accuracy')} of {count} labelled images"]
    if num_own == count:
        lines.append("training has seen all of them: it says nothing of others")
    elif num_own:
        of_others = _shown(report, "accuracy_of_others")
        num_others = count - num_own
        lines.append(f"{of_others} of the {num_others} that training has not seen")
    if "top_5_accuracy" in report:
        lines.append(f"top-5 accuracy {report['top_5_accuracy']:.4f}")
    error = report["calibration"]["expected_calibration_error"]
    lines += [f"log loss {report['log_loss']:.4f}, calibration error {error:.4f}", ""]
    width = max(map(len, ["class", *report["classes"]]))
    lines.append(f"{'class':{width}}  precision  recall     f1  support")
    for name, values in report["per_class"].items():
        lines.append(
            f"{name:{width}}  {values['precision']:9.3f}  {values['recall']:6.3f}  "
            f"{values['f1']:5.3f}  {values['support']:7d}"
        )
    return "\n".join(lines)


def _accuracy(name: str, is_right: Bool[np.ndarray, " n"]) -> dict[str, Any]:
    """An accuracy and its interval; None of no images."""
    num_right, count = int(is_right.sum()), len(is_right)
    interval = f"{name}_ci95"
    if not count:
        return {name: None, interval: None}
    return {name: num_right / count, interval: [*wilson_interval(num_right, count)]}


def _shown(report: Mapping[str, Any], name: str) -> str:
    low, high = report[f"{name}_ci95"]
    return f"accuracy {report[name]:.4f} (95 % interval {low:.4f} to {high:.4f})"
