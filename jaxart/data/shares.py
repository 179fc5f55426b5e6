"""Work that several processes do, each its share, without knowing of each other."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

HELP = (
    "The last share to finish puts the parts together, and so does the same command "
    "without --share, which first makes what is missing. Processes that srun or mpirun "
    "started with others take a share each by themselves; 1/1 takes all."
)

# Rank and count, the innermost launcher first: mpirun starts its helpers by srun.
# SLURM_NTASKS and SLURM_PROCID are also there in a batch script, which is no task; only
# srun says how many tasks its step has.
_LAUNCHERS = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)

logger = logging.getLogger(__name__)


class Share(NamedTuple):
    """One of several equal parts.

    Attributes:
      number: which, from 1.
      count: of how many.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}-of-{self.count}"

    def mask(self, num_items: int, block: int) -> Bool[np.ndarray, " n"]:
        """Which items are in the share, block after block in turn."""
        return np.arange(num_items) // block % self.count == self.number - 1


def parse(text: str) -> Share:
    """Reads `2/4`, the second of four.

    Raises:
      ValueError: it is no such thing.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(
            f"share={text!r}: one of 1/N to N/N, such as 1/4 for a quarter"
        )
    return Share(int(match[1]), int(match[2]))


def choose(
    text: str | None,
    environment: Mapping[str, str],
    say: Callable[[str], None] = logger.info,
) -> Share | None:
    """The share that is this process's; None where it takes all.

    Args:
      text: what --share says, if anything.
      environment: where a launcher says which of how many processes this one is.
      say: is given a sentence if the launcher decides.

    Raises:
      ValueError: `text` is no share.
    """
    share = parse(text) if text else _from_launcher(environment, say)
    return share if share and share.count > 1 else None


def _from_launcher(
    environment: Mapping[str, str], say: Callable[[str], None]
) -> Share | None:
    for names in _LAUNCHERS:
        values = [environment.get(name, "") for name in names]
        if not all(re.fullmatch(r"\d+", value) for value in values):
            continue
        rank, count = map(int, values)
        if count < 2:
            return None
        if rank >= count:  # left over from another job
            continue
        said = ", ".join(map("=".join, zip(names, values, strict=True)))
        say(f"Share {rank + 1}/{count}, by {said}; --share=1/1 takes all")
        return Share(rank + 1, count)
    return None
