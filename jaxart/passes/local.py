"""Parts on one device: reading, network and writing side by side, without a pause."""

import collections
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import jax

from jaxart.passes.folder import Folder, Part
from jaxart.passes.work import Item, Opened, Results

_NUM_THREADS = 4  # Pillow and hashlib work outside of the interpreter's lock
_NUM_AHEAD = 4  # batches; one of 128 VGG16 inputs is 77 MB

T = TypeVar("T")
R = TypeVar("R")


class Progress(NamedTuple):
    """What has happened: some items of a part were done."""

    part: Part
    name: str  # of the part; of one that is new, for good at its end
    num_items: int
    is_new: bool  # whether they were done now, or before
    is_end: bool  # whether the part is done


class _Batch(NamedTuple):
    part: Part
    contents: Sequence[str]  # of the part's items
    name: str
    items: Sequence[Item]  # none where the part is done


def run_parts(
    opened: Opened,
    parts: Iterable[Part],
    folder: Folder,
    batch_size: int,
    is_done: Callable[[str], bool],
) -> Iterator[Progress]:
    """Does those parts that are not done, and tells how it goes, part after part."""

    def identify(part: Part) -> tuple[_Batch, bool]:
        contents = opened.identify(part.items)
        name = folder.name(part, contents)
        return _Batch(part, contents, name, ()), is_done(name)

    def batches() -> Iterator[_Batch]:
        for whole, done in map_ahead(identify, parts, num_threads=1, num_ahead=2):
            if done:
                yield whole
            else:
                for start in range(0, len(whole.part.items), batch_size):
                    items = whole.part.items[start : start + batch_size]
                    yield whole._replace(items=items)

    def load(batch: _Batch) -> tuple[_Batch, Any]:
        return batch, opened.load(batch.items) if batch.items else None

    def started() -> Iterator[tuple[Any, tuple[_Batch, Any]]]:
        for batch, loaded in map_ahead(load, batches(), _NUM_THREADS, _NUM_AHEAD):
            yield opened.start(loaded) if batch.items else None, (batch, loaded)

    computed = _fetch_one_behind(started())
    for values, (batch, loaded) in computed:
        part, name = batch.part, batch.name
        num_left = len(part.items)
        if not batch.items:
            yield Progress(part, name, num_left, is_new=False, is_end=True)
            continue
        with folder.writing(part, batch.contents) as writing:
            while True:
                writing.add(opened.finish(batch.items, loaded, values))
                num_items = len(batch.items)
                num_left -= num_items
                if not num_left:
                    break
                yield Progress(part, name, num_items, is_new=True, is_end=False)
                values, (batch, loaded) = next(computed)
        yield Progress(part, writing.name, num_items, is_new=True, is_end=True)


def _fetch_one_behind(started: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
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


def run_batch(opened: Opened, items: Sequence[Item | None]) -> Results:
    """Does a single batch; None is a place that is left blank."""
    loaded = opened.load(items)
    values = jax.device_get(opened.start(loaded))
    return opened.finish(items, loaded, values)


def map_ahead(
    function: Callable[[T], R], items: Iterable[T], num_threads: int, num_ahead: int
) -> Iterator[R]:
    """As `map`, in threads, which are a bounded number of items ahead of who asks."""
    running: collections.deque[concurrent.futures.Future[R]] = collections.deque()
    pool = concurrent.futures.ThreadPoolExecutor(num_threads)
    try:
        for item in items:
            running.append(pool.submit(function, item))
            if len(running) > num_ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
