"""Seconds of a call, and rounds of them."""

import time
from collections.abc import Callable, Iterator
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


def rounds(
    measure: str,
    function: Callable[[], Any],
    repeats: int,
    describe: Callable[[Any], dict[str, Any]] = lambda result: {},
) -> Iterator[dict[str, Any]]:
    """Calls a function once to get it ready, then `repeats` times a round.

    Args:
      measure: what the seconds are called.
      function: as in `repeat`.
      repeats: calls a round.
      describe: what else a round says, from the last result.

    Yields:
      {"seconds": {measure: [s, ...]}, ...}, without end.
    """
    (first,), _ = repeat(function, 1)
    while True:
        seconds, result = repeat(function, repeats)
        said = {"seconds": {measure: seconds}, "first_call_seconds": first}
        yield said | describe(result)
