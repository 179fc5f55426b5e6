"""A run's model card: Markdown with the front matter that the hub reads."""

from collections.abc import Iterable, Sequence
from typing import Any

from jaxart import models

_TEXT = """
# {name}

{model} for {num_classes} classes, fine-tuned with jaxart: of its layers, {train_layers}
learned; the others are those of the weights that it began with.

## Use

```python
import jaxart

network = jaxart.load("hf://{repo}")
network.predict("painting.jpg")
network.explain("painting.jpg", method="grad_cam")
```

or `jaxart saliency --weights=hf://{repo} --images=FOLDER --out=MAPS`. The file says how
images are prepared; jaxart does it.

## Data

{num_train} training and {num_val} validation images; {num_skipped} could not be read.

## Accuracy

On the validation images: **{accuracy:.4f}** (95 % interval {low:.4f} to {high:.4f});
always saying the most frequent class gives {majority:.4f}. Log loss {log_loss:.4f},
expected calibration error {calibration_error:.4f}{calibrated}.
The best epoch was chosen on these same images, which makes the accuracy somewhat too
high.

{per_class}

### Confusion

Rows are labels, columns are predictions.

{confusion}

## Limits

It knows these classes only, and gives one of them to any image. It has seen digital
reproductions, whose colours, crops and frames may tell classes apart as well as style
does. It is no tool to attribute or authenticate works. Maps say what this network
looks at, not what a class is.

## Training

{training}
"""


def front_matter(
    repo: str, license_name: str, numbers: dict[str, Any], hub: Any
) -> Any:
    """The card's fields, as huggingface_hub's `ModelCardData`."""
    config = numbers["config"]
    metric = hub.EvalResult(
        task_type="image-classification",
        dataset_type="imagefolder",
        dataset_name=config["train_data"] or "images",
        dataset_split="validation",
        metric_type="accuracy",
        metric_value=numbers["accuracy"],
    )
    return hub.ModelCardData(
        license=license_name,
        library_name="jaxart",
        pipeline_tag="image-classification",
        tags=["jax", "flax", config["model"]],
        model_name=repo.rpartition("/")[2],
        eval_results=[metric],
    )


def text(repo: str, numbers: dict[str, Any]) -> str:
    """What people read, below the front matter; of the numbers of a run's report."""
    config, result = numbers["config"], numbers["result"]
    low, high = numbers["accuracy_ci95"]
    calibration, names = numbers["calibration"], numbers["classes"]
    settings = {name: config[name] for name in config if name != "network"}
    settings |= result.get("versions", {})
    rows = zip(names, numbers["confusion"], strict=True)
    return _TEXT.format(
        name=repo.rpartition("/")[2],
        repo=repo,
        model=models.MODELS[config["model"]].__name__,
        num_classes=len(names),
        train_layers=", ".join(config["train_layers"]),
        num_train=result["num_train"],
        num_val=numbers["count"],
        num_skipped=numbers["data"]["num_skipped"],
        accuracy=numbers["accuracy"],
        low=low,
        high=high,
        majority=numbers["majority"]["accuracy"],
        log_loss=numbers["log_loss"],
        calibration_error=calibration["before"]["expected_calibration_error"],
        calibrated=_calibrated(calibration),
        per_class=_table(
            ("class", "precision", "recall", "F1", "images"), _rows(numbers)
        ),
        confusion=_table(
            ("", *names),
            ((name, *row) for name, row in rows),
        ),
        training=_table(
            ("setting", "value"),
            [(k, v) for k, v in settings.items() if v not in ("", None)],
        ),
    )


def _calibrated(calibration: dict[str, Any]) -> str:
    """The error at a temperature, where there are images enough to say."""
    after, temperature = calibration["after"], calibration["temperature"]
    if after is None or temperature is None:
        return ""
    error = after["expected_calibration_error"]
    return f" ({error:.4f} with logits divided by a temperature of {temperature:.3f})"


def _rows(numbers: dict[str, Any]) -> Iterable[Sequence[Any]]:
    """Each class's numbers with their intervals."""
    for row in numbers["per_class"]:
        cells = [row["name"]]
        for key in ("precision", "recall", "f1"):
            if row[key] is None:
                cells.append("-")
            else:
                low, high = row[f"{key}_ci95"]
                cells.append(f"{row[key]:.3f} ({low:.3f} to {high:.3f})")
        yield *cells, row["support"]


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |"
        for line in lines
    )
