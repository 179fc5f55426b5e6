"""What a pass does: the protocol between the engine and the four that use it."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

Item = Any  # of a list: plain data, as JSON knows it
Record = dict[str, Any]  # what a pass leaves of an item, likewise


@runtime_checkable
class Work(Protocol):
    """What is done with every item: made of plain settings, it runs wherever it is."""

    @property
    def batch_size(self) -> int:
        """Items that run at once.

        A part is made of whole batches, so that an item has its place in its batch
        wherever it runs.
        """
        ...

    def open(self) -> "Opened":
        """Gets ready, once in a process: loads the network, compiles."""
        ...

    def skip(self, item: Item, reason: str) -> Record:
        """What stands for an item that could not be done."""
        ...


class Results(NamedTuple):
    """What a batch leaves.

    Attributes:
      records: one of each item; with a 'reason' where it was skipped.
      rows: arrays to keep, stacked: [M, ...]; of any number of the items.
    """

    records: list[Record]
    rows: np.ndarray | None = None


@runtime_checkable
class Opened(Protocol):
    """A work that is ready."""

    def identify(self, items: Sequence[Item]) -> list[str]:
        """What each item's content is: another text for other bytes. In a thread."""
        ...

    def load(self, items: Sequence[Item | None]) -> Any:
        """Reads a batch, in a thread; None is a place that is left blank."""
        ...

    def start(self, loaded: Any) -> Any:
        """Gives the device its work; returns arrays, or None, without waiting."""
        ...

    def finish(self, items: Sequence[Item | None], loaded: Any, values: Any) -> Results:
        """Writes the files of a batch; gives the records of the items that are there.

        Args:
          items: the batch.
          loaded: what `load` gave.
          values: what `start` gave, as NumPy arrays.
        """
        ...
