r"""Fine-tunes a network on paintings.

  jaxart train --config=demo --workdir=runs/demo

Any field of the config can be set beside it:

  jaxart train --config=fc7_fc8 --workdir=runs/fc7_fc8 \
      --config.train_data=train.txt --config.image_root=paintings

A workdir that holds an unfinished run of the same config is resumed. Ctrl-C, or a
scheduler's SIGTERM, ends it after a step, with a checkpoint; a second one at once.

Under srun, or Open MPI's mpirun, the processes find each other. Elsewhere, start as
many as you like, each with --coordinator=HOST:PORT --num_processes=N --process_id=I,
and on the same files. They work as one.

The experiments:

"""

import argparse
import dataclasses
import json
import logging
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags as absl_flags
from ml_collections import ConfigDict, config_flags

from jaxart import storage
from jaxart.cli import faults
from jaxart.cli.flags import FlagError, Parser, count, refuse, require, respelled, whole
from jaxart.devices import launchers, stopping
from jaxart.passes import driver
from jaxart.training import config, experiments

STOPPED = "the same command goes on"

_FIELDS = [field.name for field in dataclasses.fields(config.Config)]
# The first field of each group.
_GROUPS = {
    "model": "the network",
    "learning_rate": "training",
    "train_data": "data",
    "cache": "the frozen-prefix cache",
    "checkpoint_every_epochs": "what is kept",
}
_FIELD = re.compile(r"--(?:no)?config\.(\w+)")  # ... of `--config.hidden[0]=8`, too


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The job's flags; `fields` are those of the config, a ConfigDict.

    argparse reads the command's own, ml_collections the config's and absl's.
    """
    parser = Parser("train", f"{__doc__}{experiments.describe()}")
    _add_flags(parser)
    if {"-h", "--help"} & set(words):
        _add_fields(parser)
    known = [*parser.names, *(f"config.{field}" for field in _FIELDS)]
    flags, rest = parser.parse_known_args(respelled(words, known))
    for word in rest:
        if word.startswith("--"):
            _check(word, known)
    try:
        file = experiments.find(flags.config)
    except ValueError as error:
        raise FlagError(f"--{error}") from None
    require(flags, "workdir")
    return argparse.Namespace(**vars(flags), fields=_read(file, rest, known))


def run(flags: argparse.Namespace) -> int:
    if flags.coordinator is None and not launchers.launched():
        _check_free(flags.workdir)  # soon: the imports take seconds
    usr1 = (signal.SIGUSR1,) if flags.stop_at_sigusr1 else ()
    with stopping.listening(*usr1):
        from jaxart.devices import processes  # noqa: PLC0415  (JAX, late)
        from jaxart.report import writing  # noqa: PLC0415
        from jaxart.training import loop  # noqa: PLC0415

        processes.start(flags.coordinator, flags.num_processes, flags.process_id)
        with processes.ending_together(faults.explain):
            is_first = processes.is_first()
            if not is_first:
                logging.getLogger("jaxart").setLevel(logging.ERROR)
            result = loop.train_and_evaluate(flags.fields, flags.workdir)
        if is_first:
            workdir = storage.path(flags.workdir)
            writing.write_after_training(workdir, processes.count())
            print(json.dumps(result, indent=2))
    return 0


def _check_free(workdir: str) -> None:
    folder = storage.path(workdir)
    if isinstance(folder, Path):
        driver.check_free(folder / config.HELD)


def _read(file: Path, words: Sequence[str], known: Sequence[str]) -> ConfigDict:
    """What a config file sets, and words beside it, which may be absl's flags, too."""
    words = ["jaxart train", f"--config={file}", *words]
    values = absl_flags.FlagValues()
    values.append_flag_values(absl_flags.FLAGS)
    fields = config_flags.DEFINE_config_file(
        "config", flag_values=values, sys_argv=words
    )
    try:
        for word in values(words)[1:]:
            refuse(word, known)
    except absl_flags.Error as error:
        raise FlagError(str(error)) from None
    return fields.value


def _check(word: str, known: Sequence[str]) -> None:
    """Refuses a flag that neither a config nor absl knows."""
    if field := _FIELD.match(word):
        config.check_names([field[1]])
        return
    name, _, value = word[2:].partition("=")
    if name.replace("-", "_") in _FIELDS:
        assigned = f"={value}" if value else ""
        raise FlagError(f"{word} is --config.{name.replace('-', '_')}{assigned}")
    if name.removeprefix("no") not in absl_flags.FLAGS:
        refuse(word, known)


def _add_flags(parser: Parser) -> None:
    add = parser.add_argument_group("the run").add_argument
    add(
        "--config",
        nargs="?",
        metavar="NAME",
        help="an experiment of the list above, or a file with get_config()",
    )
    add(
        "--workdir",
        metavar="FOLDER",
        help="for checkpoints, TensorBoard files and results",
    )
    add(
        "--stop_at_sigusr1",
        action="store_true",
        help="SIGUSR1 ends the run as SIGTERM does (sbatch --signal=USR1@120)",
    )
    add = parser.add_argument_group("several processes").add_argument
    add(
        "--coordinator",
        metavar="HOST:PORT",
        help="where the processes of a run meet, on the first one's machine",
    )
    add("--num_processes", type=count, help="how many the run has")
    add(
        "--process_id",
        type=whole("a whole number from 0 on", 0),
        metavar="I",
        help="which of them this is, from 0",
    )


def _add_fields(parser: Parser) -> None:
    """Adds the config's fields: for --help alone, ml_collections reads them."""
    for field in dataclasses.fields(config.Config):
        if field.name in _GROUPS:
            group = parser.add_argument_group(f"config: {_GROUPS[field.name]}")
        about = field.metadata
        allowed = "; ".join(
            filter(None, [", ".join(about["choices"]), about["bounds"]])
        )
        text = f"{about['about']} ({allowed})" if allowed else about["about"]
        default: Any = field.default
        if isinstance(default, tuple):
            default = ",".join(map(str, default))
        group.add_argument(f"--config.{field.name}", metavar=str(default), help=text)
