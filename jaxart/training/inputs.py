"""Both sides of the data over one set of inputs, without what cannot be read."""

import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from jaxart.data import pipeline
from jaxart.data.examples import DataError
from jaxart.devices import processes
from jaxart.storage import AnyPath, results
from jaxart.training.run import Run
from jaxart.training.sides import Sides

SKIPPED = "skipped.csv"  # in a workdir: images that cannot be read, and why

logger = logging.getLogger(__name__)

# Of image paths, a view of each, and a digest of its content ('' where it cannot be
# read): inputs, and for each the reason why it cannot be read after all, or ''.
ComputeInputs = Callable[
    [list[AnyPath], list[str], list[str]], tuple[pipeline.Inputs, list[str]]
]


class Data(NamedTuple):
    """Training and validation examples over one set of inputs."""

    inputs: pipeline.Inputs  # what the trained part of the network is fed, by index
    names: tuple[str, ...]  # each input's path, as the lists give it
    labels: np.ndarray  # int32 [N], each input's class
    train: np.ndarray  # int [n, V], inputs of each training example: one for each view
    val: np.ndarray  # int [m], input of each validation example: the whole picture
    class_names: tuple[str, ...]
    num_skipped: int  # images that could not be read
    leaks: dict[str, int] | None  # as in `Sides`


def prepare(run: Run, sides: Sides, compute_inputs: ComputeInputs) -> Data:
    """Puts both sides on one set of inputs, without the images that cannot be read.

    Those are listed in skipped.csv (path, split, reason). Training sees the config's
    views of a picture, validation the whole.

    Raises:
      DataError: too many images cannot be read, or none is left.
    """
    train, val, views = sides.train, sides.val, run.config.views
    paths, looked = sides.paths, sides.looked
    reason_of = {
        path: file.reason
        for path, file in zip(paths, looked, strict=True)
        if file.reason
    }
    num_skipped = _skip(run, sides, reason_of)
    # A training picture's views follow each other.
    num_train = len(train.names)
    order = [*(i for i in range(num_train) for _ in views)]
    order += range(num_train, len(paths))
    inputs, reasons = compute_inputs(
        [paths[i] for i in order],
        [*views] * num_train + ["whole"] * len(val.names),
        ["" if looked[i].reason else looked[i].sha256 for i in order],
    )
    if any(reasons):  # of files that changed or went since
        both = zip(order, reasons, strict=True)
        reason_of |= {paths[i]: reason for i, reason in both if reason}
        num_skipped = _skip(run, sides, reason_of)

    readable = np.flatnonzero([paths[i] not in reason_of for i in order])
    is_train = readable < num_train * len(views)
    data = Data(
        inputs=inputs,
        names=tuple((*train.names, *val.names)[i] for i in order),
        labels=np.concatenate([train.labels, val.labels])[order],
        train=readable[is_train].reshape(-1, len(views)),
        val=readable[~is_train],
        class_names=train.class_names,
        num_skipped=num_skipped,
        leaks=sides.leaks,
    )
    if not len(data.train) or not len(data.val):
        raise DataError("no readable image is left to train or validate on")
    logger.info("%d training, %d validation images", len(data.train), len(data.val))
    return data


def _skip(run: Run, sides: Sides, reason_of: Mapping[AnyPath, str]) -> int:
    """Lists the images that cannot be read, in skipped.csv too; refuses too many."""
    skipped = [
        (name, side, reason_of[path])
        for side, listed in (("train", sides.train), ("val", sides.val))
        for name, path in zip(listed.names, listed.paths, strict=True)
        if path in reason_of
    ]
    num_examples, fraction = len(sides.looked), run.config.max_skipped_fraction
    listing = run.workdir / SKIPPED
    if processes.is_first():
        results.write_csv(listing, ("path", "split", "reason"), skipped)
    if skipped:
        logger.warning("%d images cannot be read: see %s", len(skipped), listing)
    if len(skipped) > fraction * num_examples:
        raise DataError(
            f"{len(skipped)} of {num_examples} images cannot be read; "
            f"max_skipped_fraction={fraction} allows fewer. The first is "
            f"{skipped[0][0]}: {skipped[0][2]}. All are listed in {listing}. Relative "
            "paths start at --config.image_root."
        )
    return len(skipped)
