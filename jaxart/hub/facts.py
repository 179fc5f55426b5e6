"""What a model card says of a run, from the run's own files."""

import csv
import json
from typing import Any, NamedTuple

import numpy as np

from jaxart.predict import evaluation
from jaxart.predict.tables import Predictions
from jaxart.storage import AnyPath

# Of a config: where things lie on the machine of the training.
PATH_FIELDS = ("train_data", "val_data", "image_root", "weights")
LEFT_OUT = ("cache_dir", "workdir")


class CardFacts(NamedTuple):
    """A run's numbers: nothing of the machine that it ran on."""

    config: dict[str, Any]
    result: dict[str, Any]
    evaluation: dict[str, Any]  # as `predict.evaluation.evaluate` has it
    majority: float  # accuracy of always saying the most frequent class, 0 to 1


def card_facts(workdir: AnyPath) -> CardFacts:
    """Reads a finished run.

    Raises:
      ValueError: the run is not finished, or has no validation images.
    """
    texts = {}
    for name in ("config.json", "result.json", "predictions.csv"):
        try:
            texts[name] = (workdir / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ValueError(
                f"{workdir}: no finished run ({name} is missing)"
            ) from None
    predictions = _predictions(texts["predictions.csv"])
    report = evaluation.evaluate(predictions)
    if report is None:
        raise ValueError(f"{workdir}: predictions.csv names no image")
    return CardFacts(
        public(json.loads(texts["config.json"])),
        json.loads(texts["result.json"]),
        report,
        float(np.bincount(predictions.labels).max() / len(predictions.labels)),
    )


def public(config: dict[str, Any]) -> dict[str, Any]:
    """A config whose paths are the last part of their names."""
    kept = {name: value for name, value in config.items() if name not in LEFT_OUT}
    for name in PATH_FIELDS:
        text = str(kept.get(name) or "").replace("\\", "/")
        kept[name] = text.rstrip("/").rpartition("/")[2]
    return kept


def _predictions(text: str) -> Predictions:
    (_, _, _, *class_names), *rows = csv.reader(text.splitlines())
    probabilities = np.array([row[3:] for row in rows], np.float32)
    labels = np.array([class_names.index(row[1]) for row in rows], np.int32)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    # The file has six digits: what is 0 there is less than any of them.
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    return Predictions(
        [row[0] for row in rows],
        labels,
        class_names,
        order.astype(np.int32),
        np.take_along_axis(logits, order, 1),
        np.take_along_axis(probabilities, order, 1),
        -np.take_along_axis(logits, labels[:, None], 1)[:, 0],
    )
