"""What both sides of `benchmarks.gpu` share: pieces of work, got ready, then timed."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

TARGET_SECONDS = 0.4  # of one measurement
MAX_CALLS = 200


@dataclasses.dataclass(frozen=True)
class Piece:
    """A piece of work, of which a side may have several variants.

    Attributes:
      kind: 'product', 'forward', 'train' or 'maps'.
      precision: 'float32', 'tf32' or 'bfloat16'.
      count: images (or rows and columns, of a product).
      network: 'alexnet' or 'vgg16'.
      layers: to run up to, or to train; () is all of them.
      method: of maps.
      samples: of the method, for each image.
      at_once: inputs that run at once.
    """

    kind: str
    precision: str
    count: int
    network: str = ""
    layers: tuple[str, ...] = ()
    method: str = ""
    samples: int = 1
    at_once: int = 0


@dataclasses.dataclass(frozen=True)
class Ready:
    """A piece that can be run.

    Attributes:
      run: starts it; gives what `wait` waits for.
      wait: blocks until it is done; gives numbers to compare, or [].
      program_bytes: memory that it takes; None where that is not known.
    """

    run: Callable[[], Any]
    wait: Callable[[Any], list[float]]
    program_bytes: int | None = None


def answers(
    pieces: list[dict[str, Any]], rounds: int, make: Callable[[Piece], Ready]
) -> Iterator[dict[str, Any]]:
    """Gets a piece ready, then times it `rounds` times; and so on with the next one.

    The answer that a piece is ready has numbers to compare. A piece that fails says so,
    and does not stop the others.
    """
    for settings in pieces:
        piece = Piece(**settings | {"layers": tuple(settings["layers"])})
        start = time.perf_counter()
        try:
            ready = make(piece)
            check = ready.wait(ready.run())
            prepared = time.perf_counter() - start
            start = time.perf_counter()
            ready.wait(ready.run())
        except Exception as error:  # whatever a library stumbles over
            yield {"seconds": {}, "error": f"{type(error).__name__}: {error}"[:600]}
            continue
        taken = time.perf_counter() - start
        yield {
            "seconds": {},
            "check": check,
            "prepare_seconds": prepared,
            "program_bytes": ready.program_bytes,
        }
        calls = max(1, min(MAX_CALLS, int(TARGET_SECONDS / taken)))
        for _ in range(rounds):
            start = time.perf_counter()
            for _ in range(calls):
                result = ready.run()
            ready.wait(result)
            yield {"seconds": {"call": [(time.perf_counter() - start) / calls]}}
        del ready, result  # their memory, before the next one's
