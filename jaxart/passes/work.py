"""What a pass does: the protocol between the engine and the four that use it."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

UNREADABLE = "unreadable"  # of `identify`: that an item's content cannot be told

Item = Any  # of a list: plain data, as JSON knows it
Record = dict[str, Any]  # what a pass leaves of an item, likewise


@runtime_checkable
class Work(Protocol):
    """What is done with every item: made of plain settings, it runs wherever it is."""

    @property
    def batch_size(self) -> int:
        """Items that run at once; parts are whole batches: an item keeps its row."""
        ...

    def open(self) -> "Opened":
        """Gets ready, once in a process: loads the network, compiles."""
        ...

    def skip(self, item: Item, reason: str) -> Record:
        """What stands for an item that could not be done."""
        ...


def skipped(reason: str, *, is_proven: bool = True) -> Record:
    """What stands for an item that was skipped.

    `is_proven` says that its content alone is why: then it stays so, for that content.
    """
    return {"reason": reason} if is_proven else {"reason": reason, "unproven": True}


class Results(NamedTuple):
    """What a batch leaves."""

    # One of each item; with a 'reason' where it was skipped, see `skipped`.
    records: list[Record]
    rows: np.ndarray | None = None  # arrays to keep, of any number of items: [M, ...]


@runtime_checkable
class Opened(Protocol):
    """A work that is ready."""

    def identify(self, items: Sequence[Item]) -> list[str]:
        """What each item's content is: another text for other bytes. In a thread.

        `UNREADABLE` where that cannot be told.
        """
        ...

    def load(self, items: Sequence[Item | None]) -> Any:
        """Reads a batch, in a thread; None is a place that is left blank."""
        ...

    def start(self, loaded: Any) -> Any:
        """Gives the device its work; returns arrays, or None, without waiting."""
        ...

    def finish(self, items: Sequence[Item | None], loaded: Any, values: Any) -> Results:
        """Writes the files of a batch; gives the records of the items that are there.

        `loaded` is what `load` gave; `values` what `start` gave, as NumPy arrays.
        """
        ...
