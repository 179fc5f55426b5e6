"""What a model card says of a run, from the run's own files."""

from typing import Any

from jaxart.report import facts
from jaxart.storage import AnyPath

# Of a config: where things lie on the machine of the training.
PATH_FIELDS = ("train_data", "val_data", "image_root", "weights")
LEFT_OUT = ("cache_dir", "workdir")


def of_run(workdir: AnyPath) -> dict[str, Any]:
    """The numbers of a finished run's report, with nothing of the machine it ran on.

    Raises:
      ValueError: the run is not finished, or has no validation images.
    """
    numbers = facts.of_run(workdir)
    if not numbers["result"]:
        raise ValueError(f"{workdir}: no finished run (result.json is missing)")
    return numbers | {"config": public(numbers["config"])}


def public(config: dict[str, Any]) -> dict[str, Any]:
    """A config whose paths are the last part of their names."""
    kept = {name: value for name, value in config.items() if name not in LEFT_OUT}
    for name in PATH_FIELDS:
        text = str(kept.get(name) or "").replace("\\", "/")
        kept[name] = text.rstrip("/").rpartition("/")[2]
    return kept
