"""The manifest of a pass: the records of all images with a map, a JSON line each."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from jaxart import storage
from jaxart.storage import AnyPath

TOP = 5  # likeliest classes in a line


def read_records(path: AnyPath) -> Iterator[dict[str, Any]]:
    """A manifest's lines."""
    with path.open("rb") as lines:
        yield from map(json.loads, lines)


def write_records(path: AnyPath, records: Iterable[Mapping[str, Any]]) -> None:
    """Writes a manifest, whole."""
    with storage.written(path) as file, file.open("wb") as lines:
        for record in records:
            lines.write(json.dumps(record, allow_nan=False).encode() + b"\n")


def describe(
    class_names: Sequence[str],
    logits: Float32[np.ndarray, " k"],
    target: int,
    label: int | None,
) -> dict[str, Any]:
    """What a network says of an image, for its record.

    Raises:
      FloatingPointError: a logit is not finite.
    """
    if not np.isfinite(logits).all():
        raise FloatingPointError("the network's logits are not finite")
    exponentials = np.exp(logits.astype(np.float64) - logits.max())
    probabilities = exponentials / exponentials.sum()
    order = np.argsort(-probabilities, kind="stable")[:TOP]
    record = {
        "predicted": int(order[0]),
        "predicted_name": class_names[order[0]],
        "logit": float(logits[order[0]]),
        "probability": float(probabilities[order[0]]),
        "top5": [
            {
                "index": int(i),
                "name": class_names[i],
                "probability": float(probabilities[i]),
            }
            for i in order
        ],
        "target": target,
        "target_name": class_names[target],
        "target_logit": float(logits[target]),
    }
    if label is not None:
        record |= {"label": label, "label_name": class_names[label]}
    return record
