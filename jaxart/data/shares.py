"""Work that several processes do, each its share, without knowing of each other."""

import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool


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
