"""One pass over many images: maps, pictures of them, a manifest and a page."""

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

import jaxart
from jaxart import storage
from jaxart.classifier import Classifier, ClassifierError
from jaxart.data import features, images, listing
from jaxart.passes import folder, local, outputs, running
from jaxart.passes.folder import Folder
from jaxart.predict import evaluation
from jaxart.predict.tables import UNKNOWN
from jaxart.saliency import whole
from jaxart.saliency.manifest import write_records
from jaxart.saliency.options import Options
from jaxart.saliency.question import Question
from jaxart.saliency.work import Explaining, Item
from jaxart.storage import AnyPath, results

MANIFEST, REPORT, SKIPPED = "manifest.jsonl", "run.json", "skipped.csv"
PARTS = "parts"  # the folder of the pass, in that of the maps

logger = logging.getLogger(__name__)

_SAMPLES = {"num_samples", "num_steps", "num_masks", "window"}  # many passes an image
_NUM_BATCHES = 4  # of a part, if an image takes one pass: about ten seconds on a CPU


def explain_images(
    classifier: Classifier,
    image_list: listing.Listing,
    out: AnyPath,
    options: Options,
    *,
    batch_size: int,
    part_size: int | None = None,
    ray: running.Cluster | None = None,
    arguments: Sequence[str] = (),
) -> dict[str, Any]:
    """Explains images, and goes on where an earlier pass was stopped.

    The caller holds the parts: `passes.driver.alone(out / PARTS)`.

    `batch_size` network inputs run at once. A part of `part_size` images is what a
    killed pass may lose; None takes about ten seconds' work, or more of a long list. A
    cluster `ray` does it, or this process. `arguments` are the command's, for run.json.

    Returns:
      What run.json holds.

    Raises:
      OtherPassError: `out` holds other maps.
      ClassifierError: the target or a label is none of the classifier's classes.
      ValueError: a setting is out of range, or `out` is no place for maps.
    """
    start = time.perf_counter()
    outputs.check_not_a_run(out)
    items = find_items(image_list, classifier, options.questions)
    root, resolved_out = map(storage.resolve, (image_list.root, out))
    work = Explaining(classifier, root, resolved_out, options, batch_size)
    work.make_steps()  # a mistake shows before anything is written
    part_size = part_size or _part_size(options.questions, len(items), batch_size)
    parts = folder.cut(items, part_size)
    about = describe(work, image_list, part_size)
    passed = Folder(out / PARTS, flatten(about))
    earlier = find_finished(work, parts, passed, out / REPORT)
    if earlier is not None:
        passed.remove()
        return earlier

    passed.begin()
    outcome = running.run(work, parts, passed, title="saliency", ray=ray)
    counts, skipped = write_manifest(out / MANIFEST, passed, outcome)
    report = about | whole.write(work, out / MANIFEST, [name for name, _ in skipped])
    results.write_csv(out / SKIPPED, ("path", "reason"), skipped)
    storage.remove_unfinished(out)
    report |= {
        "arguments": list(arguments),
        "counts": counts,
        "seconds": time.perf_counter() - start,
        "images_per_second": outcome.items_per_second,
        "peak_memory_bytes": _peak_memory(),
        "contents": folder.digest(outcome.names),
    }
    results.write_json(out / REPORT, report)  # says that all else is there
    passed.remove()
    return report


def _part_size(questions: Sequence[Question], num_images: int, batch_size: int) -> int:
    """Images of a part, which is about ten seconds' work."""
    num_batches = max(1, _NUM_BATCHES // len(questions))
    if any(_SAMPLES & question.settings.keys() for question in questions):
        num_batches = 1
    return folder.part_size(num_images, batch_size, num_batches)


def find_finished(
    work: Explaining, parts: Sequence[folder.Part], passed: Folder, report: AnyPath
) -> dict[str, Any] | None:
    """What run.json says, where it is of these parts and no image was replaced since.

    Raises:
      OtherPassError: it is of another pass.
    """
    earlier = folder.read_settings(report)
    if earlier is None:
        return None
    folder.check_same(flatten(earlier), passed.settings, report.parent)

    def name(part: folder.Part) -> str:
        return passed.name(part, work.identify(part.items))

    names = local.map_ahead(name, parts, num_threads=4, num_ahead=8)
    if earlier.get("contents") != folder.digest(names):
        return None
    counts = earlier["counts"]
    logger.info("All %d images are done already", counts["found"])
    done = counts["found"] - counts["skipped"]
    return earlier | {"counts": counts | {"done_before": done, "done_now": 0}}


def write_manifest(
    manifest: AnyPath, passed: Folder, outcome: running.Outcome
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Writes all lines; counts the images, and gives the skipped ones with reasons."""
    skipped = []
    counts = {"found": 0, "done_before": 0, "done_now": 0}

    def records():
        for name, is_new in zip(outcome.names, outcome.is_new, strict=True):
            for record in passed.records([name]):
                counts["found"] += 1
                if "reason" in record:
                    skipped.append((record["path"], record["reason"]))
                else:
                    counts["done_now" if is_new else "done_before"] += 1
                    yield record

    write_records(manifest, records())
    return counts | {"skipped": len(skipped)}, skipped


def describe(
    work: Explaining, image_list: listing.Listing, part_size: int
) -> dict[str, Any]:
    """What run.json says of a pass before it begins: what it is of, and runs on."""
    classifier = work.network
    report = {
        "options": work.options.describe(),
        "network": {
            "model": type(classifier.model).__name__.lower(),
            "compute_dtype": classifier.model.compute_dtype,
            "num_classes": len(classifier.class_names),
            "class_names": folder.digest(classifier.class_names),
            "params_blake2b": features.digest_params(jax.device_get(classifier.params)),
        },
        "list": {
            "images": folder.digest(image_list.names),
            "labels": folder.digest(image_list.labels),
            "batch_size": work.batch_size,
            "image_reader": images.reader(),
            "part_size": part_size,
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
    """What a pass is of, in one mapping."""
    return (
        report.get("options", {}) | report.get("network", {}) | report.get("list", {})
    )


def find_items(
    image_list: listing.Listing, classifier: Classifier, questions: Sequence[Question]
) -> list[Item]:
    """Each image with its own class, and with those that its maps are of.

    Raises:
      ClassifierError: a target is no class; or it is 'label', and an image's is missing
        or no class.
    """
    labels = evaluation.find_labels(image_list, classifier)
    if any(question.target == "label" for question in questions):
        for index in np.flatnonzero(labels == UNKNOWN).tolist():
            _refuse_label(image_list, index, classifier)
    columns = []
    for question in questions:
        classes = question.classes(classifier, labels)
        if question.target != "label":
            classes = np.broadcast_to(classes, (len(labels), *classes.shape))
        columns.append(
            map(tuple, classes.tolist()) if question.against else classes.tolist()
        )
    return [
        Item(name, None if label == UNKNOWN else label, tuple(classes))
        for name, label, *classes in zip(
            *(image_list.names, labels.tolist(), *columns), strict=True
        )
    ]


def _refuse_label(
    image_list: listing.Listing, index: int, classifier: Classifier
) -> None:
    """Raises a `ClassifierError` that says why an image's label is no target."""
    name, label = image_list.names[index], image_list.labels[index]
    try:
        if not label:
            raise ClassifierError("it has no label: give a list with `path label`")
        classifier.class_index(label, is_name=image_list.are_names)
    except ClassifierError as error:
        raise ClassifierError(f"target=label: {name}: {error}") from None


def _peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes on Linux
