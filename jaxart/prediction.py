"""One pass over many images: the best classes of each, and a layer's activations."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32
from tqdm import tqdm

from jaxart import compiling, evaluation, prediction_files, results, storage
from jaxart.classifier import Classifier
from jaxart.data import listing, pipeline
from jaxart.models import CaffeNet
from jaxart.models.layers import HEAD, select
from jaxart.overlap import fetch_one_behind
from jaxart.prediction_files import Predictions
from jaxart.storage import AnyPath


class Outcome(NamedTuple):
    """How many images are in the table, how many are not, and the metrics, if any."""

    num_images: int
    num_skipped: int
    metrics: dict[str, Any] | None


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
) -> Outcome:
    """Writes the best classes of images, and what belongs to them beside the table.

    All files appear at the end, or, where anything fails, none.

    Args:
      classifier: says what images show.
      found: the images.
      out: the table; its suffix is the format.
      top_k: how many classes of each image; None is the format's choice.
      batch_size: images that run at once.
      resize: one of `images.RESIZE_RULES`.
      num_workers: processes that load images; 0 uses threads.
      features: a layer whose activations are written, too.

    Raises:
      FormatError: the format is unknown, or its package is missing.
      ValueError: there is no such layer, or no image can be read.
    """
    write = prediction_files.find_format(out)
    model, class_names = classifier.model, classifier.class_names
    if features:
        select(model.layers(), None, features)  # names the layers, where it is none
    num_kept = prediction_files.num_kept(out, top_k, len(class_names))
    labels = evaluation.find_labels(found, classifier)
    files = pipeline.ImageFiles(found.paths, resize, model.preprocessing)

    with storage.written_together(out) as part:
        scores, reasons = run(
            make_step(model, num_kept, features),
            classifier.params,
            files,
            labels,
            batch_size=batch_size,
            num_workers=num_workers,
            feature_path=sibling(part, f"{features}.npy") if features else None,
        )
        outcomes = list(zip(found.names, reasons, strict=True))
        names = [name for name, reason in outcomes if not reason]
        skipped = [(name, reason) for name, reason in outcomes if reason]
        if not names:
            raise ValueError(
                f"none of the {len(reasons)} images can be read; "
                f"the first is {files.paths[0]}: {reasons[0]}"
            )
        is_read = np.array([not reason for reason in reasons])
        predictions = Predictions(names, labels[is_read], *scores)
        write(part, predictions, class_names, top_k)
        results.write_csv(sibling(part, "skipped.csv"), ("path", "reason"), skipped)
        if features:
            index = sibling(part, f"{features}.csv")
            results.write_csv(index, ("row", "path"), enumerate(names))
        metrics = evaluation.evaluate(predictions, class_names)
        if metrics:
            results.write_json(sibling(part, "metrics.json"), metrics)
        else:  # an earlier table's would be taken for this one's
            sibling(out, "metrics.json").unlink(missing_ok=True)
    return Outcome(len(names), len(skipped), metrics)


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
) -> tuple[list[Float[np.ndarray, "m ..."] | Int32[np.ndarray, "m ..."]], list[str]]:
    """Runs all images through the network, once.

    Args:
      step: from `make_step`.
      params: the network's.
      files: the images, N of them.
      labels: the class of each, or `UNKNOWN`.
      batch_size: images that run at once.
      num_workers: processes that load images; 0 uses threads.
      feature_path: gets the activations [M, ...] of the layer.

    Returns:
      Indices, logits, probabilities and losses of the M images that can be read, and
      for each of all N the reason why it cannot be ('' where it can).
    """
    parts, reasons = [], []
    features = prediction_files.growing_npy(feature_path) if feature_path else None
    with (
        features or contextlib.nullcontext() as append,
        tqdm(total=len(files.paths), desc="predicting", unit="img") as bar,
    ):
        for scores, batch_reasons in run_batches(
            step, params, files, labels, batch_size, num_workers
        ):
            is_read = [not reason for reason in batch_reasons]
            is_read += [False] * (batch_size - len(batch_reasons))  # the padding
            *columns, activation = scores
            parts.append([values[is_read] for values in columns])
            if append:
                append(activation[is_read])
            reasons += batch_reasons
            bar.update(len(batch_reasons))
    return list(map(np.concatenate, zip(*parts, strict=True))), reasons


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
