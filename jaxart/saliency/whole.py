"""What takes all maps of a pass together: the common scale, sheets, and the page."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from jaxart import storage
from jaxart.data import images
from jaxart.passes.local import map_ahead
from jaxart.saliency import gallery, pictures
from jaxart.saliency.manifest import read_records
from jaxart.saliency.question import Question
from jaxart.saliency.work import Explaining
from jaxart.storage import AnyPath
from jaxart.storage.results import DamagedError


def write(
    work: Explaining, manifest: AnyPath, skipped: Sequence[str]
) -> dict[str, Any]:
    """Writes it, of a manifest.

    Files of earlier maps of the images `skipped` go.

    Returns:
      What run.json says of it: with a common scale {'common_limit'}, of each method.
    """
    out, options = work.out, work.options
    report = {}
    for name in skipped:
        own_files, of_maps = work.files(name)
        for files in (own_files, *of_maps):
            for file in files.values():
                (out / file).unlink(missing_ok=True)
    if options.scale == "common":
        report["common_limit"] = _draw_on_common_scale(work, manifest)
    if "sheet" in options.save:
        pictures.write_sheets(out, _read(work, manifest))
    methods = dict.fromkeys(question.method for question in options.questions)
    targets = dict.fromkeys(map(_target, options.questions))
    model = type(work.network.model).__name__.lower()
    gallery.write(
        out,
        f"{', '.join(methods)} of {model}",
        f"Explained: {', '.join(targets)}",
        _read(work, manifest),
    )
    return report


def _read(work: Explaining, manifest: AnyPath) -> Iterator[dict[str, Any]]:
    """A manifest's records, with the files that this pass gives them: none outside."""
    for record in read_records(manifest):
        own_files, of_maps = work.files(record["path"])
        maps = [
            one | {"files": files}
            for one, files in zip(record["maps"], of_maps, strict=True)
        ]
        yield record | {"files": own_files, "maps": maps}


def _target(question: Question) -> str:
    """What a question is about, for people."""
    target, against = question.target, question.against
    said = f"the {target} class" if target in ("predicted", "label") else target
    if not against:
        return said
    other = "the best other one" if against == "best_other" else against
    return f"{said} against {other}"


def _draw_on_common_scale(work: Explaining, manifest: AnyPath) -> dict[str, float]:
    """Draws every map of a manifest on its method's one scale; returns the scales.

    It is to the maps' own scales what each of these is to its map: a percentile.

    Raises:
      ImageError: a picture is gone; names it.
      DamagedError: a raw map is not what was written; names it.
    """
    out, options = work.out, work.options
    of_method: dict[str, list[float]] = {}
    num_images = 0
    for record in read_records(manifest):
        num_images += 1
        for one in record["maps"]:
            of_method.setdefault(one["method"], []).append(one["map"]["limit"])
    limits = {
        method: float(np.percentile(values, options.percentile))
        for method, values in of_method.items()
    }

    def draw(record: dict[str, Any]) -> None:
        try:
            picture = images.decode(storage.join(work.root, record["path"]))
        except images.ImageError as error:
            raise images.ImageError(f"{record['path']}: {error}") from None
        for question, one in zip(options.questions, record["maps"], strict=True):
            paths = {kind: out / file for kind, file in one["files"].items()}
            values = _load_map(paths["npy"], one["map"])
            limit, look = limits[question.method], options.look(question)
            pictures.draw_map(picture, values, limit, look, paths)

    num_threads = work.num_threads
    drawn = map_ahead(draw, _read(work, manifest), num_threads, 8 * num_threads)
    for _ in tqdm(drawn, total=num_images, desc="drawing", unit="img"):
        pass
    return limits


def _load_map(path: AnyPath, says: Mapping[str, float]) -> Float32[np.ndarray, "s s"]:
    """A raw map, of which its record says min, max and sum.

    Raises:
      DamagedError: it is another, or none.
    """
    try:
        values = pictures.load_map(path)
        limits = float(values.min()), float(values.max())
        total = values.sum(dtype=np.float64)
        rounding = 1e-9 * np.abs(values).sum(dtype=np.float64)  # other machines add so
        if limits == (says["min"], says["max"]) and math.isclose(
            total, says["sum"], rel_tol=0, abs_tol=rounding
        ):
            return values
    except (ValueError, EOFError, TypeError):
        pass
    raise DamagedError(
        f"{path}: damaged: not the map that was written. Remove the folder parts "
        "beside the manifest, and the same command makes all anew"
    )
