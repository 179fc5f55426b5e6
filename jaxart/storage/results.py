"""The files that a run leaves for people: JSON and CSV, never half written."""

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jaxart.storage import paths


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """95 % confidence interval of a proportion.

    Wilson 1927, "Probable inference, the law of succession, and statistical
    inference".
    """
    z = 1.959963984540054  # the normal distribution's 97.5 % point
    share = correct / total
    centre = share + z * z / (2 * total)
    reach = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return (centre - reach) / scale, (centre + reach) / scale


def write_json(path: str | os.PathLike, value: Mapping[str, Any]) -> None:
    """Writes an indented JSON file, beside and renamed."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_csv(
    path: str | os.PathLike, header: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Writes a CSV file with a header line, beside and renamed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_predictions(
    path: str | os.PathLike,
    names: Sequence[str],
    labels: Int[np.ndarray, " n"],
    probabilities: Float[np.ndarray, "n k"],
    class_names: Sequence[str],
) -> None:
    """Writes a CSV file: path, label, predicted, and each class's probability."""
    write_csv(
        path,
        ("path", "label", "predicted", *class_names),
        (
            (
                name,
                class_names[label],
                class_names[row.argmax()],
                *map("{:.6g}".format, row),
            )
            for name, label, row in zip(names, labels, probabilities, strict=True)
        ),
    )


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a UTF-8 file, beside and renamed; odd bytes of file names stay as are."""
    paths.write_bytes(paths.path(path), text.encode("utf-8", "surrogateescape"))
