"""The two sides of a run's data: training and validation examples, and their files."""

import functools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxart import storage
from jaxart.data import checks, examples, files, procedural, trained_on
from jaxart.data.examples import Examples
from jaxart.data.files import File
from jaxart.devices import processes
from jaxart.storage import AnyPath, results
from jaxart.training import leaks, resuming
from jaxart.training.config import Config
from jaxart.training.run import Run

logger = logging.getLogger(__name__)

VALIDATED_ON = "validation_images.csv"

PROCEDURAL = "procedural"
PROCEDURAL_IMAGES_PER_STYLE = 60


class Sides(NamedTuple):
    """Training and validation examples, and what was seen of their files."""

    train: Examples
    val: Examples
    looked: list[File]  # of the training files, then of the validation files
    leaks: dict[str, int] | None  # how many, by kind; None where nobody looked

    @property
    def paths(self) -> list[AnyPath]:
        """Where each image lies, training first."""
        return [*self.train.paths, *self.val.paths]


def read_sides(run: Run) -> Sides:
    """Reads the lists, looks at every file once, and for leaks between the sides.

    Raises:
      DataError: something is missing, malformed or does not fit.
    """
    config = run.config
    train, val = read_examples(config, run.workdir)
    run.of_classes(len(train.class_names))  # if they differ, that is the thing to say
    looked = look(train, val, run.cache_dir)
    num_train = len(train.names)
    tables = {
        trained_on.NAME: (train, looked[:num_train]),
        VALIDATED_ON: (val, looked[num_train:]),
    }
    if run.saved is not None:
        said = processes.gather(_find_difference(run, tables))[0]
        if said:
            raise resuming.ResumeError(said)
    if processes.is_first():
        for name, (side, seen) in tables.items():
            trained_on.write(run.workdir / name, side.names, side.classes, seen)
        for warning in (
            *checks.of_classes(train, val),
            *checks.of_pictures("training", train, looked[:num_train]),
            *checks.of_pictures("validation", val, looked[num_train:]),
        ):
            logger.warning("%s", warning)
        _write_notes(run.workdir, train, val, looked)
    num_leaks = None
    if config.check_leaks and config.train_data != PROCEDURAL and processes.is_first():
        num_leaks = leaks.find(train, val, files=looked, workdir=run.workdir)
    return Sides(train, val, looked, num_leaks)


def _find_difference(run: Run, tables: Mapping[str, Any]) -> str:
    """What of the images is not as in the run's tables, which one process reads."""
    try:
        for name, (side, seen) in tables.items() if processes.is_first() else ():
            table = run.workdir / name
            resuming.check_images(table, side.names, side.classes, seen)
    except resuming.ResumeError as error:
        return str(error)
    return ""


def read_examples(config: Config, workdir: AnyPath) -> tuple[Examples, Examples]:
    """Training and validation examples, before anything is known of their files.

    For 'procedural', a program paints training data into `workdir`.
    """
    source = storage.path(config.train_data)
    if config.train_data == PROCEDURAL:
        source = storage.require_local(workdir, "train_data=procedural: workdir")
        source /= PROCEDURAL
        if processes.is_first():
            logger.info("Painting %d pictures a style", PROCEDURAL_IMAGES_PER_STYLE)
            number, seed = PROCEDURAL_IMAGES_PER_STYLE, config.split_seed
            procedural.write_folder(source, number, seed)
        processes.wait("painted pictures")
    read = functools.partial(
        examples.read,
        num_classes=config.num_classes,
        image_root=storage.path_or_none(config.image_root),
        any_suffix=config.any_suffix,
    )
    train = read(source)
    if not config.val_data:
        return examples.split(train, config.val_fraction, config.split_seed)
    val_source = storage.path(config.val_data)
    known = {"class_names": train.class_names, "are_indexed": train.are_indexed}
    return train, read(val_source, **known)


def look(train: Examples, val: Examples, cache_dir: Path) -> list[File]:
    """What the files of both sides are, training first; each is read once.

    The processes of a run share the work. What is found is kept in `cache_dir`.
    """
    paths = list(dict.fromkeys([*train.paths, *val.paths]))
    quiet = not processes.is_first()
    looked = processes.compute_shared(
        lambda mine: files.look(mine, cache_dir, quiet=quiet), paths
    )
    file_of = {path: File(*file) for path, file in zip(paths, looked, strict=True)}
    return [file_of[path] for path in [*train.paths, *val.paths]]


def _write_notes(
    workdir: AnyPath, train: Examples, val: Examples, looked: list[File]
) -> None:
    """Lists the images of which something had to be left, in notes.csv."""
    names = [(name, "train") for name in train.names]
    names += [(name, "val") for name in val.names]
    rows = [
        (*name, file.note)
        for name, file in zip(names, looked, strict=True)
        if file.note
    ]
    listing = workdir / "notes.csv"
    results.write_notes(listing, ("path", "split", "note"), rows)
    if rows:
        logger.warning("Something of %d images is not used: see %s", len(rows), listing)
