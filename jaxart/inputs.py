"""The examples of a run, and what the trained part of the network is fed."""

import dataclasses
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from jaxart import compiling, processes, results, storage
from jaxart.data import examples, features, pipeline, procedural
from jaxart.layout import Layout
from jaxart.models import CaffeNet
from jaxart.models.layers import select
from jaxart.storage import AnyPath

logger = logging.getLogger(__name__)

PROCEDURAL = "procedural"
PROCEDURAL_IMAGES_PER_STYLE = 60


class Data(NamedTuple):
    """Training and validation examples over one set of inputs.

    Attributes:
      inputs: what the trained part of the network is fed, by index.
      names: each input's path, as the lists give it.
      labels: int32 [N], each input's class.
      train: int [n, V], the inputs of each training example: one for each view.
      val: int [m], the input of each validation example: the whole picture.
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
    workdir: AnyPath,
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
    source = storage.path(train_data)
    if train_data == PROCEDURAL:
        source = storage.require_local(workdir, "train_data=procedural: workdir")
        source /= PROCEDURAL
        if processes.is_first():
            logger.info("Painting %d pictures a style", PROCEDURAL_IMAGES_PER_STYLE)
            procedural.write_folder(source, PROCEDURAL_IMAGES_PER_STYLE, seed)
        processes.wait("painted pictures")
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
    views: Sequence[str],
    compute_inputs: Callable[
        [list[AnyPath], list[str]], tuple[pipeline.Inputs, list[str]]
    ],
    max_skipped_fraction: float,
    workdir: AnyPath,
) -> Data:
    """Puts both sides on one set of inputs, without the images that cannot be read.

    Args:
      train: training examples.
      val: validation examples.
      views: what training sees of a picture, of `images.VIEWS`; validation sees
        the whole.
      compute_inputs: image paths and a view of each -> inputs, and the reason why
        each cannot be read ('' where it can).
      max_skipped_fraction: share of unreadable images that is still accepted.
      workdir: gets skipped.csv (path, split, reason).

    Raises:
      examples.DataError: too many images cannot be read, or none is left.
    """
    # A training picture's views follow each other.
    paths = [path for path in train.paths for _ in views] + val.paths
    inputs, reasons = compute_inputs(
        paths, [*views] * len(train.names) + ["whole"] * len(val.names)
    )
    reason_of = {
        path: reason for path, reason in zip(paths, reasons, strict=True) if reason
    }

    skipped = [
        (name, side, reason_of[path])
        for side, listed in (("train", train), ("val", val))
        for name, path in zip(listed.names, listed.paths, strict=True)
        if path in reason_of
    ]
    num_examples = len(train.names) + len(val.names)
    listing = workdir / "skipped.csv"
    if processes.is_first():
        results.write_csv(listing, ("path", "split", "reason"), skipped)
    if skipped:
        logger.warning("%d images cannot be read: see %s", len(skipped), listing)
    if len(skipped) > max_skipped_fraction * num_examples:
        raise examples.DataError(
            f"{len(skipped)} of {num_examples} images cannot be read; "
            f"max_skipped_fraction={max_skipped_fraction} allows fewer. The first is "
            f"{skipped[0][0]}: {skipped[0][2]}. All are listed in {listing}. Relative "
            "paths start at --config.image_root."
        )
    readable = np.flatnonzero([path not in reason_of for path in paths])
    is_train = readable < len(train.names) * len(views)
    data = Data(
        inputs=inputs,
        names=(*(name for name in train.names for _ in views), *val.names),
        labels=np.concatenate([np.repeat(train.labels, len(views)), val.labels]),
        train=readable[is_train].reshape(-1, len(views)),
        val=readable[~is_train],
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
    paths = list(dict.fromkeys(files.paths))  # however many views there are of each

    def check(mine: Sequence[AnyPath]) -> list[str]:
        once = dataclasses.replace(files, paths=mine, views=None)
        reasons: list[str] = []
        with tqdm(
            total=len(mine),
            desc="checking images",
            unit="img",
            disable=not processes.is_first(),
        ) as bar:
            for _, batch_reasons in pipeline.read_all(
                once, batch_size=batch_size, num_workers=num_workers
            ):
                reasons += batch_reasons
                bar.update(len(batch_reasons))
        return reasons

    reason_of = dict(zip(paths, processes.compute_shared(check, paths), strict=True))
    return files, [reason_of[path] for path in files.paths]


def frozen_features(
    files: pipeline.ImageFiles,
    model: CaffeNet,
    params: Any,
    boundary: str,
    *,
    layout: Layout,
    cache_dir: str | os.PathLike,
    batch_size: int,
    num_workers: int,
) -> tuple[pipeline.Inputs, list[str]]:
    """The activations of layer `boundary`, from the store or computed now.

    Args:
      files: the images.
      model: the network.
      params: its parameters, not yet on the layout's devices.
      boundary: the last frozen layer.
      layout: whose devices compute; those of each process on their own.
      cache_dir: where stores are kept.
      batch_size: images that run at once on a process's devices.
      num_workers: processes that load images; 0 uses threads.

    Returns:
      The inputs, and for each file the reason why it cannot be read.
    """
    layers = select(model.layers(), None, boundary)
    params = {name: params[name] for name in params if name in layers}
    digest = features.digest_params(params)
    layout = layout.local
    params = layout.put(params)
    run_layers = compiling.jit(
        layout.by_rows(
            lambda params, images: model.apply(
                {"params": params}, images, upto=boundary
            )
        )
    )
    return features.compute(
        lambda images: run_layers(params, layout.put_batch(images)),
        files,
        prefix={
            "layers": [[name, _describe(layer)] for name, layer in layers.items()],
            "params": digest,
        },
        dtype=model.compute_dtype,
        cache_dir=cache_dir,
        batch_size=batch_size,
        num_workers=num_workers,
    )


def _describe(layer: Any) -> str:
    """What a layer computes, apart from its parameters."""
    return getattr(layer, "__name__", None) or repr(layer)
