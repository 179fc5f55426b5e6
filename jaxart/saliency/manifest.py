"""The record of a run: one JSON line an image, which says that the image is done."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

TOP = 5  # likeliest classes in a line


class Manifest:
    """A file of JSON lines that only grows, and survives any stop.

    A line counts when it is complete. What a killed process left of its last line
    is cut off when the file is opened again.

    Attributes:
      done: the `path` of every line.
    """

    def __init__(self, path: Path):
        self.path = path
        self.done: set[str] = set()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        complete = 0
        for entry, size in _complete_lines(path):
            self.done.add(entry["path"])
            complete += size
        self._file.truncate(complete)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Writes an image's line; its files must be there already."""
        self._file.write(json.dumps(entry, allow_nan=False).encode() + b"\n")
        self._file.flush()
        self.done.add(entry["path"])

    def entries(self) -> Iterator[dict[str, Any]]:
        """Every line, one after the other."""
        with self.path.open("rb") as lines:
            yield from map(json.loads, lines)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_entries(path: Path) -> Iterator[dict[str, Any]]:
    """A record's complete lines; none where there is no such file."""
    if path.is_file():
        yield from (entry for entry, _ in _complete_lines(path))


def _complete_lines(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Each line's entry and size, up to the first that is not complete."""
    with path.open("rb") as lines:
        for line in lines:
            entry = _parse(line)
            if entry is None:
                return
            yield entry, len(line)


def _parse(line: bytes) -> dict[str, Any] | None:
    """A line's entry; None where the line is not complete."""
    try:
        entry = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "path" in entry else None


def describe(
    class_names: Sequence[str],
    logits: Float32[np.ndarray, " k"],
    target: int,
    label: int | None,
) -> dict[str, Any]:
    """What a network says of an image, for the image's line.

    Args:
      class_names: what each logit stands for.
      logits: [K].
      target: the class that the map explains.
      label: the class that the image is said to show, if any.

    Raises:
      FloatingPointError: a logit is not finite.
    """
    if not np.isfinite(logits).all():
        raise FloatingPointError("the network's logits are not finite")
    exponentials = np.exp(logits.astype(np.float64) - logits.max())
    probabilities = exponentials / exponentials.sum()
    order = np.argsort(-probabilities, kind="stable")[:TOP]
    entry = {
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
        entry |= {"label": label, "label_name": class_names[label]}
    return entry
