"""What a run shows in TensorBoard, through a clu `MetricWriter`.

A step's number is how many training steps are done.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tensorboard.plugins.histogram import metadata as histogram_metadata

from jaxart.training import figures


def write_config(writer: Any, step: int, fields: Mapping[str, Any]) -> None:
    """Writes the hyper-parameters from a step on: for the HParams page, and as a table.

    The page reads a run's metrics from its scalars; of a resumed run it keeps what was
    written first.
    """
    plain = (int, float, str)
    writer.write_hparams(
        {
            name: value if isinstance(value, plain) else ",".join(map(str, value))
            for name, value in fields.items()
        }
    )
    rows = "".join(f"| {name} | `{value!r}` |\n" for name, value in fields.items())
    table = f"| field | value |\n|---|---|\n{rows}"
    writer.write_texts(step, {"hyperparameters": table})


def write_training(
    writer: Any, step: int, logs: Mapping[str, Any], learning_rate: float
) -> None:
    """Writes what a training step logs: numbers, and histograms of trained layers."""
    numbers = ("loss", "accuracy", "gradient_norm")
    scalars = {f"train/{name}": float(logs[name]) for name in numbers}
    writer.write_scalars(step, scalars | {"train/learning_rate": learning_rate})

    # Already bucketed: a summary of the histogram plugin's, as clu has no call for it.
    histograms = {
        f"{layer}/{name}{suffix}": np.asarray(rows)
        for kind, suffix in (("value", ""), ("gradient", "/gradient"))
        for layer, arrays in logs["histograms"][kind].items()
        for name, rows in arrays.items()
    }
    metadata = histogram_metadata.create_summary_metadata(
        display_name=None, description=None
    )
    writer.write_summaries(step, histograms, dict.fromkeys(histograms, metadata))


def write_validation(
    writer: Any, step: int, metrics: Mapping[str, Any], class_names: Sequence[str]
) -> None:
    """Writes an epoch's validation, of `steps.evaluate`, and how each class fared."""
    confusion = metrics["confusion"]
    scalars = {f"val/{name}": metrics[name] for name in ("loss", "accuracy")}
    for i, name in enumerate(class_names):
        if confusion[i].any():  # the class has examples
            scalars[f"val/class_accuracy/{name}"] = confusion[i, i] / confusion[i].sum()
    writer.write_scalars(step, scalars)
    picture = figures.confusion_matrix(confusion, class_names)
    writer.write_images(step, {"val/confusion_matrix": picture})
