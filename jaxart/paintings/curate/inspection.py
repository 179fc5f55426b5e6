"""What a data set holds: counts, sizes, and what its lists share."""

import collections
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from jaxart import storage
from jaxart.data import duplicates, files, images, labels
from jaxart.data.lists import DataError
from jaxart.paintings.curate import paintings, writing
from jaxart.paintings.curate.paintings import Picture, Skipped
from jaxart.passes.local import map_ahead
from jaxart.storage import AnyPath, results

COLUMNS, ROWS = 8, 6  # of a contact sheet
CELL = 160  # pixels
_GAP = 4
_NUM_THREADS = 4

_COPIES_HEADER = (
    *("list_a", "path_a", "label_a", "list_b", "path_b", "label_b"),
    *("kind", "distance"),
)
_UNREADABLE_HEADER = ("list", "path", "label", "reason")


class Side(NamedTuple):
    """One list, as the report calls it, and the folder that its names start from."""

    name: str
    root: AnyPath
    pictures: list[Picture]
    unreadable: list[Skipped]


def inspect(
    sources: Sequence[AnyPath],
    out: Path,
    *,
    image_root: AnyPath | None = None,
    metadata: AnyPath | None = None,
    any_suffix: bool = False,
    max_distance: int = duplicates.MAX_DISTANCE,
) -> dict[str, Any]:
    """Reads lists, each as `paintings.read` takes it, and looks for what they share.

    `out` gets inspection.json, copies.csv, unreadable.csv, and a contact sheet for each
    class. `max_distance` is the bits of 256 in which near duplicates may differ.

    Returns:
      What inspection.json holds.

    Raises:
      DataError: a source is missing or malformed, or has no sound image.
    """
    sides = _read_sides(
        sources, image_root=image_root, metadata=metadata, any_suffix=any_suffix
    )
    if not any(side.pictures for side in sides):
        raise DataError(f"{sources[0]}: none of its images can be read")

    copies, report_copies, report_artists = [], {}, {}
    for a, b in itertools.combinations_with_replacement(sides, 2):
        between = a.name if a is b else f"{a.name} and {b.name}"
        rows = _copies(a, b, max_distance)
        copies += rows
        kinds = collections.Counter(row[-2] for row in rows)
        report_copies[between] = {kind: kinds[kind] for kind in duplicates.KINDS}
        if a is not b:
            known = _artists(a), _artists(b)
            report_artists[between] = (
                sorted(known[0] & known[1]) if all(known) else None
            )
    by_class = _by_class(sides)
    report = {
        "lists": {side.name: _describe(side) for side in sides},
        "classes": {
            label: _describe_class(label, sides, [p for _, p in members])
            for label, members in by_class.items()
        },
        "copies": report_copies,
        "artists_on_both_sides": report_artists,
    }
    out.mkdir(parents=True, exist_ok=True)
    results.write_csv(out / "copies.csv", _COPIES_HEADER, copies)
    unreadable = [(side.name, *row) for side in sides for row in side.unreadable]
    results.write_csv(out / "unreadable.csv", _UNREADABLE_HEADER, unreadable)
    _write_sheets(out, by_class)
    results.write_json(out / "inspection.json", report)
    return report


def _read_sides(sources: Sequence[AnyPath], **how: Any) -> list[Side]:
    """Looks at the pictures of each list; `how` is what `paintings.read` takes."""
    stems = [source.stem for source in sources]
    sides = []
    for source in sources:
        root, listed = paintings.read(source, **how)
        name = source.stem if stems.count(source.stem) == 1 else os.fspath(source)
        paths = [storage.join(root, painting.name) for painting in listed]
        looked = files.look(paths, files.default_cache_dir())
        sides.append(Side(name, root, *paintings.sort_out(listed, looked)))
    return sides


def _copies(a: Side, b: Side, max_distance: int) -> list[tuple]:
    """Pictures that stand twice in one list, or in both."""
    files_a, files_b = ([p.file for p in side.pictures] for side in (a, b))
    if a is b:
        pairs = duplicates.within(files_a, max_distance)
    else:
        pairs = duplicates.between(files_a, files_b, max_distance)
    rows = []
    for i, j, *how in pairs:
        one, other = a.pictures[i].painting, b.pictures[j].painting
        ends = (a.name, one.name, one.label, b.name, other.name, other.label)
        rows.append((*ends, *how))
    return rows


def _artists(side: Side) -> set[str]:
    return {picture.artist for picture in side.pictures} - {""}


def _shared_artists(a: Side, b: Side) -> list[str] | None:
    """The artists of both lists; None where no artist of one of them is known."""
    both = _artists(a), _artists(b)
    return sorted(both[0] & both[1]) if all(both) else None


def _describe(side: Side) -> dict[str, int]:
    return {
        "images": len(side.pictures),
        "unreadable": len(side.unreadable),
        "artists": len(_artists(side)),
        "unknown_artist": sum(not picture.artist for picture in side.pictures),
    }


def _describe_class(
    label: str, sides: Sequence[Side], pictures: Sequence[Picture]
) -> dict[str, Any]:
    """A class's counts by list, and the sizes of its pictures."""
    counts = {
        side.name: sum(p.painting.label == label for p in side.pictures)
        for side in sides
    }
    shorter = [min(p.file.width, p.file.height) for p in pictures]
    return counts | {
        "artists": len({p.artist for p in pictures} - {""}),
        "shorter_side": {
            "min": min(shorter),
            "median": float(np.median(shorter)),
            "max": max(shorter),
        },
    }


def _by_class(sides: Sequence[Side]) -> dict[str, list[tuple[AnyPath, Picture]]]:
    """The pictures of each class, and where each one's name starts from."""
    classes = collections.defaultdict(list)
    for side in sides:
        for picture in side.pictures:
            classes[picture.painting.label].append((side.root, picture))
    return {label: classes[label] for label in labels.in_order(classes)}


def _write_sheets(
    out: Path, by_class: Mapping[str, Sequence[tuple[AnyPath, Picture]]]
) -> None:
    """Writes a contact sheet for each class."""
    for label, members in by_class.items():
        sheet = draw_sheet([storage.join(root, p.painting.name) for root, p in members])
        path = out / f"{writing.slug(label)}.png"
        storage.write_picture(sheet, path, format="PNG")


def draw_sheet(paths: Sequence[AnyPath]) -> Image.Image:
    """Draws sound images from all over a list, as many as a sheet holds: RGB."""
    count = min(len(paths), COLUMNS * ROWS)
    chosen = [paths[i * len(paths) // count] for i in range(count)]

    def load(path: AnyPath) -> Image.Image:
        return ImageOps.contain(images.decode(path, 2 * CELL), (CELL, CELL))

    num_rows = -(-count // COLUMNS)
    step = CELL + _GAP
    sheet = Image.new("RGB", (COLUMNS * step + _GAP, num_rows * step + _GAP), "white")
    loaded = map_ahead(load, chosen, _NUM_THREADS, 2 * _NUM_THREADS)
    for i, picture in enumerate(loaded):
        row, column = divmod(i, COLUMNS)
        left, top = (
            _GAP + step * place + (CELL - side) // 2
            for place, side in zip((column, row), picture.size, strict=True)
        )
        sheet.paste(picture, (left, top))
    return sheet


def shares_anything(report: dict[str, Any]) -> bool:
    """Whether two of the lists have a picture or an artist in common."""
    artists = report["artists_on_both_sides"]
    return any(
        shared or any(report["copies"][between].values())
        for between, shared in artists.items()
    )


def summarize(report: dict[str, Any]) -> str:
    """What `inspect` returns, as a table for people."""
    names = list(report["lists"])
    head = (*names, "artists", "shorter side")
    lines = [f"{'class':<30}" + "".join(f"{text:>14}" for text in head)]
    for name, of in report["classes"].items():
        side = f"{of['shorter_side']['median']:.0f} px"
        cells = (*(of[list_name] for list_name in names), of["artists"], side)
        lines.append(f"{name:<30}" + "".join(f"{cell:>14}" for cell in cells))
    for name, of in report["lists"].items():
        lines.append(
            f"{name}: {of['images']} images, {of['unreadable']} unreadable, "
            f"{of['artists']} artists, {of['unknown_artist']} images without one"
        )
    for between, of in report["copies"].items():
        lines.append(
            f"copies in {between}: {of['exact']} equal files, {of['near']} near ones, "
            f"{of['grey']} grey ones"
        )
    for between, shared in report["artists_on_both_sides"].items():
        count = "unknown" if shared is None else len(shared)
        lines.append(f"artists on both sides of {between}: {count}")
    return "\n".join(lines)
