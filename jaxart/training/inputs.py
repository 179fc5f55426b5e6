"""The examples of a run, and what the trained part of the network is fed."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxart import storage
from jaxart.data import examples, features, files, pipeline, procedural
from jaxart.data.files import File
from jaxart.devices import compiling, processes
from jaxart.devices.layout import Layout
from jaxart.models import Network
from jaxart.models.layers import select
from jaxart.storage import AnyPath, results

logger = logging.getLogger(__name__)

PROCEDURAL = "procedural"
PROCEDURAL_IMAGES_PER_STYLE = 60


class Data(NamedTuple):
    """Training and validation examples over one set of inputs."""

    inputs: pipeline.Inputs  # what the trained part of the network is fed, by index
    names: tuple[str, ...]  # each input's path, as the lists give it
    labels: np.ndarray  # int32 [N], each input's class
    train: np.ndarray  # int [n, V], inputs of each training example: one for each view
    val: np.ndarray  # int [m], input of each validation example: the whole picture
    class_names: tuple[str, ...]
    num_skipped: int  # images that could not be read


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
    """Training and validation examples; the arguments are the config's fields.

    For 'procedural', a program paints training data into `workdir`.

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
    root = storage.path_or_none(image_root)
    train = examples.read(source, num_classes=num_classes, image_root=root)
    if not val_data:
        return examples.split(train, val_fraction, seed)
    return train, examples.read(
        storage.path(val_data),
        num_classes=num_classes,
        image_root=root,
        class_names=train.class_names,
    )


def look(
    train: examples.Examples, val: examples.Examples, cache_dir: Path
) -> list[File]:
    """What the files of both sides are, training first; each is read once.

    The processes of a run share the work. What is found is kept in `cache_dir`.
    """
    paths = list(dict.fromkeys([*train.paths, *val.paths]))
    quiet = not processes.is_first()
    looked = processes.compute_shared(
        lambda mine: files.look(mine, cache_dir, quiet=quiet), paths
    )
    file_of = {path: File(*file) for path, file in zip(paths, looked, strict=True)}
    return [file_of[path] for path in [*train.paths, *val.paths]]


def prepare(
    train: examples.Examples,
    val: examples.Examples,
    *,
    looked: Sequence[File],
    views: Sequence[str],
    compute_inputs: Callable[
        [list[AnyPath], list[str], list[str]], tuple[pipeline.Inputs, list[str]]
    ],
    max_skipped_fraction: float,
    workdir: AnyPath,
) -> Data:
    """Puts both sides on one set of inputs, without the images that cannot be read.

    Those are listed in skipped.csv (path, split, reason) in `workdir`. Training sees
    `views` of a picture, validation the whole. `compute_inputs` is a function of image
    paths, a view of each, and a digest of its content ('' where it cannot be read),
    that gives inputs, and for each the reason why it cannot be read after all, or ''.

    Raises:
      examples.DataError: too many images cannot be read, or none is left.
    """
    paths = [*train.paths, *val.paths]
    reason_of = {
        path: file.reason
        for path, file in zip(paths, looked, strict=True)
        if file.reason
    }
    skipped = _skip(train, val, reason_of, max_skipped_fraction, workdir)
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
        skipped = _skip(train, val, reason_of, max_skipped_fraction, workdir)

    readable = np.flatnonzero([paths[i] not in reason_of for i in order])
    is_train = readable < num_train * len(views)
    data = Data(
        inputs=inputs,
        names=tuple((*train.names, *val.names)[i] for i in order),
        labels=np.concatenate([train.labels, val.labels])[order],
        train=readable[is_train].reshape(-1, len(views)),
        val=readable[~is_train],
        class_names=train.class_names,
        num_skipped=len(skipped),
    )
    if not len(data.train) or not len(data.val):
        raise examples.DataError("no readable image is left to train or validate on")
    logger.info("%d training, %d validation images", len(data.train), len(data.val))
    return data


def _skip(
    train: examples.Examples,
    val: examples.Examples,
    reason_of: Mapping[AnyPath, str],
    max_skipped_fraction: float,
    workdir: AnyPath,
) -> list[tuple[str, str, str]]:
    """Lists the images that cannot be read, in skipped.csv too; refuses too many."""
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
    return skipped


def frozen_features(
    image_files: pipeline.ImageFiles,
    contents: Sequence[str],
    model: Network,
    params: Any,
    boundary: str,
    *,
    layout: Layout,
    cache_dir: Path,
    batch_size: int,
) -> tuple[pipeline.Inputs, list[str]]:
    """The activations of layer `boundary`, as `features.compute` gives them.

    The parameters are not yet on the layout's devices. Those of each process compute on
    their own, `batch_size` images at once.
    """
    layers = select(model.layers(), None, boundary)
    params = {name: params[name] for name in params if name in layers}
    digest = features.digest_params(params)
    layout = layout.local
    params = layout.put(params)
    run_layers = compiling.jit(
        layout.by_rows(lambda p, x: model.apply({"params": p}, x, upto=boundary))
    )
    return features.compute(
        lambda images: run_layers(params, layout.put_batch(images)),
        image_files,
        contents,
        prefix={
            "layers": [[name, _describe(layer)] for name, layer in layers.items()],
            "params": digest,
        },
        dtype=model.compute_dtype,
        cache_dir=cache_dir,
        batch_size=batch_size,
    )


def _describe(layer: Any) -> str:
    """What a layer computes, apart from its parameters."""
    return getattr(layer, "__name__", None) or repr(layer)
