"""Seconds of a call."""

import time
from collections.abc import Callable
from typing import Any


def repeat(function: Callable[[], Any], times: int) -> tuple[list[float], Any]:
    """Calls a function `times` times; gives the seconds of each, and the last result.

    The function must wait for what it started.
    """
    seconds, result = [], None
    for _ in range(times):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return seconds, result
