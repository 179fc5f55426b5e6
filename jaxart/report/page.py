"""The page itself: one file that asks for nothing, made of templates."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jinja2
import numpy as np

from jaxart.report import plots
from jaxart.report.reading import Table
from jaxart.training.config import base_config

MAX_CLASSES = 40  # of the confusion matrix: those with the most mistakes

_CURVES = ("loss", "accuracy")


class Shown(NamedTuple):
    """The pictures of a page, by row of the table: `data:` URIs."""

    table: Table
    in_cells: list[int]  # what the matrix's cells open, as far as it can be read
    thumbnails: dict[int, str]
    cards: dict[int, str]
    maps: dict[int, str]


def of_run(numbers: dict[str, Any], shown: Shown) -> str:
    """The page of a run: what `facts` says, and its pictures."""
    table = shown.table
    of_labels = table.probabilities[np.arange(len(table.names)), table.labels].tolist()
    images = [
        {
            "name": _readable(name),
            "label": table.class_names[label],
            "predicted": table.class_names[predicted],
            "probability": confidence,
            "of_label": of_label,
            "right": bool(label == predicted),
        }
        for name, label, predicted, confidence, of_label in zip(
            *(table.names, table.labels, table.predicted, table.confidences.tolist()),
            of_labels,
            strict=True,
        )
    ]
    matrix = _matrix(numbers, shown)
    cells = [cell for row in matrix["rows"] for cell in row["cells"]]
    opened = {row for cell in cells for row in cell["rows"]}
    return _render(
        "run.html",
        numbers,
        images=images,
        facts=numbers["data"],
        chance_loss=math.log(len(numbers["classes"])),
        shown=shown,
        matrix=matrix,
        figures=_figures({"": numbers}, ("train", "val")),
        reliability=_reliability(numbers["calibration"]),
        experiment=experiment(numbers["config"]),
        data={
            "thumbnails": shown.thumbnails,
            "images": {row: images[row] for row in sorted(opened)},
            "cells": {cell["key"]: cell for cell in cells if cell["count"]},
        },
    )


def of_runs(numbers: Sequence[dict[str, Any]], pairs: Sequence[dict[str, Any]]) -> str:
    """The page of several runs, of distinct names: what `facts` says of each."""
    configs = [run["config"] for run in numbers]
    fields = dict.fromkeys(field for config in configs for field in config)
    differing = {
        field: [config.get(field) for config in configs]
        for field in fields
        if field != "network"
        and any(config.get(field) != configs[0].get(field) for config in configs)
    }
    title = f"{len(numbers)} runs"
    by_name = {run["name"]: run for run in numbers}
    return _render(
        "runs.html",
        {"name": title, "runs": numbers, "pairs": pairs, "differing": differing},
        figures=_figures(by_name, ("val",)) + _figures(by_name, ("train",)),
    )


def experiment(config: dict[str, Any]) -> str:
    """A file for `jaxart train --config=`, that sets what is not as by default."""
    lines = []
    for field, default in base_config().items():
        value = config.get(field, default)
        value = tuple(value) if isinstance(value, list) else value
        if value != default:
            lines.append(f"    config.{field} = {value!r}\n")
    return (
        "from jaxart.training.config import base_config\n\n\n"
        "def get_config():\n    config = base_config()\n"
        f"{''.join(lines)}    return config\n"
    )


def _matrix(numbers: dict[str, Any], shown: Shown) -> dict[str, Any]:
    """The confusion matrix of the classes with the most mistakes, cell by cell."""
    counts, names = np.array(numbers["confusion"]), numbers["classes"]
    mistakes = counts.sum(0) + counts.sum(1) - 2 * counts.diagonal()
    classes = sorted(np.argsort(-mistakes, kind="stable")[:MAX_CLASSES].tolist())
    rows_of: dict[tuple[int, int], list[int]] = {}
    for row in shown.in_cells:
        if row in shown.thumbnails:
            cell = int(shown.table.labels[row]), int(shown.table.predicted[row])
            rows_of.setdefault(cell, []).append(row)
    rows = []
    for i in classes:
        total = int(counts[i].sum())
        cells = [
            {
                "key": f"{i},{j}",
                "label": names[i],
                "predicted": names[j],
                "count": int(counts[i, j]),
                "ratio": float(counts[i, j] / total) if total else 0.0,
                "rows": rows_of.get((i, j), []),
            }
            for j in classes
        ]
        rows.append({"name": names[i], "total": total, "cells": cells})
    return {
        "names": [names[i] for i in classes],
        "rows": rows,
        "num_left_out": len(names) - len(classes),
    }


def _figures(
    runs: dict[str, dict[str, Any]], sides: Sequence[str]
) -> list[dict[str, str]]:
    """Curves of loss and accuracy, of all runs on the same axes."""
    words = {"train": "training (a batch's)", "val": "validation"}
    figures = []
    for what in _CURVES:
        lines = {}
        for name, numbers in runs.items():
            for side in sides:
                if points := numbers["curves"].get(f"{side}/{what}"):
                    lines[name or words[side]] = points
        if lines:
            of = words[sides[0]] if len(sides) == 1 else "training and validation"
            ends = "; ".join(f"{k} ends at {v[-1][1]:.3f}" for k, v in lines.items())
            title = f"{of.split(' (')[0]} {what}" if len(sides) == 1 else what
            label = f"Curves of {what}, {of}: {ends}"
            figures.append({"title": title, "svg": plots.curves(what, lines, label)})
    return figures


def _reliability(calibration: dict[str, Any]) -> list[dict[str, str]]:
    figures = []
    for name, title in (
        ("before", "as trained"),
        ("after", "with a temperature (cross-fitted)"),
    ):
        if measured := calibration[name]:
            error = measured["expected_calibration_error"]
            label = f"Reliability {title}: expected calibration error {error:.3f}"
            svg = plots.reliability(name, measured, label)
            figures.append({"title": f"{title}: error {error:.3f}", "svg": svg})
    return figures


def _render(template: str, numbers: dict[str, Any], **more: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jaxart.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _percent,
        "interval": _interval,
        "number": _number,
        "readable": _readable,
    }
    return environment.get_template(template).render(numbers | more)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _interval(bounds: Sequence[float] | None) -> str:
    return "" if bounds is None else f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f} %"


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_number, value))
    return "–" if value in (None, "") else str(value)


def _readable(text: str) -> str:
    """Bytes of a name that are no UTF-8 become U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode(errors="replace")
