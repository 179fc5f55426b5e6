"""What takes all maps of a pass together: the common scale, sheets, and the page."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from jaxart import storage
from jaxart.data import images
from jaxart.passes.local import map_ahead
from jaxart.saliency import gallery, pictures
from jaxart.saliency.manifest import read_records
from jaxart.saliency.work import Explaining
from jaxart.storage import AnyPath


def write(
    work: Explaining, manifest: AnyPath, skipped: Sequence[str]
) -> dict[str, Any]:
    """Writes it, of a manifest.

    Files of earlier maps of the images `skipped` go.

    Returns:
      What run.json says of it: {'common_limit'} with a common scale.
    """
    out, options = work.out, work.options
    report = {}
    for name in skipped:
        for file in work.files(name).values():
            (out / file).unlink(missing_ok=True)
    if options.scale == "common":
        report["common_limit"] = _draw_on_common_scale(work, manifest)
    if "sheet" in options.save:
        pictures.write_sheets(out, read_records(manifest))
    gallery.write(
        out,
        f"{options.method} of {type(work.network.model).__name__.lower()}",
        f"Explained: the {options.target} class"
        if options.target in ("predicted", "label")
        else f"Explained: {options.target}",
        read_records(manifest),
    )
    return report


def _draw_on_common_scale(work: Explaining, manifest: AnyPath) -> float:
    """Draws every map of a manifest on one scale, and returns it.

    It is to the maps' own scales what each of these is to its map: a percentile.

    Raises:
      ImageError: a picture is gone; names it.
    """
    out, options = work.out, work.options
    limits = [record["map"]["limit"] for record in read_records(manifest)]
    if not limits:
        return 0.0
    limit = float(np.percentile(limits, options.percentile))

    def draw(record: dict[str, Any]) -> None:
        paths = {kind: out / file for kind, file in record["files"].items()}
        try:
            picture = np.asarray(images.decode(storage.join(work.root, record["path"])))
        except images.ImageError as error:
            raise images.ImageError(f"{record['path']}: {error}") from None
        pictures.draw(
            picture, pictures.load_map(paths["npy"]), limit, options.look, paths
        )

    num_threads = work.num_threads
    drawn = map_ahead(draw, read_records(manifest), num_threads, 8 * num_threads)
    for _ in tqdm(drawn, total=len(limits), desc="drawing", unit="img"):
        pass
    return limit
