"""The manifest of a pass: the records of all images with a map, a JSON line each."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from jaxart import storage
from jaxart.saliency.question import Question
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


def softmax(logits: Float32[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
    """Probabilities, to all digits."""
    exponentials = np.exp(logits.astype(np.float64) - logits.max())
    return exponentials / exponentials.sum()


def describe_image(
    class_names: Sequence[str], logits: Float32[np.ndarray, " k"], label: int | None
) -> dict[str, Any]:
    """What a network says of an image, for its record.

    Raises:
      FloatingPointError: a logit is not finite.
    """
    if not np.isfinite(logits).all():
        raise FloatingPointError("the network's logits are not finite")
    probabilities = softmax(logits)
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
    }
    if label is not None:
        record |= {"label": label, "label_name": class_names[label]}
    return record


def describe_map(
    question: Question,
    class_names: Sequence[str],
    logits: Float32[np.ndarray, " k"],
    classes: Sequence[int],
    values: Float32[np.ndarray, "s s"],
    limit: float,
) -> dict[str, Any]:
    """What a map shows, for its image's record.

    `classes` are the target and, if any, the class that it is against; `limit` is the
    value at the end of the colour table.
    """
    record = {
        "method": question.method,
        "settings": question.settings,
        "score": question.score,
        "asked": question.target,
    }
    for role, index in zip(("target", "against"), classes, strict=False):
        record |= {
            role: index,
            f"{role}_name": class_names[index],
            f"{role}_logit": float(logits[index]),
        }
    return record | {
        "map": {
            "min": float(values.min()),
            "max": float(values.max()),
            "sum": float(values.sum(dtype=np.float64)),
            "limit": limit,
        }
    }
