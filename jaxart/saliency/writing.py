"""The files of every image, drawn in threads alongside the network."""

import concurrent.futures
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Int32
from tqdm import tqdm

from jaxart import storage
from jaxart.data import images, listing
from jaxart.prediction_files import UNKNOWN
from jaxart.saliency import pictures, render
from jaxart.saliency.explain import Batch, Explained
from jaxart.saliency.manifest import describe, read_entries
from jaxart.saliency.options import Options
from jaxart.storage import AnyPath

NUM_THREADS = 4  # Pillow works outside of the interpreter's lock
NUM_REMOTE_THREADS = 16  # where they mostly wait for an object store


class Outcome(NamedTuple):
    """What became of an image: its line for the manifest, or why it has none."""

    name: str
    entry: dict[str, Any] | None
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Writer:
    """Writes the files of one image.

    Attributes:
      found: the images.
      labels: the class that each is said to show, or `UNKNOWN`.
      class_names: what each logit stands for.
      options: what to write.
      out: where to.
    """

    found: listing.Listing
    labels: Int32[np.ndarray, " n"]
    class_names: tuple[str, ...]
    options: Options
    out: AnyPath

    def __call__(
        self,
        index: int,
        logits: Float32[np.ndarray, " k"],
        target: Int[np.generic, ""],
        values: Float32[np.ndarray, "s s"],
    ) -> Outcome:
        """Writes the files of image `index`, and gives its line for the manifest."""
        name = self.found.names[index]
        options = self.options
        kinds = set(options.save) - {"sheet"}
        if options.scale == "common":
            kinds |= {"npy"}  # pictures are drawn when all maps are known
        files = pictures.file_names(name, kinds)
        paths = {kind: self.out / file for kind, file in files.items()}
        try:
            label = int(self.labels[index])
            label = None if label == UNKNOWN else label
            says = describe(self.class_names, logits, int(target), label)
            limit = render.magnitude(values, options.percentile)
            picture = np.asarray(images.decode(storage.join(self.found.root, name)))
        except (ValueError, FloatingPointError) as error:
            return Outcome(name, None, str(error))
        if "npy" in kinds:
            pictures.save_map(values, paths["npy"])
        if options.scale == "image":
            pictures.draw(picture, values, limit, options.look, paths)
        entry = {
            "path": name,
            "size": [picture.shape[1], picture.shape[0]],
            **says,
            "method": options.method,
            "settings": options.settings,
            "map": {
                "min": float(values.min()),
                "max": float(values.max()),
                "sum": float(values.sum(dtype=np.float64)),
                "limit": limit,
            },
            "files": files,
        }
        return Outcome(name, entry)


def write_images(
    explained: Iterator[tuple[Batch, Explained | None]], writer: Writer
) -> Iterator[Outcome]:
    """Writes the files of every image that the network has seen, in order.

    A batch is written while the network runs the next.
    """
    with concurrent.futures.ThreadPoolExecutor(_num_threads(writer.out)) as pool:
        for batch, result in explained:
            for index, reason in batch.unreadable:
                yield Outcome(writer.found.names[index], None, reason)
            if batch.rows:
                rows, indices = zip(*batch.rows, strict=True)
                says = (values[np.array(rows)] for values in result)
                yield from pool.map(writer, indices, *says)


def _num_threads(out: AnyPath) -> int:
    return NUM_REMOTE_THREADS if storage.is_remote(out) else NUM_THREADS


def draw_on_common_scale(
    record: AnyPath, found: listing.Listing, out: AnyPath, options: Options
) -> float:
    """Draws every map of a record on one scale, and returns it.

    It is to the maps' own scales what each of these is to its map: a percentile.

    Raises:
      ImageError: a picture is gone; names it.
    """
    limits = [entry["map"]["limit"] for entry in read_entries(record)]
    if not limits:
        return 0.0
    limit = float(np.percentile(limits, options.percentile))

    def draw(entry: dict[str, Any]) -> None:
        paths = {kind: out / file for kind, file in entry["files"].items()}
        try:
            picture = np.asarray(images.decode(storage.join(found.root, entry["path"])))
        except images.ImageError as error:
            raise images.ImageError(f"{entry['path']}: {error}") from None
        pictures.draw(
            picture, pictures.load_map(paths["npy"]), limit, options.look, paths
        )

    with (
        concurrent.futures.ThreadPoolExecutor(_num_threads(out)) as pool,
        tqdm(total=len(limits), desc="drawing", unit="img") as bar,
    ):
        entries = read_entries(record)
        while some := list(itertools.islice(entries, 8 * NUM_THREADS)):
            for _ in pool.map(draw, some):
                bar.update()
    return limit
