"""Saliency maps: jaxart."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks.timing import repeat
from jaxart.classifier import from_weights
from jaxart.data import images, listing
from jaxart.models import Network
from jaxart.saliency import catalogue, question, run, work
from jaxart.saliency.options import Options


def folder(
    weights: str, paths: list[str], batch_size: int, method: str, given: dict[str, Any]
) -> dict[str, Any]:
    """Times `explain_images`: files to raw maps."""
    classifier = from_weights(Path(weights))
    root = Path(os.path.commonpath([Path(path).parent for path in paths]))
    names = tuple(os.path.relpath(path, root) for path in paths)
    found = listing.Listing(root, names, ("",) * len(names))
    asked = question.ask(classifier.model, method, settings=given, channel_rule=None)
    options = Options(
        questions=(asked,),
        resize="antialias",
        save=("npy",),
        scale="image",
        percentile=99.0,
        colormap="auto",
        seed=0,
    )
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        report = run.explain_images(
            classifier, found, Path(out), options, batch_size=batch_size
        )
        total = time.perf_counter() - start
        files = Path(out).glob("npy/**/*.npy")
        check = sorted(float(np.abs(np.load(file)).mean()) for file in files)
    seconds = {"total": [total]}
    if report["images_per_second"]:
        later = (len(paths) - batch_size) / report["images_per_second"]
        seconds["after_first_batch"] = [later]
    return {"seconds": seconds, "check": check}


def in_memory(
    weights: str, paths: list[str], batch_size: int, method: str, given: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Times the compiled step of a saliency run on one batch of images."""
    classifier = from_weights(Path(weights))
    model, params = classifier.model, classifier.params
    attribute = bind(method, model, given, batch_size)
    facts = model.preprocessing
    batch = np.stack([images.load(p, resize="antialias", **facts) for p in paths])
    arrays = jax.device_put((batch, np.full(len(paths), work.PREDICTED, np.int32)))
    start = time.perf_counter()
    step = work.make_step(model, attribute).lower(params, *arrays).compile()
    compile_seconds = time.perf_counter() - start
    while True:
        seconds, explained = repeat(lambda: jax.device_get(step(params, *arrays)), 1)
        yield {
            "seconds": {"maps": seconds},
            "check": sorted(np.abs(explained.maps).mean((1, 2)).tolist()),
            "compile_seconds": compile_seconds,
        }


def bind(
    method: str, model: Network, given: dict[str, Any], batch_size: int
) -> Callable[..., Any]:
    """A method with some settings given, as a run binds it."""
    return catalogue.bind(
        method,
        model,
        catalogue.complete_settings(method, model, given),
        channel_rule=catalogue.find(method).channel_rule,
        batch_size=batch_size,
        key=jax.random.key(0),
    )
