"""Writes report.html: of one run, or of several beside each other."""

import logging
from collections.abc import Sequence
from typing import Any

from jaxart import classifier
from jaxart.classifier import Classifier
from jaxart.report import compare, facts, page, pictures, reading
from jaxart.report.reading import RunFolder
from jaxart.storage import AnyPath, results

NAME = "report.html"

logger = logging.getLogger(__name__)


def write(
    workdir: AnyPath,
    out: AnyPath | None = None,
    image_root: AnyPath | None = None,
    *,
    with_maps: bool = True,
) -> AnyPath:
    """Writes the report of a run; gives its path.

    Args:
      workdir: the run's folder.
      out: the page; by default report.html in the run's folder.
      image_root: where its images lie now, if they were moved.
      with_maps: whether to load the network, and show what it looks at.

    Raises:
      ReportError: the folder holds no run, or one without predictions.
    """
    run = reading.read(workdir)
    numbers = facts.of_folder(run)
    if not with_maps:
        numbers["missing"].append(
            "maps: `jaxart report` with this run's folder adds them"
        )
    shown = show(run, numbers, image_root or run.image_root, with_maps)
    return _write(page.of_run(numbers, shown), out or workdir / NAME)


def write_comparison(workdirs: Sequence[AnyPath], out: AnyPath) -> AnyPath:
    """Writes the report of several runs; gives its path.

    Raises:
      ReportError: a folder holds no run, or one without predictions.
    """
    runs = [reading.read(workdir) for workdir in workdirs]
    names = _telling([run.workdir for run in runs])
    numbers = [
        facts.of_folder(run) | {"name": name}
        for run, name in zip(runs, names, strict=True)
    ]
    return _write(page.of_runs(numbers, compare.pairs(runs, names)), out)


def write_after_training(workdir: AnyPath, num_processes: int) -> AnyPath | None:
    """As `write`; what is wrong with a report is logged, and no fault of the training.

    Of several processes, one calls this, and cannot load the network alone: checkpoints
    are read by all of them.

    Returns:
      The page; None where there is none.
    """
    try:
        path = write(workdir, with_maps=num_processes == 1)
        logger.info("The report of the run: %s", path)
        return path
    except Exception as error:
        logger.warning("%s: no report.html: %r", workdir, error)
        return None


def show(
    run: RunFolder, numbers: dict[str, Any], root: AnyPath, with_maps: bool
) -> page.Shown:
    """The pictures of a report; what is missing of them is added to the numbers'."""
    table, missing = run.table, numbers["missing"]
    in_cells = pictures.of_matrix(table)
    typical = [row for rows in numbers["typical"] for row in rows]
    small = list(dict.fromkeys([*in_cells, *typical]))
    large = list(dict.fromkeys([*numbers["mistakes"], *numbers["uncertain"]]))

    def look(rows: list[int], side: int) -> dict[int, str]:
        names = [table.names[row] for row in rows]
        both = zip(rows, pictures.thumbnails(root, names, side), strict=True)
        return {row: uri for row, uri in both if uri}

    thumbnails = look(small, pictures.THUMBNAIL)
    cards = look(large, pictures.CARD)
    num_gone = len(small) + len(large) - len(thumbnails) - len(cards)
    if num_gone:
        missing.append(
            f"{num_gone} of {len(small) + len(large)} pictures: they cannot be read "
            f"below {root}; --image_root says where they are now"
        )
    maps = {}
    network = _load(run, missing) if cards and with_maps else None
    if network:
        rows = list(cards)
        names = [table.names[row] for row in rows]
        both = zip(rows, pictures.overlays(network, root, names), strict=True)
        maps = {row: uri for row, uri in both if uri}
    return page.Shown(table, in_cells, thumbnails, cards, maps)


def _load(run: RunFolder, missing: list[str]) -> Classifier | None:
    """The run's network, for its maps; None, and a reason, where there is none."""
    try:
        return classifier.from_run(run.workdir)
    except (ValueError, KeyError, OSError) as error:
        missing.append(f"maps: the network cannot be loaded ({error})")
        return None


def _write(text: str, out: AnyPath) -> AnyPath:
    out.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(out, text)
    return out


def _telling(workdirs: Sequence[AnyPath]) -> list[str]:
    """The folders' names, with as much before them as tells them apart."""
    for count in (1, 2, 3):
        names = ["/".join(workdir.parts[-count:]) for workdir in workdirs]
        if len(set(names)) == len(names):
            return names
    return [str(workdir) for workdir in workdirs]
