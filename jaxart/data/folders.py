"""The images of a folder, searched deep; what else is there is counted in the log."""

import collections
import concurrent.futures
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from jaxart import storage
from jaxart.data import formats, names, opening
from jaxart.storage import AnyPath, RemotePath

logger = logging.getLogger(__name__)

_NUM_THREADS = 16  # that look into files
_NUM_SUFFIXES = 10  # that are named


def images_in(source: AnyPath, *, any_suffix: bool = False) -> list[str]:
    """The paths of a folder's images, relative to it; hidden ones not.

    Images are told by their suffix, and with `any_suffix` other files by their content.
    """
    inside = sorted(_files_in(source), key=lambda name: name.split("/"))
    is_here = names.is_there_locally
    is_kept = [
        names.is_image(name) and (storage.is_remote(source) or is_here(source, name))
        for name in inside
    ]
    if any_suffix:
        others = [i for i, kept in enumerate(is_kept) if not kept]
        with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
            answers = pool.map(
                is_image, (storage.join(source, inside[i]) for i in others)
            )
            for i, answer in zip(others, answers, strict=True):
                is_kept[i] = answer
    both = list(zip(inside, is_kept, strict=True))
    _report(source, [name for name, kept in both if not kept], any_suffix)
    return [name for name, kept in both if kept]


def is_image(path: AnyPath) -> bool:
    """Whether a file's content begins as an image's does that can be read."""
    if formats.remedy(names.suffix(path.name)) or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            opening.identify(file)
    except Exception:  # Pillow raises whatever a file makes it stumble over
        return False
    return True


def _files_in(source: AnyPath) -> Iterator[str]:
    if isinstance(source, RemotePath):
        for key in source.keys_below():
            if not any(part.startswith(".") for part in key.split("/")):
                yield key
        return
    for folder, folders, files in os.walk(source):
        folders[:] = [name for name in folders if not name.startswith(".")]
        start = os.path.relpath(folder, source).replace(os.sep, "/") + "/"
        start = "" if start == "./" else start
        yield from (start + name for name in files if not name.startswith("."))


def _report(source: AnyPath, others: Sequence[str], any_suffix: bool) -> None:
    """Counts the files that are no images by their suffix, in one line."""
    counts = collections.Counter(PurePosixPath(name).suffix for name in others)
    if not counts:
        return
    in_order = sorted(counts, key=lambda suffix: (-counts[suffix], suffix))
    named = [
        f"{suffix or 'without a suffix'} {counts[suffix]}"
        for suffix in in_order[:_NUM_SUFFIXES]
    ]
    if len(in_order) > _NUM_SUFFIXES:
        named.append(f"and {len(in_order) - _NUM_SUFFIXES} other suffixes")
    remedies = collections.defaultdict(set)
    for suffix in in_order:
        if remedy := formats.remedy(suffix):
            remedies[remedy].add(suffix)
    hints = [f"{' '.join(sorted(of))}: {remedy}" for remedy, of in remedies.items()]
    if not any_suffix:
        hints.append("any_suffix looks for pictures among them")
    logger.log(
        logging.WARNING if remedies else logging.INFO,
        "%s: %d other files passed over: %s",
        source,
        len(others),
        "; ".join([", ".join(named), *hints]),
    )
