"""A work that needs no network, and is made to fail in many ways."""

import dataclasses
import os
import signal
import time
from pathlib import Path

import numpy as np

from jaxart.passes import folder
from jaxart.passes.work import UNREADABLE, Results, skipped


@dataclasses.dataclass(frozen=True)
class Squares:
    """Squares numbers.

    Attributes:
      batch_size: numbers at once.
      log: a folder that gets a file for each batch that is finished.
      seconds: that a batch takes.
      deadly: the number that kills the process.
      wrong: the number that raises an error.
      gone: the number that cannot be read.
      is_seen: whether it could be when contents were told.
    """

    batch_size: int = 2
    log: Path | None = None
    seconds: float = 0
    deadly: int | None = None
    wrong: int | None = None
    gone: int | None = None
    is_seen: bool = False

    def open(self):
        return self

    def skip(self, item, reason):
        return {"item": item, "reason": reason}

    def identify(self, items):
        return [
            UNREADABLE if item == self.gone and not self.is_seen else f"of {item}"
            for item in items
        ]

    def load(self, items):
        if self.deadly is not None and self.deadly in items:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.wrong is not None and self.wrong in items:
            raise ValueError(f"{self.wrong} is wrong")
        return np.array([item or 0 for item in items], np.float32)

    def start(self, loaded):
        return loaded**2

    def finish(self, items, loaded, values):
        time.sleep(self.seconds)
        there = [row for row, item in enumerate(items) if item is not None]
        if self.log:
            (self.log / f"{items[there[0]]}-{time.time_ns()}").touch()
        records = [
            {"item": items[row], "square": float(values[row]), "batch": len(items)}
            if items[row] != self.gone
            else skipped("went", is_proven=False)
            for row in there
        ]
        return Results(records, values[there, None])


def begin(path, num_items, part_size=4, **settings):
    """A folder and its parts."""
    settings = {"list": folder.digest(map(str, range(num_items)))} | settings
    passed = folder.Folder(path, settings)
    passed.begin()
    return passed, folder.cut(list(range(1, num_items + 1)), part_size)
