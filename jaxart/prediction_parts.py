"""What shares of a prediction leave on disk, and how it becomes one again."""

import contextlib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int32

from jaxart import prediction_files
from jaxart.data.shares import Share
from jaxart.parts import Note


class Part(NamedTuple):
    """What the network says of some batches of a list.

    Attributes:
      columns: indices, logits, probabilities and losses of the M images that can be
        read; none at all where there is no batch.
      reasons: for each image the reason why it cannot be read ('' where it can).
    """

    columns: list[Float[np.ndarray, "m ..."] | Int32[np.ndarray, "m ..."]]
    reasons: list[str]


def save(path: Path, part: Part) -> Note:
    """Writes the columns, beside and renamed; returns what `load` needs besides."""
    beside = path.with_name(f"{path.name}.tmp")
    with open(beside, "wb") as file:
        np.savez(file, *part.columns)
    os.replace(beside, path)
    skipped = [(i, reason) for i, reason in enumerate(part.reasons) if reason]
    return {"num_images": len(part.reasons), "skipped": skipped}


def load(path: Path, note: Note) -> Part:
    """Reads what `save` wrote, given what it returned."""
    reasons = [""] * note["num_images"]
    for index, reason in note["skipped"]:
        reasons[index] = reason
    with np.load(path) as columns:
        return Part([columns[name] for name in columns], reasons)


def join(parts: Sequence[Part], batch_size: int) -> Part:
    """Puts the parts of shares 1 to N together, in the order of the images."""
    places = _places(parts, batch_size)
    reasons = [""] * sum(map(len, places))
    for place, part in zip(places, parts, strict=True):
        for index, reason in zip(place, part.reasons, strict=True):
            reasons[index] = reason
    is_read = np.array([not reason for reason in reasons])
    order = np.argsort(np.concatenate([place[is_read[place]] for place in places]))
    columns = zip(*(part.columns for part in parts if part.columns), strict=True)
    return Part([np.concatenate(pieces)[order] for pieces in columns], reasons)


def join_features(
    parts: Sequence[Part], paths: Sequence[Path], batch_size: int, out: Path
) -> None:
    """Puts files of activations together, a batch at a time.

    Args:
      parts: of shares 1 to N.
      paths: the .npy file of each.
      batch_size: images in a batch.
      out: the .npy file to write.
    """
    with (
        contextlib.ExitStack() as stack,
        prediction_files.growing_npy(out) as append,
    ):
        files = [stack.enter_context(open(path, "rb")) for path in paths]
        shapes = [_read_shape(file) for file in files]
        num_images = sum(len(part.reasons) for part in parts)
        for batch in range(math.ceil(num_images / batch_size)):
            turn, number = divmod(batch, len(parts))
            start = turn * batch_size
            reasons = parts[number].reasons[start : start + batch_size]
            shape = (reasons.count(""), *shapes[number])
            rows = np.fromfile(files[number], "<f4", math.prod(shape))
            append(rows.reshape(shape))


def _places(parts: Sequence[Part], batch_size: int) -> list[Int[np.ndarray, " m"]]:
    """Where the images of each part are in the list."""
    num_images = sum(len(part.reasons) for part in parts)
    return [
        np.flatnonzero(Share(i + 1, len(parts)).mask(num_images, batch_size))
        for i in range(len(parts))
    ]


def _read_shape(file: BinaryIO) -> tuple[int, ...]:
    """A .npy file's shape but for the number of rows; its rows are read next."""
    np.lib.format.read_magic(file)
    shape, _, _ = np.lib.format.read_array_header_1_0(file)
    return shape[1:]
