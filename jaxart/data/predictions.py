"""What was predicted of labelled images: as a table, and how sure its accuracy is."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from jaxart.data import tables
from jaxart.storage import AnyPath, results

COLUMNS = ("path", "label", "predicted")  # the first; the rest are the classes

_MARK = "probability of "  # begins a column's name that would be another's


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """95 % confidence interval of a proportion.

    Wilson 1927, "Probable inference, the law of succession, and statistical
    inference".
    """
    z = 1.959963984540054  # the normal distribution's 97.5 % point
    rate = correct / total
    centre = rate + z * z / (2 * total)
    reach = z * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return (centre - reach) / scale, (centre + reach) / scale


def column_of(class_name: str) -> str:
    """The column of a class's probability: its name, where no other is called so."""
    is_other = tables.is_known(class_name) or class_name.lower() == "predicted"
    is_marked = is_other or class_name.startswith(_MARK)
    return f"{_MARK}{class_name}" if is_marked else class_name


def class_of(column: str) -> str:
    """The class whose probability a column holds."""
    return column.removeprefix(_MARK)


def write_predictions(
    path: AnyPath,
    names: Sequence[str],
    labels: Int[np.ndarray, " n"],
    probabilities: Float[np.ndarray, "n k"],
    class_names: Sequence[str],
) -> None:
    """Writes a CSV file: path, label, predicted, and each class's probability."""
    columns, rows = map(column_of, class_names), []
    for name, label, row in zip(names, labels, probabilities, strict=True):
        predicted = class_names[row.argmax()]
        rows.append((name, class_names[label], predicted, *map("{:.6g}".format, row)))
    results.write_csv(path, (*COLUMNS, *columns), rows)
