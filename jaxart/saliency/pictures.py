"""The files of one image: the raw map, pictures of it, and what the page shows."""

import functools
import hashlib
import io
import itertools
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from jaxart import storage
from jaxart.data import images, resizing
from jaxart.saliency import render
from jaxart.storage import AnyPath

SUFFIXES = {"overlay": ".jpg", "heatmap": ".png", "npy": ".npy"}
FORMATS = {".png": {"format": "PNG"}, ".jpg": {"format": "JPEG", "quality": 90}}
PAIRS_ON_SHEET = 10
MAX_NAME_BYTES = 200  # file systems take 255, suffixes included
MAX_SIDE = 65_500  # pixels: libjpeg writes no longer ones
THUMBNAIL, PICTURE = 240, 1024  # longest side on the page, pixels
IMAGE_KINDS, MAP_KINDS = ("thumbnail", "picture"), ("map",)  # the page's files


class Look(NamedTuple):
    """How maps are drawn."""

    table: UInt8[np.ndarray, "256 3"]  # colour of each level
    signed: bool  # whether maps tell for from against
    resize: str  # the rule that made the network's input, which says where a map lies


def look(colormap: str, signed: bool, resize: str) -> Look:
    """How maps are drawn in a colour table of `render.color_table`.

    Raises:
      ValueError: there is no such table.
    """
    return Look(_table(colormap, signed), signed, resize)


@functools.cache  # to find a table takes a millisecond
def _table(colormap: str, signed: bool) -> UInt8[np.ndarray, "256 3"]:
    return render.color_table(colormap, signed)


def file_names(
    name: str, kinds: Collection[str] = (), folder: str | None = None
) -> dict[str, str]:
    """Where the files of an image, or of its map, lie in the output folder, by kind.

    They mirror the input: `overlay/a/b.jpg.jpg` is that of `a/b.jpg`. No two images
    share a file, and none lies outside the output folder. `folder` is of one of
    several maps, '' of the only one; None is the image's own.
    """
    inside = PurePosixPath(os.path.normpath(name).replace(os.sep, "/"))
    mirrored = "/".join([*filter(None, [folder]), *map(_safe, inside.parts)])
    names = {kind: f"{kind}/{mirrored}{SUFFIXES[kind]}" for kind in kinds}
    of_page = IMAGE_KINDS if folder is None else MAP_KINDS
    return names | {kind: f"gallery/{kind}/{mirrored}.jpg" for kind in of_page}


def _safe(name: str) -> str:
    """A folder's or file's name that stays inside and leaves room for suffixes."""
    if name in ("/", ".."):
        return {"/": "_root", "..": "_up"}[name]
    if name.startswith("_") and name.lstrip("_") in ("root", "up"):
        name = f"_{name}"  # _root and _up have their meaning
    encoded = os.fsencode(name)
    if len(encoded) <= MAX_NAME_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return f"{encoded[: MAX_NAME_BYTES - 17].decode(errors='ignore')}-{digest}"


def save_map(values: Float32[np.ndarray, "h w"], path: AnyPath) -> None:
    """Writes a raw map, float32 [H, W], beside and renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.save(content, values)
    storage.write_bytes(path, content.getvalue())


def load_map(path: AnyPath) -> Float32[np.ndarray, "h w"]:
    """What `save_map` wrote."""
    return np.load(io.BytesIO(path.read_bytes()))


def save(picture: Image.Image, path: AnyPath) -> None:
    """Writes a .png or .jpg file, beside and renamed; makes the folders above."""
    path.parent.mkdir(parents=True, exist_ok=True)
    storage.write_picture(picture, path, **FORMATS[path.suffix.lower()])


def draw_picture(picture: Image.Image, paths: Mapping[str, AnyPath]) -> None:
    """Draws an image for the page, in two sizes."""
    small = render.fit(picture, PICTURE)
    save(small, paths["picture"])
    save(render.fit(small, THUMBNAIL), paths["thumbnail"])


def draw_map(
    original: Image.Image,
    values: Float32[np.ndarray, "s s"],
    limit: float,
    look: Look,
    paths: Mapping[str, AnyPath],
) -> None:
    """Draws a map at its picture's size or `MAX_SIDE`, and smaller for the page.

    `limit` is the value at the end of the colour table. Of the kinds of `SUFFIXES`,
    those without a path are not drawn.
    """
    levels = render.to_levels(values, limit, look.signed)
    if paths.keys() & {"heatmap", "overlay"}:
        original = render.fit(original, MAX_SIDE)
        placed = _place(levels, original.size, look)
        if "heatmap" in paths:
            save(render.heatmap(placed, look.table), paths["heatmap"])
        if "overlay" in paths:
            pixels = np.asarray(original)
            over = render.overlay(pixels, placed, look.table, look.signed)
            save(over, paths["overlay"])
    size = render.fitted(original.size, PICTURE)
    heat = render.heatmap(_place(levels, size, look), look.table)
    save(heat.convert("RGB"), paths["map"])


def note_of_size(picture: Image.Image) -> str:
    """What is to be said of a picture whose maps are drawn smaller; '' of others."""
    width, height = render.fitted(picture.size, MAX_SIDE)
    if (width, height) == picture.size:
        return ""
    return f"drawn smaller, at {width:,} x {height:,} pixels: no JPEG is longer"


def _place(
    levels: UInt8[np.ndarray, "s s"], size: tuple[int, int], look: Look
) -> UInt8[np.ndarray, "h w"]:
    box = resizing.field_of_view(*size, len(levels), look.resize)
    return render.place(levels, size, box, render.zero_level(look.signed))


def write_sheets(out: AnyPath, records: Iterable[Mapping[str, Any]]) -> None:
    """Writes `sheet/0001.jpg` and so on: a manifest's pictures beside their maps."""
    records = iter(records)
    sheets = iter(lambda: list(itertools.islice(records, PAIRS_ON_SHEET)), [])
    for number, sheet in enumerate(sheets, start=1):
        cells = []
        for record in sheet:
            maps = [one["files"]["map"] for one in record["maps"]]
            files = [record["files"]["picture"], *maps]
            shown = [images.decode(out / file) for file in files]
            name = PurePosixPath(record["path"]).name
            says = f"{record['predicted_name']} {record['probability']:.0%}"
            cells.append((shown, f"{name}: {says}"))
        columns = 2 if len(cells[0][0]) == 2 else 1
        save(render.sheet(cells, columns), out / "sheet" / f"{number:04d}.jpg")
