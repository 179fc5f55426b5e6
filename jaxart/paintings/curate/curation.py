"""From pictures with labels to a data set: each painting once, and a clean split."""

import collections
import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

import jaxart
from jaxart import storage
from jaxart.data import fingerprints, images, labels
from jaxart.data.files import File
from jaxart.data.lists import DataError
from jaxart.paintings.curate import cleaning, looking, paintings, splits, writing
from jaxart.paintings.curate.options import Options
from jaxart.paintings.curate.paintings import Painting, Picture, Skipped, sieve
from jaxart.passes import driver, running
from jaxart.passes.folder import Folder, cut, part_size
from jaxart.storage import AnyPath, results

# Of a part, which is what a kill costs: some seconds' work.
_BATCH_SIZE, _NUM_BATCHES = 16, 4
_TOLERANCE = 0.05  # of a class's share of validation, beyond which a warning is due


def curate(
    source: AnyPath,
    out: Path,
    options: Options,
    *,
    image_root: AnyPath | None = None,
    metadata: AnyPath | None = None,
    any_suffix: bool = False,
    ray: running.Cluster | None = None,
) -> dict[str, Any]:
    """Makes a data set of what `paintings.read` finds.

    Equal and nearly equal pictures of one class are reduced to the largest; those of
    two classes are all left out. Of coloured pictures, so are grey copies, unless
    `grey_copies='keep'` keeps them on the same side of the split. With
    `split='artist'`, so are pictures whose artist nobody knows.

    What the files are is kept in OUT.parts until the data set is there, so that a call
    after a stop, or with other options, does not look at them again.

    `out` is complete, or not there; where the same call has made it, nothing is done.
    `ray` is where files are looked at, if not in this process.

    Returns:
      What report.json holds.

    Raises:
      DataError: the source cannot be used, `out` is anything else, or nothing is left.
      BusyError: another process makes this data set.
      OtherPassError: the parts beside `out` are of another source or size.
    """
    path = out.with_name(f"{out.name}.parts").absolute()
    storage.check_names(path)
    about = {
        "jaxart": jaxart.__version__,
        "source": os.fspath(source),
        "image_root": image_root and os.fspath(image_root),
        "metadata": metadata and os.fspath(metadata),
        "any_suffix": any_suffix,
        "options": dataclasses.asdict(options),
    }
    if out.exists() and not path.exists():
        return writing.made_before(out, about)
    with driver.alone(path):
        if out.exists():  # since then, or a run was killed between this and the end
            (path / driver.SETTINGS).unlink(missing_ok=True)
            return writing.made_before(out, about)
        root, listed = paintings.read(
            source, image_root, metadata, any_suffix=any_suffix
        )
        listed = sorted(_of_classes(listed, options.classes))  # in one order
        folder, names = _look(path, storage.resolve(root), listed, options.resize, ray)
        files = (File(**record) for record in folder.records(names))
        with storage.written_folder(out) as partial:
            report = _fill(partial, root, listed, files, options, path)
            results.write_json(partial / writing.REPORT, about | report)
        folder.remove()
    return report


def _look(
    path: Path,
    root: AnyPath,
    listed: Sequence[Painting],
    resize: int | None,
    ray: running.Cluster | None,
) -> tuple[Folder, list[str]]:
    """Looks at all files; gives the folder, and the names of its parts."""
    settings = {
        "root": os.fspath(root),
        "resize": resize,
        "reader": images.reader(),
        "fingerprint": fingerprints.VERSION,
    }
    folder = Folder(path, settings)
    folder.begin()
    look = looking.Look(root, path, resize, _BATCH_SIZE)
    size = part_size(len(listed), _BATCH_SIZE, _NUM_BATCHES)
    parts = cut([painting.name for painting in listed], size)
    outcome = running.run(look, parts, folder, title="decoding", ray=ray)
    return folder, outcome.names


def _of_classes(listed: list[Painting], classes: Sequence[str]) -> list[Painting]:
    there = sorted({painting.label for painting in listed})
    unknown = sorted(set(classes) - set(there))
    if unknown:
        raise DataError(f"no class {', '.join(unknown)}; there are {', '.join(there)}")
    return [p for p in listed if not classes or p.label in classes]


def _fill(
    folder: Path,
    root: AnyPath,
    listed: Sequence[Painting],
    files: Iterable[File],
    options: Options,
    parts: Path,
) -> dict[str, Any]:
    """Writes all of the data set but its report, which it returns.

    The paintings' names start at `root`; resized pictures, if any, are in `parts`.
    """
    pictures, unreadable = paintings.sort_out(listed, files)
    once = cleaning.each_once(pictures, options.max_distance, options.grey_copies)
    pictures = [pictures[i] for i in once.kept]
    no_artist: list[Skipped] = []
    warnings: list[str] = []
    if options.split == "artist":
        pictures, no_artist, warnings = _by_known_artists(pictures)
    reasons = cleaning.cap(
        pictures,
        max_per_class=options.max_per_class,
        max_per_artist=options.max_per_artist,
        seed=options.seed,
    )
    pictures, over_cap = sieve(pictures, reasons)
    counts = {
        "found": len(listed),
        "unreadable": len(unreadable),
        "copies": once.num_copies,
        "two_labels": once.num_two_labels,
        "unknown_artist": len(no_artist),
        "over_cap": len(over_cap),
        "kept": len(pictures),
    }
    if not pictures:
        left_out = ", ".join(f"{what} {number}" for what, number in counts.items())
        raise DataError(f"no picture is left: {left_out}")

    class_names = labels.in_order(p.painting.label for p in pictures)
    indices = np.array([class_names.index(p.painting.label) for p in pictures])
    is_val = _split(pictures, indices, once.tied, options)
    is_resized = options.resize is not None
    names = [writing.image_name(picture, is_resized) for picture in pictures]
    if is_resized:
        sources = [looking.resized_path(parts, picture.file) for picture in pictures]
    else:
        sources = [storage.join(root, p.painting.name) for p in pictures]
    writing.copy_images(sources, folder, names)
    writing.write_lists(folder, names, pictures, class_names, indices, is_val)
    skipped = sorted([*unreadable, *no_artist, *over_cap])
    results.write_csv(folder / "skipped.csv", ("path", "label", "reason"), skipped)
    noted = ((p.painting.name, p.painting.label, p.file.note) for p in pictures)
    results.write_notes(folder / "notes.csv", ("path", "label", "note"), noted)
    results.write_csv(folder / "duplicates.csv", cleaning.DUPLICATES_HEADER, once.rows)
    about = _describe(pictures, class_names, indices, is_val, options)
    return counts | about | {"warnings": [*warnings, *about["warnings"]]}


def _by_known_artists(
    pictures: Sequence[Picture],
) -> tuple[list[Picture], list[Skipped], list[str]]:
    """Leaves out the pictures whose artist nobody knows, with a warning.

    Raises:
      DataError: nobody knows the artist of any picture.
    """
    reasons = ["" if p.artist else "nobody knows the artist" for p in pictures]
    kept, no_artist = sieve(pictures, reasons)
    if not no_artist:
        return kept, no_artist, []
    missing = collections.Counter(label for _, label, _ in no_artist)
    of_all = collections.Counter(p.painting.label for p in pictures)
    counts = ", ".join(
        f"{missing[name]} of {of_all[name]} pictures of {name}"
        for name in labels.in_order(missing)
    )
    lacking = (
        f"nobody knows the artist of {counts}. --split=artist needs artists: give "
        "--metadata, or keep these pictures with --split=stratified"
    )
    if not kept:
        raise DataError(lacking)
    return kept, no_artist, [f"left out: {lacking}"]


def _split(
    pictures: Sequence[Picture],
    indices: Int[np.ndarray, " n"],
    tied: Sequence[tuple[str, str]],
    options: Options,
) -> Bool[np.ndarray, " n"]:
    """Which pictures are for validation: some, but not all."""
    place = {p.file.sha256: i for i, p in enumerate(pictures)}
    is_val = splits.split(
        options.split,
        indices,
        [p.artist for p in pictures],
        [p.file.sha256 for p in pictures],
        val_fraction=options.val_fraction,
        seed=options.seed,
        tied=[(place[a], place[b]) for a, b in tied if a in place and b in place],
    )
    if is_val.all() or not is_val.any():
        hint = ""
        if options.split == "artist":
            count = len({picture.artist for picture in pictures})
            hint = f" (artists: {count}); --split=stratified need not keep them whole"
        raise DataError(
            f"val_fraction={options.val_fraction} of {len(pictures)} pictures by "
            f"split={options.split} leaves one side empty" + hint
        )
    return is_val


def _describe(
    pictures: Sequence[Picture],
    class_names: Sequence[str],
    indices: Int[np.ndarray, " n"],
    is_val: Bool[np.ndarray, " n"],
    options: Options,
) -> dict[str, Any]:
    """What report.json says of the split."""
    artist = np.array([picture.artist for picture in pictures])
    classes, warnings = {}, []
    for i, name in enumerate(class_names):
        side, known = is_val[indices == i], set(artist[indices == i]) - {""}
        ratio = float(side.mean())
        classes[name] = {
            "train": int((~side).sum()),
            "val": int(side.sum()),
            "val_share": ratio,
            "artists": len(known),
        }
        if abs(ratio - options.val_fraction) > _TOLERANCE:
            warnings.append(
                f"{name}: {ratio:.1%} of {len(side)} pictures are for validation, not "
                f"{options.val_fraction:.1%}; it has {len(known)} artists"
            )
    known = set(artist) - {""}
    on_both = known & set(artist[is_val]) & set(artist[~is_val])
    return {
        "train": int((~is_val).sum()),
        "val": int(is_val.sum()),
        "artists": len(known),
        "artists_on_both_sides": len(on_both) if known else None,
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
    on_both = report["artists_on_both_sides"]
    shown = "unknown, for no artist is" if on_both is None else on_both
    lines.append(f"artists on both sides: {shown}")
    return "\n".join(lines)
