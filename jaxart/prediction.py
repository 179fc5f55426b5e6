"""One pass over many images: the best classes of each, and a layer's activations."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32
from tqdm import tqdm

from jaxart import (
    compiling,
    evaluation,
    parts,
    prediction_files,
    prediction_parts,
    remote_parts,
    results,
    storage,
)
from jaxart.classifier import Classifier
from jaxart.data import listing, pipeline
from jaxart.data.features import digest_params
from jaxart.data.shares import Share
from jaxart.models import CaffeNet
from jaxart.models.layers import HEAD, select
from jaxart.overlap import fetch_one_behind
from jaxart.parts import Note, Parts
from jaxart.prediction_files import Predictions
from jaxart.prediction_parts import Part
from jaxart.remote import RemotePath
from jaxart.remote_parts import RemoteParts
from jaxart.storage import AnyPath


class Outcome(NamedTuple):
    """What became of a run's images.

    Attributes:
      num_images: how many could be read.
      num_skipped: how many could not.
      metrics: of those whose label is known, if any.
      is_whole: the table is there; else these are of shares, and some are missing.
    """

    num_images: int
    num_skipped: int
    metrics: dict[str, Any] | None
    is_whole: bool


class Scores(NamedTuple):
    """What the network says of a batch: as in `Predictions`, and a layer's activation.

    The activation is None where no layer is asked for.
    """

    indices: Array
    logits: Array
    probabilities: Array
    losses: Array
    activation: Array | None


Step = Callable[[Any, Any, Any], Scores]


def sibling(out: AnyPath, ending: str) -> AnyPath:
    """A file beside the table, named after it."""
    return out.with_name(f"{out.stem}.{ending}")


def check_outputs(out: AnyPath, source: AnyPath, features: str | None = None) -> None:
    """Makes sure that what is read is not overwritten.

    Raises:
      ValueError: it would be; or a folder is where the table would go.
    """
    endings = ("skipped.csv", "metrics.json", f"{features}.npy", f"{features}.csv")
    written = [out, *(sibling(out, ending) for ending in endings)]
    if storage.resolve(source) in map(storage.resolve, written):
        raise ValueError(f"out={out} would overwrite {source}: choose another name")
    if out.is_dir():
        raise ValueError(f"out={out} is a folder")


def predict_images(
    classifier: Classifier,
    found: listing.Listing,
    out: AnyPath,
    *,
    top_k: int | None = None,
    batch_size: int,
    resize: str,
    num_workers: int = 0,
    features: str | None = None,
    share: Share | None = None,
) -> Outcome:
    """Writes the best classes of images, and what belongs to them beside the table.

    All files appear at the end, or, where anything fails, none. A share leaves its part
    in a folder beside the table; the last one to finish puts the parts together. So
    does a run of the whole, which makes the missing ones first.

    Args:
      classifier: says what images show.
      found: the images.
      out: the table; its suffix is the format.
      top_k: how many classes of each image; None is the format's choice.
      batch_size: images that run at once.
      resize: one of `images.RESIZE_RULES`.
      num_workers: processes that load images; 0 uses threads.
      features: a layer whose activations are written, too.
      share: which of the images are this process's; None takes all.

    Raises:
      FormatError: the format is unknown, or its package is missing.
      BusyError: another process is working on a share that this one would.
      OtherPartsError: the parts beside the table are of other images, another network
        or other options.
      ValueError: there is no such layer, or no image can be read.
    """
    write = prediction_files.find_format(out)
    model, class_names = classifier.model, classifier.class_names
    if features:
        select(model.layers(), None, features)  # names the layers, where it is none
    num_kept = prediction_files.num_kept(out, top_k, len(class_names))
    labels = evaluation.find_labels(found, classifier)
    step = make_step(model, num_kept, features)

    def predict(one: Share, feature_path: Path) -> Part:
        chosen = np.flatnonzero(one.mask(len(found.names), batch_size))
        paths = [storage.join(found.root, found.names[index]) for index in chosen]
        return run(
            step,
            classifier.params,
            pipeline.ImageFiles(paths, resize, model.preprocessing),
            labels[chosen],
            batch_size=batch_size,
            num_workers=num_workers,
            feature_path=feature_path if features else None,
            title="predicting" if one.count == 1 else f"predicting {one}",
        )

    def conclude(table: Path, whole: Part) -> Outcome:
        outcomes = list(zip(found.names, whole.reasons, strict=True))
        names = [name for name, reason in outcomes if not reason]
        skipped = [(name, reason) for name, reason in outcomes if reason]
        if not names:
            raise ValueError(
                f"none of the {len(outcomes)} images can be read; "
                f"the first is {found.paths[0]}: {whole.reasons[0]}"
            )
        is_read = np.array([not reason for reason in whole.reasons])
        predictions = Predictions(names, labels[is_read], *whole.columns)
        write(table, predictions, class_names, top_k)
        results.write_csv(sibling(table, "skipped.csv"), ("path", "reason"), skipped)
        if features:
            index = sibling(table, f"{features}.csv")
            results.write_csv(index, ("row", "path"), enumerate(names))
        metrics = evaluation.evaluate(predictions, class_names)
        if metrics:
            results.write_json(sibling(table, "metrics.json"), metrics)
        return Outcome(len(names), len(skipped), metrics, is_whole=True)

    folder = sibling(out, "parts")
    has_parts = (remote_parts if storage.is_remote(folder) else parts).are_in(folder)
    if share is None and not has_parts:
        with _beside(out) as table:
            part = predict(Share(1, 1), sibling(table, f"{features}.npy"))
            return conclude(table, part)

    settings = {
        "images": parts.digest([storage.resolve(found.root), *found.names]),
        "labels": parts.digest(map(str, labels)),
        "class_names": parts.digest(class_names),
        "network": digest_params(jax.device_get(classifier.params)),
        "resize": resize,
        "batch_size": batch_size,
        "classes_kept": num_kept,
        "features": features,
    }
    num_images = num_skipped = 0
    with _parts(folder, settings) as left:
        for one in [share] if share else left.every_share():
            with left.working(one) as note:
                if note is None:
                    part = predict(one, left.path(one, ".npy"))
                    note = prediction_parts.save(left.path(one, ".npz"), part)
                with left.finished(one, note) as notes:
                    if notes:
                        with _beside(out) as table:
                            whole = _join(left, notes, batch_size, features, table)
                            return conclude(table, whole)
                num_images += note["num_images"] - len(note["skipped"])
                num_skipped += len(note["skipped"])
    return Outcome(num_images, num_skipped, None, is_whole=False)


@contextlib.contextmanager
def _parts(
    folder: AnyPath, settings: Mapping[str, Any]
) -> Iterator[Parts | RemoteParts]:
    """A folder of parts, here or in an object store."""
    if not isinstance(folder, RemotePath):
        yield Parts(folder, settings)
        return
    with tempfile.TemporaryDirectory(prefix="jaxart.") as local:
        yield RemoteParts(folder, settings, Path(local))


@contextlib.contextmanager
def _beside(out: AnyPath) -> Iterator[Path]:
    """Yields where to write the table for now, with all that belongs to it.

    What is there at the end is put in its place; where anything fails, it goes away.
    """
    with storage.written_together(out) as table:
        yield table
        if not sibling(table, "metrics.json").exists():
            # An earlier table's would be taken for this one's.
            sibling(out, "metrics.json").unlink(missing_ok=True)


def _join(
    left: Parts | RemoteParts,
    notes: Sequence[Note],
    batch_size: int,
    features: str | None,
    table: Path,
) -> Part:
    """Puts all shares' parts together; activations are written beside the table."""
    shares = left.every_share()
    pieces = [
        prediction_parts.load(left.path(one, ".npz"), note)
        for one, note in zip(shares, notes, strict=True)
    ]
    if features:
        paths = [left.path(one, ".npy") for one in shares]
        whole = sibling(table, f"{features}.npy")
        prediction_parts.join_features(pieces, paths, batch_size, whole)
    return prediction_parts.join(pieces, batch_size)


def make_step(model: CaffeNet, num_kept: int, features: str | None) -> Step:
    """Compiles (params, images, labels) -> `Scores`.

    Only the best classes, `num_kept` of them, leave the device. The activation of
    layer `features` is on the way to the logits: it costs nothing.
    """

    @compiling.jit
    def step(params, images, labels):
        activation = model.apply({"params": params}, images, upto=features or HEAD)
        logits = activation
        if features not in (None, HEAD):
            logits = model.apply({"params": params}, activation, after=features)
        best, indices = jax.lax.top_k(logits, num_kept)
        chosen = jnp.take_along_axis(jax.nn.softmax(logits), indices, axis=-1)
        label = jnp.maximum(labels, 0)[:, None]
        losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), label, axis=-1)[:, 0]
        losses = jnp.where(labels == prediction_files.UNKNOWN, jnp.nan, losses)
        return Scores(indices, best, chosen, losses, activation if features else None)

    return step


def run(
    step: Step,
    params: Any,
    files: pipeline.ImageFiles,
    labels: Int32[np.ndarray, " n"],
    *,
    batch_size: int,
    num_workers: int,
    feature_path: Path | None,
    title: str = "predicting",
) -> Part:
    """Runs all images through the network, once.

    Args:
      step: from `make_step`.
      params: the network's.
      files: the images, N of them.
      labels: the class of each, or `UNKNOWN`.
      batch_size: images that run at once.
      num_workers: processes that load images; 0 uses threads.
      feature_path: gets the activations [M, ...] of the layer.
      title: of the progress bar.
    """
    pieces, reasons = [], []
    features = prediction_files.growing_npy(feature_path) if feature_path else None
    with (
        features or contextlib.nullcontext() as append,
        tqdm(total=len(files.paths), desc=title, unit="img") as bar,
    ):
        for scores, batch_reasons in run_batches(
            step, params, files, labels, batch_size, num_workers
        ):
            is_read = [not reason for reason in batch_reasons]
            is_read += [False] * (batch_size - len(batch_reasons))  # the padding
            *columns, activation = scores
            pieces.append([values[is_read] for values in columns])
            if append:
                append(activation[is_read])
            reasons += batch_reasons
            bar.update(len(batch_reasons))
    return Part(list(map(np.concatenate, zip(*pieces, strict=True))), reasons)


def run_batches(
    step: Step,
    params: Any,
    files: pipeline.ImageFiles,
    labels: Int32[np.ndarray, " n"],
    batch_size: int,
    num_workers: int,
) -> Iterator[tuple[Scores, list[str]]]:
    """Yields each batch's scores, in NumPy arrays, and what could not be read of it.

    The next batch is running by then. All have one shape: the last is padded.
    """

    def started():
        start = 0
        for images, reasons in pipeline.read_all(
            files, batch_size=batch_size, num_workers=num_workers
        ):
            chosen = labels[start : start + len(reasons)]
            start += len(reasons)
            missing = batch_size - len(reasons)
            arrays = (
                np.pad(images, [(0, missing)] + [(0, 0)] * 3),
                np.pad(chosen, (0, missing)),
            )
            yield step(params, *jax.device_put(arrays)), reasons

    yield from fetch_one_behind(started())
