r"""Fine-tunes a network on paintings.

  python -m jaxart.main --config=configs/demo.py --workdir=runs/demo

Any field of the config can be set beside it:

  python -m jaxart.main --config=configs/fc7_fc8.py --workdir=runs/fc7_fc8 \
      --config.train_data=train.txt --config.image_root=paintings

jaxart/training/config.py lists the fields. A workdir that holds an unfinished run
of the same config is resumed.

Under srun, or Open MPI's mpirun, the processes find each other. Elsewhere, start
as many as you like, each with --coordinator=HOST:PORT --num_processes=N
--process_id=I, and on the same files. They work as one; docs/scaling.md says more.
"""

import json
import logging
import re
import sys

from absl import app, flags
from ml_collections import config_flags
from tqdm.contrib.logging import logging_redirect_tqdm

from jaxart import commands
from jaxart.devices import processes
from jaxart.training import config, loop

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "File with get_config(); see configs/."
)
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder for checkpoints, TensorBoard files and results."
)
COORDINATOR = flags.DEFINE_string(
    "coordinator",
    None,
    "Where the processes of a run meet: HOST:PORT, on the first one's machine.",
)
NUM_PROCESSES = flags.DEFINE_integer(
    "num_processes", None, "How many processes the run has.", lower_bound=1
)
PROCESS_ID = flags.DEFINE_integer(
    "process_id", None, "Which of them this is, from 0.", lower_bound=0
)
flags.mark_flags_as_required(["config", "workdir"])


def main(argv: list[str]) -> None:
    """Runs the experiment that the flags describe."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")

    with logging_redirect_tqdm([commands.set_up()]):
        try:
            processes.start(COORDINATOR.value, NUM_PROCESSES.value, PROCESS_ID.value)
        except processes.ProcessError as error:
            sys.exit(f"jaxart: {error}")
        with processes.ending_together(
            ValueError, OSError, ImportError, FloatingPointError
        ):
            is_first = processes.is_first()
            if not is_first:
                logging.getLogger("jaxart").setLevel(logging.ERROR)
            result = loop.train_and_evaluate(CONFIG.value, WORKDIR.value)
    if is_first:
        print(json.dumps(result, indent=2))


def parse_flags(argv: list[str]) -> list[str]:
    """Parses flags; a config field that does not exist is named, with the near one."""
    fields = [
        re.split(r"[=\[]", word.removeprefix("--config."))[0]
        for word in argv
        if word.startswith("--config.")
    ]
    try:
        config.check_names(fields)
    except ValueError as error:
        sys.exit(f"jaxart: {error}")
    return app.parse_flags_with_usage(argv)


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)
