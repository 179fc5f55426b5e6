"""Runs a pass: what is done is left, the rest is done, here or on a Ray cluster."""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tqdm import tqdm

from jaxart.devices import stopping
from jaxart.passes import cluster, local
from jaxart.passes.cluster import Cluster
from jaxart.passes.folder import Folder, Part
from jaxart.passes.work import Work

logger = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """What became of a pass: of its parts in the list's order, and how fast."""

    names: list[str]
    is_new: list[bool]  # whether each was done now
    items_per_second: float | None  # now; the first batch, which compiles, is left out


def run(
    work: Work,
    parts: Sequence[Part],
    folder: Folder,
    *,
    title: str,
    ray: Cluster | None = None,
    quiet: bool = False,
) -> Outcome:
    """Does those of the parts that are not done in the pass's folder, which is begun.

    It runs on the cluster `ray`, or in this process. `title` is the progress bar's,
    which `quiet` does not show.

    Raises:
      Stopped: the command was asked to stop, and has, after a part.
    """
    ends = {}
    num_before = 0
    start, num_counted = None, 0
    total = sum(len(part.items) for part in parts)
    with tqdm(total=total, desc=title, unit="img", disable=quiet) as bar:
        for progress in _progress(work, parts, folder, ray):
            if not progress.is_new:
                num_before += progress.num_items
                if not quiet:  # speed is of what is done now
                    bar.initial += progress.num_items
            else:
                if start is None:
                    start = time.perf_counter()
                else:
                    num_counted += progress.num_items
            bar.update(progress.num_items)
            if progress.is_end:
                ends[progress.part.number] = progress
                if len(ends) < len(parts):
                    stopping.check()
    if num_before:
        logger.info("%d of %d were done already", num_before, total)
    rate = None
    if start is not None and num_counted:
        rate = num_counted / (time.perf_counter() - start)
    in_order = [ends[part.number] for part in parts]
    names = [end.name for end in in_order]
    return Outcome(names, [end.is_new for end in in_order], rate)


def _progress(
    work: Work, parts: Sequence[Part], folder: Folder, ray: Cluster | None
) -> Iterator[local.Progress]:
    if ray is not None:
        yield from cluster.run_parts(work, parts, folder, ray)
        return
    done = folder.done()
    yield from local.run_parts(
        work.open(), parts, folder, work.batch_size, done.__contains__
    )
