"""The examples of a run, and what the trained part of the network is fed."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import platformdirs
from tqdm import tqdm

from jaxart import results
from jaxart.data import examples, features, pipeline, procedural
from jaxart.models import CaffeNet
from jaxart.models.layers import select

logger = logging.getLogger(__name__)

PROCEDURAL = "procedural"
PROCEDURAL_IMAGES_PER_STYLE = 60


class Data(NamedTuple):
    """Training and validation examples over one set of inputs.

    Attributes:
      inputs: what the trained part of the network is fed, by index.
      names: each example's path, as the lists give it.
      labels: int32 [N].
      train: int [n], indices of the training examples.
      val: int [m], indices of the validation examples.
      class_names: what each class is called.
      num_skipped: images that could not be read.
    """

    inputs: pipeline.Inputs
    names: tuple[str, ...]
    labels: np.ndarray
    train: np.ndarray
    val: np.ndarray
    class_names: tuple[str, ...]
    num_skipped: int


def read_examples(
    train_data: str,
    val_data: str,
    *,
    num_classes: int,
    image_root: str,
    val_fraction: float,
    seed: int,
    workdir: Path,
) -> tuple[examples.Examples, examples.Examples]:
    """Training and validation examples.

    Args:
      train_data: list file, CSV file, folder of class folders, or 'procedural':
        paintings that a program paints into `workdir`.
      val_data: likewise; '' splits `val_fraction` off the training data.
      num_classes: how many classes there are.
      image_root: where relative paths start; '' is the list's own folder.
      val_fraction: share of each class.
      seed: of the split, and of the painted pictures.
      workdir: the run's folder.

    Raises:
      examples.DataError: something is missing, malformed or does not fit.
    """
    source = Path(train_data)
    if train_data == PROCEDURAL:
        source = workdir / PROCEDURAL
        logger.info("Painting %d pictures of each style", PROCEDURAL_IMAGES_PER_STYLE)
        procedural.write_folder(source, PROCEDURAL_IMAGES_PER_STYLE, seed)
    train = examples.read(source, num_classes=num_classes, image_root=image_root)
    if not val_data:
        return examples.split(train, val_fraction, seed)
    return train, examples.read(
        val_data,
        num_classes=num_classes,
        image_root=image_root,
        class_names=train.class_names,
    )


def prepare(
    train: examples.Examples,
    val: examples.Examples,
    *,
    compute_inputs: Callable[[list[Path]], tuple[pipeline.Inputs, list[str]]],
    max_skipped_fraction: float,
    workdir: Path,
) -> Data:
    """Puts both sides on one set of inputs, without the images that cannot be read.

    Args:
      train: training examples.
      val: validation examples.
      compute_inputs: image paths -> inputs, and the reason why each cannot be
        read ('' where it can).
      max_skipped_fraction: share of unreadable images that is still accepted.
      workdir: gets skipped.csv (path, split, reason).

    Raises:
      examples.DataError: too many images cannot be read, or none is left.
    """
    names = train.names + val.names
    inputs, reasons = compute_inputs(train.paths + val.paths)
    is_train = np.arange(len(names)) < len(train.names)
    is_readable = np.array([not reason for reason in reasons])

    skipped = [
        (names[i], "train" if is_train[i] else "val", reasons[i])
        for i in np.flatnonzero(~is_readable)
    ]
    listing = workdir / "skipped.csv"
    results.write_csv(listing, ("path", "split", "reason"), skipped)
    if skipped:
        logger.warning("%d images cannot be read: see %s", len(skipped), listing)
    if len(skipped) > max_skipped_fraction * len(names):
        raise examples.DataError(
            f"{len(skipped)} of {len(names)} images cannot be read; "
            f"max_skipped_fraction={max_skipped_fraction} allows fewer. The first is "
            f"{skipped[0][0]}: {skipped[0][2]}. All are listed in {listing}. Relative "
            "paths start at --config.image_root."
        )
    data = Data(
        inputs=inputs,
        names=names,
        labels=np.concatenate([train.labels, val.labels]),
        train=np.flatnonzero(is_train & is_readable),
        val=np.flatnonzero(~is_train & is_readable),
        class_names=train.class_names,
        num_skipped=len(skipped),
    )
    if not len(data.train) or not len(data.val):
        raise examples.DataError("no readable image is left to train or validate on")
    logger.info("%d training, %d validation images", len(data.train), len(data.val))
    return data


def whole_images(
    files: pipeline.ImageFiles, *, batch_size: int, num_workers: int
) -> tuple[pipeline.Inputs, list[str]]:
    """The images themselves, each read once to see whether it can be.

    Returns:
      The inputs, and for each file the reason why it cannot be read.
    """
    reasons: list[str] = []
    with tqdm(total=len(files.paths), desc="checking images", unit="img") as bar:
        for _, batch_reasons in pipeline.read_all(
            files, batch_size=batch_size, num_workers=num_workers
        ):
            reasons += batch_reasons
            bar.update(len(batch_reasons))
    return files, reasons


def frozen_features(
    files: pipeline.ImageFiles,
    model: CaffeNet,
    params: Any,
    boundary: str,
    *,
    cache_dir: str | os.PathLike,
    batch_size: int,
    num_workers: int,
    sharding: jax.sharding.Sharding,
) -> tuple[pipeline.Inputs, list[str]]:
    """The activations of layer `boundary`, from the store or computed now.

    Returns:
      The inputs, and for each file the reason why it cannot be read.
    """
    layers = select(model.layers(), None, boundary)
    params = {name: params[name] for name in params if name in layers}

    @jax.jit
    def run_layers(params, images):
        return model.apply({"params": params}, images, upto=boundary)

    return features.compute(
        lambda images: run_layers(params, jax.device_put(images, sharding)),
        files,
        prefix={
            "layers": [[name, _describe(layer)] for name, layer in layers.items()],
            "params": features.digest_params(params),
        },
        cache_dir=cache_dir or platformdirs.user_cache_path("jaxart") / "features",
        batch_size=batch_size,
        num_workers=num_workers,
    )


def _describe(layer: Any) -> str:
    """What a layer computes, apart from its parameters."""
    return getattr(layer, "__name__", None) or repr(layer)
