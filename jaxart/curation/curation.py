"""From pictures with labels to a data set: each painting once, and a clean split."""

import contextlib
import dataclasses
import functools
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from PIL import Image

import jaxart
from jaxart import parts, results
from jaxart.curation import (
    cleaning,
    decoding,
    paintings,
    records,
    splits,
    writing,
)
from jaxart.curation.decoding import Picture
from jaxart.curation.paintings import Painting
from jaxart.data import duplicates, fingerprints
from jaxart.data.examples import DataError
from jaxart.data.images import ImageError
from jaxart.data.shares import Share

_TOLERANCE = 0.05  # of a class's share of validation, beyond which a warning is due


@dataclasses.dataclass(frozen=True)
class Options:
    """What becomes part of the data set, and how it is split.

    Attributes:
      classes: names of those to take; () takes all.
      split: one of `splits.SPLITS`.
      val_fraction: share of each class to keep for validation.
      seed: of the split and the caps.
      max_per_class: pictures of a class; None takes all.
      max_per_artist: pictures of an artist in a class; None takes all.
      resize: the shorter side that larger pictures get, in pixels; None copies files.
      max_distance: bits of 256 in which near duplicates may differ.
    """

    classes: tuple[str, ...] = ()
    split: str = "artist"
    val_fraction: float = 0.2
    seed: int = 0
    max_per_class: int | None = None
    max_per_artist: int | None = None
    resize: int | None = None
    max_distance: int = duplicates.MAX_DISTANCE


def curate(
    source: str | os.PathLike,
    out: str | os.PathLike,
    options: Options,
    *,
    image_root: str | os.PathLike = "",
    metadata: str | os.PathLike = "",
    share: Share | None = None,
) -> dict[str, Any] | None:
    """Makes a data set of what `paintings.read` finds.

    Equal and nearly equal pictures of one class are reduced to the largest; those of
    two classes are all left out. With `split='artist'`, so are pictures whose artist
    nobody knows.

    A share decodes its files only, and leaves what they are beside `out`; the last one
    to finish makes the data set. So does a run of the whole, which first decodes what
    is missing.

    Args:
      source: a folder of class folders, a CSV file or a list file.
      out: the folder to write, which must not exist. It is complete, or not there.
      options: what to take, and how to split it.
      image_root: where relative paths of a list start.
      metadata: a table of artists, as `paintings.read` takes it.
      share: which of the files are this process's; None takes all.

    Returns:
      What report.json holds; None where other shares have not finished.

    Raises:
      DataError: the source cannot be used, `out` exists, or nothing is left.
      BusyError: another process is working on a share that this one would.
      OtherPartsError: the parts beside `out` are of another list or size.
    """
    out = Path(out)
    if out.exists():
        raise DataError(f"{out}: exists; choose another folder or remove it")
    root, found = paintings.read(source, image_root, metadata)
    found = sorted(_of_classes(found, options.classes))  # whatever order they came in

    folder = out.with_name(f"{out.name}.parts")
    if share is None and not parts.are_in(folder):
        with _beside(out) as partial:
            taken = _look(root, options.resize, partial, "decoding")(found)
            report = _fill(partial, root, found, taken, options, partial)
            return _write_report(partial, source, options, report)

    settings = {
        "paintings": parts.digest([root.resolve(), *itertools.chain(*found)]),
        "resize": options.resize,
    }
    left = parts.Parts(folder, settings)
    for one in [share] if share else left.every_share():
        with left.working(one) as note:
            if note is None:
                look = _look(root, options.resize, folder, f"decoding {one}")
                chosen = np.flatnonzero(one.mask(len(found), 1)).tolist()
                records.fill(left.path(one, ".jsonl"), found, chosen, look)
            with left.finished(one, {}) as notes:
                if notes is not None:
                    paths = [left.path(each, ".jsonl") for each in left.every_share()]
                    taken = records.read(paths, found)
                    with _beside(out) as partial:
                        report = _fill(partial, root, found, taken, options, folder)
                        return _write_report(partial, source, options, report)
    return None


@contextlib.contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """Yields a new folder that becomes `out`; where anything fails, it goes away."""
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "images").mkdir(parents=True)
    try:
        yield partial
        os.replace(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_report(
    folder: Path,
    source: str | os.PathLike,
    options: Options,
    report: dict[str, Any],
) -> dict[str, Any]:
    about = {
        "jaxart": jaxart.__version__,
        "source": os.fspath(source),
        "options": dataclasses.asdict(options),
    }
    results.write_json(folder / "report.json", about | report)
    return report


def _of_classes(found: list[Painting], classes: Sequence[str]) -> list[Painting]:
    there = sorted({painting.label for painting in found})
    unknown = sorted(set(classes) - set(there))
    if unknown:
        raise DataError(f"no class {', '.join(unknown)}; there are {', '.join(there)}")
    return [painting for painting in found if not classes or painting.label in classes]


def _fill(
    folder: Path,
    root: Path,
    found: Sequence[Painting],
    taken: Iterable[Picture | ImageError],
    options: Options,
    resized_in: Path,
) -> dict[str, Any]:
    """Writes all of the data set but its report, which it returns.

    Args:
      folder: where to.
      root: where the paintings' names start.
      found: the paintings.
      taken: what each of their files is.
      options: what becomes of them.
      resized_in: where the resized pictures are, if there are any.
    """
    pictures, unreadable = decoding.sort_out(found, taken)
    once = cleaning.each_once(pictures, options.max_distance)
    pictures = [pictures[i] for i in once.kept]
    no_artist: list[tuple] = []
    if options.split == "artist":
        reasons = ["" if p.artist else "nobody knows the artist" for p in pictures]
        pictures, no_artist = _sieve(pictures, reasons)
    reasons = cleaning.cap(
        pictures,
        max_per_class=options.max_per_class,
        max_per_artist=options.max_per_artist,
        seed=options.seed,
    )
    pictures, over_cap = _sieve(pictures, reasons)
    counts = {
        "found": len(found),
        "unreadable": len(unreadable),
        "copies": once.num_copies,
        "two_labels": once.num_two_labels,
        "unknown_artist": len(no_artist),
        "over_cap": len(over_cap),
        "kept": len(pictures),
    }
    if not pictures:
        raise DataError(f"no picture is left: {counts}; --split=artist needs artists")

    class_names = sorted({p.painting.label for p in pictures})
    labels = np.array([class_names.index(p.painting.label) for p in pictures])
    is_val = splits.split(
        options.split,
        labels,
        [p.artist for p in pictures],
        [p.fingerprint.sha256 for p in pictures],
        val_fraction=options.val_fraction,
        seed=options.seed,
    )
    if is_val.all() or not is_val.any():
        raise DataError(
            f"val_fraction={options.val_fraction} of {len(pictures)} pictures by "
            f"split={options.split} leaves one side empty"
        )
    is_resized = options.resize is not None
    names = [writing.image_name(picture, is_resized) for picture in pictures]
    if is_resized and resized_in == folder:
        writing.drop_others(folder, names)
    elif is_resized:
        writing.copy_images([resized_in / name for name in names], folder, names)
    else:
        sources = [root / picture.painting.name for picture in pictures]
        writing.copy_images(sources, folder, names)
    writing.write_lists(folder, names, pictures, class_names, labels, is_val)
    skipped = sorted([*unreadable, *no_artist, *over_cap])
    results.write_csv(folder / "skipped.csv", ("path", "label", "reason"), skipped)
    results.write_csv(folder / "duplicates.csv", cleaning.DUPLICATES_HEADER, once.rows)
    return counts | _describe(pictures, class_names, labels, is_val, options)


def _look(root: Path, resize: int | None, folder: Path, title: str) -> records.Look:
    """Decodes every file once; resized, the pictures are written there and then."""
    if resize is None:
        return functools.partial(decoding.look, root, title=title)

    def save(image: Image.Image, picture: Picture) -> None:
        name = writing.image_name(picture, is_resized=True)
        writing.save_resized(image, resize, folder / name)

    return functools.partial(
        decoding.look,
        root,
        side_enough=max(fingerprints.SIDE_ENOUGH, 2 * resize),
        also=save,
        title=title,
    )


def _sieve(
    pictures: Sequence[Picture], reasons: Sequence[str]
) -> tuple[list[Picture], list[tuple]]:
    """Parts pictures from those that there is a reason to skip: their rows."""
    kept, skipped = [], []
    for picture, reason in zip(pictures, reasons, strict=True):
        if reason:
            painting = picture.painting
            skipped.append((painting.name, painting.label, reason))
        else:
            kept.append(picture)
    return kept, skipped


def _describe(
    pictures: Sequence[Picture],
    class_names: Sequence[str],
    labels: Int[np.ndarray, " n"],
    is_val: Bool[np.ndarray, " n"],
    options: Options,
) -> dict[str, Any]:
    """What report.json says of the split."""
    artist = np.array([picture.artist for picture in pictures])
    classes, warnings = {}, []
    for i, name in enumerate(class_names):
        side, known = is_val[labels == i], set(artist[labels == i]) - {""}
        share = float(side.mean())
        classes[name] = {
            "train": int((~side).sum()),
            "val": int(side.sum()),
            "val_share": share,
            "artists": len(known),
        }
        if abs(share - options.val_fraction) > _TOLERANCE:
            warnings.append(
                f"{name}: {share:.1%} of {len(side)} pictures are for validation, not "
                f"{options.val_fraction:.1%}; it has {len(known)} artists"
            )
    shared = (set(artist[is_val]) & set(artist[~is_val])) - {""}
    return {
        "train": int((~is_val).sum()),
        "val": int(is_val.sum()),
        "artists": len(set(artist) - {""}),
        "artists_on_both_sides": len(shared),
        "classes": classes,
        "warnings": warnings,
    }


def summarize(report: dict[str, Any]) -> str:
    """What `curate` returns, as a table for people."""
    lines = [f"{'class':<30}{'train':>8}{'val':>8}{'val share':>11}{'artists':>9}"]
    in_all = report | {"val_share": report["val"] / report["kept"]}
    for name, of in [*report["classes"].items(), ("in all", in_all)]:
        lines.append(
            f"{name:<30}{of['train']:>8}{of['val']:>8}{of['val_share']:>11.1%}"
            f"{of['artists']:>9}"
        )
    lines.append(
        f"of {report['found']} pictures: {report['unreadable']} unreadable, "
        f"{report['copies']} copies, {report['two_labels']} under two labels, "
        f"{report['unknown_artist']} without an artist, {report['over_cap']} too many"
    )
    lines.append(f"artists on both sides: {report['artists_on_both_sides']}")
    return "\n".join(lines)
