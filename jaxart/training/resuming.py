"""Which run may go on in a workdir, with what, and the record of what it was.

A run goes on only as what it was. What shapes its parameters or the order of its data
stays; what a step is computed with may change where the user says so, and then it is
written down from which step on. The images are the same ones, in the same order.
"""

import dataclasses
import datetime
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxart import runs
from jaxart.data.files import File
from jaxart.storage import AnyPath, results
from jaxart.training import versions
from jaxart.training.config import Config
from jaxart.training.optim import make_schedule
from jaxart.training.plan import Plan

SESSIONS = "sessions.json"

# They shape a run's parameters, its optimizer state or the order of its data.
FIXED_FIELDS = (
    "model",
    "hidden",
    "num_classes",
    "weights",
    "train_layers",
    "optimizer",
    "momentum",
    "train_data",
    "val_data",
    "val_fraction",
    "split_seed",
    "image_root",
    "resize",
    "views",
    "compute_dtype",
    "batch_size",
    "seed",
)

# Each step is computed with them.
STEP_FIELDS = (
    "learning_rate",
    "schedule",
    "warmup_epochs",
    "weight_decay",
    "dropout_rate",
)

_NUM_NAMED = 3  # differences of images

logger = logging.getLogger(__name__)


class ResumeError(ValueError):
    """The workdir holds another run; the message says what differs."""


def check_fixed(
    saved: runs.Saved | None, fields: Mapping[str, Any], workdir: AnyPath
) -> None:
    """Raises `ResumeError` where one of `FIXED_FIELDS` in `fields` differs."""
    if saved is None:
        return
    # An older run's split was drawn with its seed.
    before = {"split_seed": saved.config.get("seed")} | dict(saved.config)
    for name in FIXED_FIELDS:
        if name in fields and before.get(name) != fields[name]:
            raise ResumeError(
                f"{workdir} holds a run with {name}={before.get(name)!r}; this one has "
                f"{name}={fields[name]!r}. Choose another --workdir, or go on with the "
                "old value."
            )


def check_steps(saved: runs.Saved | None, config: Config, workdir: AnyPath) -> None:
    """Makes sure that steps go on as they were taken, or that the user says otherwise.

    Raises:
      ResumeError: one of `STEP_FIELDS` differs, or the length of a schedule that
        depends on it, and `on_change` is not 'continue'; or no step is left that the
        change would be of; or more epochs are done than asked for.
    """
    if saved is None:
        return
    fields = {name: saved.config[name] for name in STEP_FIELDS if name in saved.config}
    fields["num_epochs"] = saved.config.get("num_epochs", config.num_epochs)
    before = dataclasses.replace(config, **fields)
    plan = Plan(config, saved.progress.num_train)
    step = saved.progress.step
    if step > plan.num_steps:
        raise ResumeError(
            f"{workdir} holds a run of {step} steps; num_epochs={config.num_epochs} is "
            f"{plan.num_steps}. Choose another --workdir, or as many epochs as it has."
        )
    names: list[str] = list(STEP_FIELDS)
    if "cosine" in (before.schedule, config.schedule):
        names.append("num_epochs")
    changes = [
        f"{name}={getattr(before, name)!r} until step {step}; this one has "
        f"{name}={getattr(config, name)!r}"
        for name in names
        if getattr(before, name) != getattr(config, name)
    ]
    if not changes:
        return
    said = f"{workdir} holds a run with {', and '.join(changes)}"
    if step == plan.num_steps:
        raise ResumeError(
            f"{said}. It is finished, so nothing would be trained with that: choose "
            "another --workdir, or more --config.num_epochs."
        )
    rates = [
        np.asarray(make_schedule(each, Plan(each, plan.num_train))(step)).item()
        for each in (before, config)
    ]
    said += f". The learning rate of step {step + 1} is {rates[1]:.3g}"
    said += f", where it was to be {rates[0]:.3g}" if rates[0] != rates[1] else ""
    if config.on_change != "continue":
        raise ResumeError(
            f"{said}. --config.on_change=continue goes on with that, and {SESSIONS} "
            "says so; or choose another --workdir, or go on with the old value."
        )
    logger.warning("%s.", said)


def check_images(
    table: AnyPath, names: Sequence[str], labels: Sequence[str], files: Iterable[File]
) -> None:
    """Makes sure that a side of the data is what a table of its readable images says.

    Raises:
      ResumeError: names what differs: images that came, went, moved, or have another
        class or content.
    """
    try:
        rows = results.read_dicts(table, "path", "sha256")
    except FileNotFoundError:  # an older run has none of its validation
        return
    except results.DamagedError as error:
        logger.warning("%s: whether the images are the same is not known", error)
        return
    before = {row["path"]: row for row in rows}
    now = {
        name: (label, file.sha256)
        for name, label, file in zip(names, labels, files, strict=True)
        if not file.reason
    }
    differences = [f"{path} is missing or unreadable" for path in before.keys() - now]
    differences += [f"{path} is new" for path in now.keys() - before]
    for path in before.keys() & now:
        label, sha256 = now[path]
        row = before[path]
        if row.get("label", label) != label:
            differences.append(f"{path} was of {row['label']} and is of {label}")
        elif row["sha256"] != sha256:
            differences.append(f"{path} is another picture")
    if not differences and list(before) != list(now):
        differences.append("they are in another order")
    if differences:
        listed = "; ".join(sorted(differences)[:_NUM_NAMED])
        more = len(differences) - _NUM_NAMED
        raise ResumeError(
            f"{table.parent} holds a run of other images than there are now: {listed}"
            f"{f'; and {more} more' if more > 0 else ''}. Choose another --workdir, or "
            f"bring the old images back: {table.name} lists them."
        )


def write_session(workdir: AnyPath, config: Config, num_done: int) -> None:
    """Adds to the record with what a run goes on, from which step.

    What an earlier session did of these steps no longer counts.
    """
    path = workdir / SESSIONS
    try:
        before = results.read_json(path)["sessions"]
    except (FileNotFoundError, results.DamagedError, KeyError):
        before = []
    session = {
        "first_step": num_done + 1,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "config": config.to_dict(),
        "versions": versions.installed(),
    }
    kept = [each for each in before if each["first_step"] <= num_done]
    results.write_json(path, {"sessions": [*kept, session]})
