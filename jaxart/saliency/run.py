"""One run over many images: their maps, pictures of the maps, a record and a page."""

import dataclasses
import json
import logging
import platform
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Int32
from tqdm import tqdm

import jaxart
from jaxart import evaluation, results, storage
from jaxart.classifier import Classifier, ClassifierError
from jaxart.data import features, listing, pipeline
from jaxart.data.shares import Share
from jaxart.parts import Note
from jaxart.prediction_files import UNKNOWN
from jaxart.saliency import catalogue, explain, gallery, parts, pictures
from jaxart.saliency.manifest import Manifest, read_entries
from jaxart.saliency.options import Options
from jaxart.saliency.remote_parts import RemoteRecords
from jaxart.saliency.writing import (
    Outcome,
    Writer,
    draw_on_common_scale,
    write_images,
)
from jaxart.storage import AnyPath

logger = logging.getLogger(__name__)


class RunError(ValueError):
    """The output folder holds maps of another kind; the message says what differs."""


def explain_images(
    classifier: Classifier,
    found: listing.Listing,
    out: AnyPath,
    options: Options,
    *,
    batch_size: int,
    num_workers: int = 0,
    share: Share | None = None,
    arguments: Sequence[str] = (),
) -> dict[str, Any]:
    """Explains images; one with its line in `out/manifest.jsonl` is done already.

    A share makes its images' files; the last one to finish also writes what takes all
    maps together. So does a run of the whole, which takes in what shares have done, and
    makes what is missing.

    Args:
      classifier: what to explain.
      found: the images.
      out: the folder for everything.
      options: what to explain, and how to show it.
      batch_size: network inputs that run at once.
      num_workers: processes that load images; 0 uses threads.
      share: which of the images are this process's; None takes all.
      arguments: of the command, for run.json.

    Returns:
      What run.json holds. 'finished' is False where shares have not finished: it is of
      this share then.

    Raises:
      RunError: `out` holds maps of another kind.
      BusyError: another process is working on this share, or on any.
      ClassifierError: the target or a label is none of the classifier's classes.
      ValueError: a setting is out of range.
    """
    start = time.perf_counter()
    labels = evaluation.find_labels(found, classifier)
    targets = choose_targets(options.target, found, labels, classifier)
    attribute = catalogue.bind(
        options.method,
        classifier.model,
        options.settings,
        channel_rule=options.channel_rule,
        batch_size=batch_size,
        key=jax.random.key(options.seed),
    )
    step = explain.make_step(classifier.model, attribute)
    explain.check(step, classifier, batch_size)  # before anything is written
    report = begin(classifier, out, options)
    preprocessing = classifier.model.preprocessing
    files = pipeline.ImageFiles(found.paths, options.resize, preprocessing)
    writer = Writer(found, labels, classifier.class_names, options, out)

    kind = RemoteRecords if storage.is_remote(out) else parts.Records
    records = kind(out, found.names, batch_size, share)
    with records.opened() as manifest:
        is_mine = np.full(len(found.names), True)
        if share is not None:
            is_mine = share.mask(len(found.names), batch_size)
        is_done = np.array([name in manifest.done for name in found.names])
        loader = explain.Loader(files, targets, is_done | ~is_mine, batch_size)
        explained = explain.explain_batches(
            step, classifier.params, explain.load_batches(loader, num_workers)
        )
        note = keep_record(
            write_images(explained, writer),
            manifest,
            num_found=int(is_mine.sum()),
            num_done=int((is_done & is_mine).sum()),
            batch_size=batch_size,
            title="saliency" if share is None else f"saliency {share}",
        )
        note["seconds"] = time.perf_counter() - start
        report |= {"arguments": list(arguments), "batch_size": batch_size}
        with records.concluded(note) as notes:
            report |= combine(notes or [note])
            if notes:
                finish(found, out, options, report)
                skipped = [tuple(row) for note in notes for row in note["skipped"]]
                place = {name: i for i, name in enumerate(found.names)}
                skipped.sort(key=lambda row: place[row[0]])
                results.write_csv(out / "skipped.csv", ("path", "reason"), skipped)
                seconds = max(report["seconds"], time.perf_counter() - start)
                report |= {"seconds": seconds, "finished": True}
                results.write_json(out / "run.json", report)
    return report


def keep_record(
    outcomes: Iterator[Outcome],
    manifest: Manifest,
    *,
    num_found: int,
    num_done: int,
    batch_size: int,
    title: str,
) -> dict[str, Any]:
    """Writes the line of every image as it is done.

    Args:
      outcomes: what becomes of each image.
      manifest: the record.
      num_found: images that are this process's.
      num_done: those of them that are in the record already.
      batch_size: images in a batch.
      title: of the progress bar.

    Returns:
      What there is to note: {'counts', 'skipped', 'images_per_second',
      'peak_memory_bytes'}.
    """
    skipped, num_finished = [], 0
    start = None  # the first batch compiles: it does not count
    if num_done:
        logger.info("%d of %d images are done already", num_done, num_found)
    with tqdm(total=num_found, initial=num_done, desc=title, unit="img") as bar:
        for outcome in outcomes:
            if outcome.entry is None:
                skipped.append((outcome.name, outcome.reason))
            else:
                manifest.append(outcome.entry)
            bar.update()
            num_finished += 1
            if num_finished == batch_size:
                start = time.perf_counter()
    end = time.perf_counter()
    return {
        "counts": {
            "found": num_found,
            "done_before": num_done,
            "done_now": num_finished - len(skipped),
            "skipped": len(skipped),
        },
        "skipped": skipped,
        "images_per_second": (num_finished - batch_size) / (end - start)
        if num_finished > batch_size
        else None,
        "peak_memory_bytes": _peak_memory(),
    }


def combine(notes: Sequence[Note]) -> dict[str, Any]:
    """What run.json says of processes that did a share each, side by side."""
    rates = [note["images_per_second"] for note in notes]
    return {
        "counts": {
            kind: sum(note["counts"][kind] for note in notes)
            for kind in notes[0]["counts"]
        },
        "seconds": max(note["seconds"] for note in notes),
        "images_per_second": None if None in rates else sum(rates),
        "peak_memory_bytes": max(note["peak_memory_bytes"] for note in notes),
    }


def finish(
    found: listing.Listing, out: AnyPath, options: Options, report: dict[str, Any]
) -> None:
    """Writes what takes all maps together: the common scale, sheets, and the page."""
    record = out / parts.MANIFEST
    if options.scale == "common":
        report["common_limit"] = draw_on_common_scale(record, found, out, options)
    if "sheet" in options.save:
        pictures.write_sheets(out, read_entries(record))
    gallery.write(
        out,
        f"{options.method} of {report['network']['model']}",
        f"Explained: the {options.target} class"
        if options.target in ("predicted", "label")
        else f"Explained: {options.target}",
        read_entries(record),
    )


def choose_targets(
    target: str,
    found: listing.Listing,
    labels: Int32[np.ndarray, " n"],
    classifier: Classifier,
) -> Int32[np.ndarray, " n"]:
    """The class to explain of each image, or `explain.PREDICTED`.

    Raises:
      ClassifierError: `target` is no class; or it is 'label', and an image's is missing
        or no class.
    """
    if target == "predicted":
        return np.full_like(labels, explain.PREDICTED)
    if target != "label":
        return np.full_like(labels, classifier.class_index(target))
    for index in np.flatnonzero(labels == UNKNOWN):
        where, label = f"target=label: {found.names[index]}", found.labels[index]
        if not label:
            raise ClassifierError(
                f"{where}: it has no label: give a list with `path label`"
            )
        try:
            classifier.class_index(label)
        except ClassifierError as error:
            raise ClassifierError(f"{where}: {error}") from None
    return labels


def begin(classifier: Classifier, out: AnyPath, options: Options) -> dict[str, Any]:
    """Writes down what this run is; makes sure that an earlier one was the same.

    Returns:
      The start of run.json.

    Raises:
      RunError: names what differs from the earlier run.
    """
    model = type(classifier.model).__name__
    report = {
        "options": dataclasses.asdict(options),
        "network": {
            "model": model.lower(),
            "num_classes": len(classifier.class_names),
            "params_blake2b": features.digest_params(jax.device_get(classifier.params)),
        },
        "versions": {
            "jaxart": jaxart.__version__,
            "jax": jax.__version__,
            "python": platform.python_version(),
        },
        "device": jax.devices()[0].device_kind,
        "finished": False,
    }
    report = json.loads(json.dumps(report))
    path = out / "run.json"
    out.mkdir(parents=True, exist_ok=True)
    with storage.locked(out / ".lock"):  # shares begin together
        earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if earlier:
            check_same(earlier, report, out)
        results.write_json(path, report)
    return report


def check_same(earlier: dict[str, Any], report: dict[str, Any], out: AnyPath) -> None:
    """Raises `RunError` where two runs differ in their network or an option."""
    for part in ("network", "options"):
        for name, value in report[part].items():
            old = earlier.get(part, {}).get(name)
            if old != value:
                raise RunError(
                    f"{out} holds maps with {name}={old!r}; this run has "
                    f"{name}={value!r}. Choose another --out."
                )


def _peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes on Linux
