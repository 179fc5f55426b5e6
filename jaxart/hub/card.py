"""A run's model card: Markdown with the front matter that the hub reads."""

from collections.abc import Iterable, Sequence
from typing import Any

from jaxart.hub.facts import CardFacts

_TEXT = """
# {name}

A {model} that tells {num_classes} classes apart, fine-tuned with jaxart: of its layers,
{train_layers} were trained.

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
expected calibration error {calibration_error:.4f}. The best epoch was chosen on these
same images, which makes the accuracy somewhat too high.

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


def front_matter(repo: str, license_name: str, facts: CardFacts, hub: Any) -> Any:
    """The card's fields, as huggingface_hub's `ModelCardData`."""
    metric = hub.EvalResult(
        task_type="image-classification",
        dataset_type="imagefolder",
        dataset_name=facts.config["train_data"] or "images",
        dataset_split="validation",
        metric_type="accuracy",
        metric_value=facts.result["val_accuracy"],
    )
    return hub.ModelCardData(
        license=license_name,
        library_name="jaxart",
        pipeline_tag="image-classification",
        tags=["jax", "flax", facts.config["model"]],
        model_name=repo.rpartition("/")[2],
        eval_results=[metric],
    )


def text(repo: str, facts: CardFacts) -> str:
    """What people read, below the front matter."""
    config, result, report = facts.config, facts.result, facts.evaluation
    low, high = result["val_accuracy_ci95"]
    names = report["classes"]
    settings = [
        (name, value)
        for name, value in config.items()
        if name != "network" and value not in ("", None)
    ]
    return _TEXT.format(
        name=repo.rpartition("/")[2],
        repo=repo,
        model=config["model"],
        num_classes=len(config["network"]["classes"]),
        train_layers=", ".join(config["train_layers"]),
        num_train=result["num_train"],
        num_val=result["num_val"],
        num_skipped=result["num_skipped"],
        accuracy=result["val_accuracy"],
        low=low,
        high=high,
        majority=facts.majority,
        log_loss=report["log_loss"],
        calibration_error=report["calibration"]["expected_calibration_error"],
        per_class=_table(
            ("class", "precision", "recall", "F1", "images"),
            (
                (name, *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")))
                + (row["support"],)
                for name, row in report["per_class"].items()
            ),
        ),
        confusion=_table(
            ("", *names),
            (
                (name, *row)
                for name, row in zip(names, report["confusion"], strict=True)
            ),
        ),
        training=_table(
            ("setting", "value"), [*settings, *result.get("versions", {}).items()]
        ),
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |"
        for line in lines
    )
