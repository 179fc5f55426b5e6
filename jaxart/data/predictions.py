"""What was predicted of labelled images: as a table, and how sure its accuracy is."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from jaxart.storage import AnyPath, results


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


def write_predictions(
    path: AnyPath,
    names: Sequence[str],
    labels: Int[np.ndarray, " n"],
    probabilities: Float[np.ndarray, "n k"],
    class_names: Sequence[str],
) -> None:
    """Writes a CSV file: path, label, predicted, and each class's probability."""
    rows = []
    for name, label, row in zip(names, labels, probabilities, strict=True):
        predicted = class_names[row.argmax()]
        rows.append((name, class_names[label], predicted, *map("{:.6g}".format, row)))
    results.write_csv(path, ("path", "label", "predicted", *class_names), rows)
