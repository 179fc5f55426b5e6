"""A run's paintings, small enough for a page that holds them all."""

import base64
import concurrent.futures
import io
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import jax
import numpy as np
from PIL import Image

from jaxart import storage
from jaxart.classifier import Classifier
from jaxart.data import images, pipeline, resizing
from jaxart.report.reading import Table
from jaxart.saliency import catalogue, render, work
from jaxart.storage import AnyPath

METHOD = "grad_cam"
THUMBNAIL, CARD = 96, 200  # pixels of the longest side
MAX_PICTURES = 600  # of the confusion matrix
MAX_IN_CELL = 24

_BATCH_SIZE = 8
_NUM_THREADS = 4  # Pillow works outside of the interpreter's lock


def of_matrix(table: Table) -> list[int]:
    """The rows whose paintings the matrix's cells open, `MAX_PICTURES` at most.

    Of each cell the most confident ones: as many of a small cell as of a large one, as
    long as there are.
    """
    places: Counter = Counter()
    ranked = []
    for row in np.argsort(-table.confidences, kind="stable").tolist():
        cell = int(table.labels[row]), int(table.predicted[row])
        ranked.append((places[cell], row))
        places[cell] += 1
    chosen = [pair for pair in sorted(ranked) if pair[0] < MAX_IN_CELL]
    return [row for _, row in chosen[:MAX_PICTURES]]


def thumbnails(root: AnyPath, names: Sequence[str], side: int) -> list[str | None]:
    """`data:` URIs of images; None for one that cannot be read."""
    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
        return list(pool.map(lambda name: _thumbnail(root, name, side), names))


def _thumbnail(root: AnyPath, name: str, side: int) -> str | None:
    try:
        picture = images.decode(storage.join(root, name), side)
    except images.ImageError:
        return None
    return data_uri(render.fit(picture, side))


def overlays(
    network: Classifier, root: AnyPath, names: Sequence[str]
) -> Iterator[str | None]:
    """`data:` URIs of what each image's predicted class is seen in; None as above."""
    model = network.model
    settings = catalogue.complete_settings(METHOD, model, {})
    attribute = catalogue.bind(
        METHOD,
        model,
        settings,
        channel_rule="",
        batch_size=_BATCH_SIZE,
        key=jax.random.key(0),
    )
    step = work.make_step(model, attribute)
    targets = np.full(_BATCH_SIZE, work.PREDICTED, np.int32)
    for batch_names in _batched(names):
        paths = [storage.join(root, name) for name in batch_names]
        batch, reasons, *_ = pipeline.load_batch(
            paths, network.resize, model.preprocessing, _BATCH_SIZE
        )
        maps = np.asarray(step(network.params, batch, targets).maps)
        for path, reason, values in zip(paths, reasons, maps, strict=False):
            yield None if reason else _overlay(path, values, network.resize)


def _overlay(path: AnyPath, values: np.ndarray, resize: str) -> str:
    picture = render.fit(images.decode(path, CARD), CARD)
    levels = render.to_levels(values, render.magnitude(values, 99.0), signed=False)
    box = resizing.field_of_view(*picture.size, len(levels), resize)
    placed = render.place(levels, picture.size, box, render.zero_level(False))
    table = render.color_table("auto", signed=False)
    return data_uri(render.overlay(np.asarray(picture), placed, table, signed=False))


def _batched(names: Iterable[str]) -> Iterator[list[str]]:
    names = iter(names)
    return iter(lambda: list(itertools.islice(names, _BATCH_SIZE)), [])


def data_uri(picture: Image.Image) -> str:
    """A picture as a JPEG in its own address."""
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=75, optimize=True)
    text = base64.b64encode(content.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{text}"
