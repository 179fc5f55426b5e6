"""One run over many images: their maps, pictures of the maps, a record and a page."""

import dataclasses
import json
import logging
import platform
import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Int32

import jaxart
from jaxart import storage
from jaxart.classifier import Classifier, ClassifierError
from jaxart.data import features, images, listing
from jaxart.passes import folder, local, outputs, running
from jaxart.passes.folder import Folder
from jaxart.predict import evaluation
from jaxart.predict.tables import UNKNOWN
from jaxart.saliency import whole
from jaxart.saliency.manifest import write_entries
from jaxart.saliency.options import Options
from jaxart.saliency.work import PREDICTED, Explaining, Item
from jaxart.storage import AnyPath, results

MANIFEST, REPORT, SKIPPED = "manifest.jsonl", "run.json", "skipped.csv"
PARTS = "parts"  # the folder of the pass, in that of the run

logger = logging.getLogger(__name__)

_SAMPLES = {"num_samples", "num_steps", "num_masks", "window"}  # many passes an image
_NUM_BATCHES = 4  # of a part, if an image takes one pass: about ten seconds on a CPU


def explain_images(
    classifier: Classifier,
    found: listing.Listing,
    out: AnyPath,
    options: Options,
    *,
    batch_size: int,
    part_size: int | None = None,
    ray: running.Cluster | None = None,
    arguments: Sequence[str] = (),
) -> dict[str, Any]:
    """Explains images, and goes on where an earlier run was stopped.

    The caller holds the run's parts: `passes.driver.alone(out / PARTS)`.

    `batch_size` network inputs run at once. `part_size` is the images of a part, which
    is what a killed run may lose; None takes about ten seconds' work, or more of a long
    list. `ray` is the cluster that does it; None does it here. `arguments` are the
    command's, for run.json.

    Returns:
      What run.json holds.

    Raises:
      OtherPassError: `out` holds maps of other images, of another network or with
        other options.
      ClassifierError: the target or a label is none of the classifier's classes.
      ValueError: a setting is out of range, or `out` is no place for maps.
    """
    start = time.perf_counter()
    outputs.check_not_a_run(out)
    labels = evaluation.find_labels(found, classifier)
    targets = choose_targets(options.target, found, labels, classifier)
    root = storage.resolve(found.root)
    work = Explaining(classifier, root, storage.resolve(out), options, batch_size)
    work.make_step()  # a mistake shows before anything is written
    items = [
        Item(name, int(target), None if label == UNKNOWN else int(label))
        for name, target, label in zip(found.names, targets, labels, strict=True)
    ]
    if part_size is None:
        num_batches = 1 if _SAMPLES & options.settings.keys() else _NUM_BATCHES
        part_size = folder.part_size(len(items), batch_size, num_batches)
    about = describe(work, found)
    about["list"]["part_size"] = part_size
    parts = folder.cut(items, part_size)
    passed = Folder(out / PARTS, flatten(about))

    earlier = folder.read_settings(out / REPORT)
    if earlier is not None:
        folder.check_same(flatten(earlier), passed.settings, out)
        if earlier.get("contents") == folder.digest(find_names(work, parts, passed)):
            passed.remove()
            logger.info("All %d images are done already", len(items))
            done = earlier["counts"]["found"] - earlier["counts"]["skipped"]
            return earlier | {
                "counts": earlier["counts"] | {"done_before": done, "done_now": 0}
            }
    passed.begin()
    outcome = running.run(work, parts, passed, title="saliency", ray=ray)

    skipped = []
    counts = {"found": len(items), "done_before": 0, "done_now": 0}

    def entries():
        for name, is_new in zip(outcome.names, outcome.is_new, strict=True):
            for record in passed.records([name]):
                if "reason" in record:
                    skipped.append((record["path"], record["reason"]))
                else:
                    counts["done_now" if is_new else "done_before"] += 1
                    yield record

    write_entries(out / MANIFEST, entries())
    report = about | whole.write(work, out / MANIFEST, [name for name, _ in skipped])
    results.write_csv(out / SKIPPED, ("path", "reason"), skipped)
    storage.remove_unfinished(out)
    report |= {
        "arguments": list(arguments),
        "counts": counts | {"skipped": len(skipped)},
        "seconds": time.perf_counter() - start,
        "images_per_second": outcome.items_per_second,
        "peak_memory_bytes": _peak_memory(),
        "contents": folder.digest(outcome.names),
    }
    results.write_json(out / REPORT, report)  # says that all else is there
    passed.remove()
    return report


def find_names(
    work: Explaining, parts: Sequence[folder.Part], passed: Folder
) -> list[str]:
    """What all parts would be called, as the images are now."""
    opened = work.open()

    def name(part: folder.Part) -> str:
        return passed.name(part, opened.identify(part.items))

    return list(local.map_ahead(name, parts, num_threads=4, num_ahead=8))


def describe(work: Explaining, found: listing.Listing) -> dict[str, Any]:
    """What run.json says of a run before it begins: what it is of, and runs on."""
    classifier = work.network
    report = {
        "options": dataclasses.asdict(work.options),
        "network": {
            "model": type(classifier.model).__name__.lower(),
            "compute_dtype": classifier.model.compute_dtype,
            "num_classes": len(classifier.class_names),
            "class_names": folder.digest(classifier.class_names),
            "params_blake2b": features.digest_params(jax.device_get(classifier.params)),
        },
        "list": {
            "images": folder.digest(found.names),
            "labels": folder.digest(found.labels),
            "batch_size": work.batch_size,
            "image_reader": images.READER_VERSION,
        },
        "versions": {
            "jaxart": jaxart.__version__,
            "jax": jax.__version__,
            "python": platform.python_version(),
        },
        "device": jax.devices()[0].device_kind,
    }
    return json.loads(json.dumps(report))


def flatten(report: dict[str, Any]) -> dict[str, Any]:
    """What a run is of, in one mapping."""
    return {
        name: value
        for part in ("options", "network", "list")
        for name, value in report.get(part, {}).items()
    }


def choose_targets(
    target: str,
    found: listing.Listing,
    labels: Int32[np.ndarray, " n"],
    classifier: Classifier,
) -> Int32[np.ndarray, " n"]:
    """The class to explain of each image, or `PREDICTED`.

    Raises:
      ClassifierError: `target` is no class; or it is 'label', and an image's is missing
        or no class.
    """
    if target == "predicted":
        return np.full_like(labels, PREDICTED)
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


def _peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes on Linux
