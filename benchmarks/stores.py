"""What checking a cached store costs: an epoch of its rows, with and without it.

    python -m benchmarks.stores [ROWS]

Of ROWS (16,384) rows of fc7, 16 KB each, in rounds that alternate, in this process:
the store is met, its parts are checked or not, and all rows are read once in batches
of 128, in a random order. That is all that a first epoch does but for the network's
part. Pages are in memory, and seconds those of the processor, which other programs
change least; or, as root on Linux, pages are dropped before each round, and seconds
those of the clock.
"""

import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

from jaxart.data import features, pipeline
from jaxart.passes.folder import Folder

NUM_VALUES, BATCH_SIZE, NUM_ROUNDS = 4096, 128, 15
FACTS = {"size": 2, "channel_order": "bgr", "mean": (0.0, 0.0, 0.0)}
DROP = Path("/proc/sys/vm/drop_caches")


def write_pictures(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number}.ppm" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(b"P6 2 2 255 " + number.to_bytes(12, "big"))
    return paths


def forward(images: np.ndarray) -> np.ndarray:
    return np.repeat(images[:, 0, 0, :1] + 1, NUM_VALUES, axis=1)


def read(
    paths: list[Path],
    contents: list[str],
    cache_dir: Path,
    clock: Callable[[], float] = time.process_time,
) -> float:
    """Images a second: the store, and an epoch of its rows."""
    start = clock()
    files = pipeline.ImageFiles(paths, "antialias", FACTS)
    options = {"prefix": {}, "cache_dir": cache_dir, "batch_size": BATCH_SIZE}
    rows, _ = features.compute(forward, files, contents, **options)
    labels, indices = np.zeros(len(paths), np.int32), np.arange(len(paths))
    epoch = pipeline.batches(rows, labels, indices, batch_size=BATCH_SIZE, seed=0)
    assert sum(batch["mask"].sum() for batch in epoch) == len(paths)
    return len(paths) / (clock() - start)


def main(count: int = 16_384) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = write_pictures(Path(folder), count)
        contents = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
        where = (paths, contents, Path(folder) / "cache")
        read(*where)
        clocks = {False: time.process_time, True: time.perf_counter}
        for is_cold, clock in clocks.items():
            rates: dict[bool, list[float]] = {False: [], True: []}
            for number in range(2 * NUM_ROUNDS):
                if is_cold:
                    DROP.write_text("1")
                is_checked = number % 4 in (1, 2)
                with mock.patch.object(
                    Folder, "_check", Folder._check if is_checked else lambda *_: None
                ):
                    rates[is_checked].append(read(*where, clock))
            without, checked = map(statistics.median, (rates[False], rates[True]))
            ratio = statistics.median(np.divide(rates[True], rates[False]))
            place = "from disk" if is_cold else "from memory"
            print(f"{place}: {without:,.0f} images/s, {checked:,.0f} ({ratio:.3f})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
