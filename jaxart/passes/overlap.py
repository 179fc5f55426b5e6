"""The device works on one batch while the host works on the one before."""

from collections.abc import Iterable, Iterator
from typing import Any

import jax


def fetch_one_behind(started: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """Yields results as NumPy arrays, each once the next one has been started.

    `started` gives results that the device is computing, lazily, and what they are of.
    """
    running = None
    for following in started:
        if running is not None:
            yield jax.device_get(running[0]), running[1]
        running = following
    if running is not None:
        yield jax.device_get(running[0]), running[1]
