"""The record of a run: one JSON line an image, which says that the image is done."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from jaxart import json_chunks, json_lines, storage
from jaxart.remote import RemotePath
from jaxart.storage import AnyPath

TOP = 5  # likeliest classes in a line


class Manifest:
    """JSON lines that only get more, and survive any stop.

    Args:
      path: a file; in an object store a folder, for objects of a few lines.

    Attributes:
      done: the `path` of every line; from a store, of every line that is added.
    """

    def __init__(self, path: AnyPath):
        self.path = path
        self.done: set[str] = set()
        if isinstance(path, RemotePath):
            self._lines = json_chunks.Appender(path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lines = json_lines.Appender(path, _has_path, self._note)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Writes an image's line; its files must be there already."""
        self._lines.append(entry)
        self._note(entry)

    def flush(self) -> None:
        """Makes sure that all lines are in the file, or in the store."""
        self._lines.flush()

    def close(self) -> None:
        """Closes the file; puts what is not in the store yet."""
        self._lines.close()

    def _note(self, entry: Mapping[str, Any]) -> None:
        self.done.add(entry["path"])


def read_entries(path: AnyPath) -> Iterator[dict[str, Any]]:
    """A record's complete lines; none where there is no such file."""
    if path.is_file():
        yield from json_lines.read(path, _has_path)


def write_entries(
    path: AnyPath, entries: Iterable[Mapping[str, Any]], names: Sequence[str]
) -> None:
    """Writes a record anew, in the order of the images.

    Images that are none of `names` come first, as they stand. Each image keeps one
    line: its first.
    """
    kept: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        kept.setdefault(entry["path"], entry)
    place = {name: i for i, name in enumerate(names)}
    with storage.local_file(path) as local:
        beside = local.with_name(f"{local.name}.tmp")
        with beside.open("wb") as file:
            for entry in sorted(kept.values(), key=lambda e: place.get(e["path"], -1)):
                file.write(json.dumps(entry).encode() + b"\n")
        os.replace(beside, local)


def _has_path(entry: Mapping[str, Any]) -> bool:
    return "path" in entry


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
