"""What a pass costs: `python -m benchmarks.passes`.

Records and resume of a list of a million names, with a work that returns at once; and
saliency (VGG16, gradient, raw maps) on Ray, with an actor for each core, beside one
process that has all cores. Writes passes.json into benchmarks/results.
"""

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import platformdirs

from benchmarks import machine, material
from benchmarks.report import RESULTS
from jaxart.passes import folder, running
from jaxart.passes.driver import alone
from jaxart.passes.work import Results
from jaxart.storage.results import write_json

MODES = ("first", "resumed", "merged")


class Nothing:
    """A work that returns at once."""

    batch_size = 8

    def open(self) -> "Nothing":
        """Is ready."""
        return self

    def skip(self, item: str, reason: str) -> dict[str, str]:
        """Is not needed."""
        return {"reason": reason}

    def identify(self, items: list[str]) -> list[str]:
        """All are the same."""
        return [""] * len(items)

    def load(self, items: list[str]) -> list[str]:
        """Reads nothing."""
        return items

    def start(self, loaded: list[str]) -> None:
        """Computes nothing."""

    def finish(self, items: list[str], loaded: list[str], values: None) -> Results:
        """Gives a record of each."""
        return Results([{"path": item} for item in items])


def one(mode: str, path: Path, count: int) -> dict[str, Any]:
    """Runs, resumes or merges a pass, in this process: seconds and bytes."""
    names = [f"folder/{i % 1000:03d}/{i:07d}.jpg" for i in range(count)]
    start = time.perf_counter()
    with alone(path):
        passed = folder.Folder(path, {"images": folder.digest(names)})
        passed.begin()
        size = folder.part_size(count, Nothing.batch_size, 4)
        parts = folder.cut(names, size)
        outcome = running.run(Nothing(), parts, passed, title=mode, quiet=True)
        if mode == "merged":
            assert sum(1 for _ in passed.records(outcome.names)) == count
            passed.remove()
    return {
        "seconds": time.perf_counter() - start,
        "peak_memory_bytes": machine.peak_memory(),
        "parts": len(parts),
    }


def measure_names(count: int) -> dict[str, dict[str, Any]]:
    """What each mode takes, in a process of its own."""
    measured = {}
    with tempfile.TemporaryDirectory() as root:
        for mode in MODES:
            arguments = ("--one", mode, "--path", f"{root}/parts", "--count", count)
            command = [sys.executable, "-m", "benchmarks.passes", *map(str, arguments)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            measured[mode] = json.loads(done.stdout)
    return measured


def measure_ray(rounds: int, num_images: int, data: Path) -> list[dict[str, float]]:
    """Images per second and seconds of each round, without Ray and with it."""
    weights = material.random_weights(data, "vgg16")
    images = material.paintings(data, -(-num_images // 10), 256)
    measured = []
    for _ in range(rounds):
        row = {}
        for name, flags in (("process", ()), ("ray", ("--ray=auto",))):
            with tempfile.TemporaryDirectory() as out:
                command = (
                    *(sys.executable, "-m", "jaxart.saliency", f"--out={out}/out"),
                    *(f"--weights={weights}", f"--images={images.train_data}"),
                    *("--save=npy", "--part_size=8", *flags),
                )
                start = time.perf_counter()
                subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
                row[f"{name}_seconds"] = time.perf_counter() - start
                report = json.loads(Path(out, "out/run.json").read_text())
                row[f"{name}_images_per_second"] = report["images_per_second"]
        measured.append(row)
    return measured


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.passes", description=__doc__
    )
    add = parser.add_argument
    add("--one", choices=MODES, help="measure this one here (used by the others)")
    add("--path", type=Path)
    add("--count", type=int, default=1_000_000)
    add("--rounds", type=int, default=3, help="of saliency; 0 leaves it out (3)")
    add("--images", type=int, default=60, help="of saliency (60)")
    cache = platformdirs.user_cache_path("jaxart") / "benchmarks"
    add("--data", type=Path, default=cache, help="keeps pictures and random weights")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one, args.path, args.count)))
        return
    names = measure_names(args.count)
    rows = measure_ray(args.rounds, args.images, args.data)
    print(f"| {args.count:,} names | seconds | peak memory |\n|---|---|---|")
    for mode, said in names.items():
        memory = said["peak_memory_bytes"] / 1e6
        print(f"| {mode} | {said['seconds']:.1f} | {memory:.0f} MB |")
    report = {"names": names, "count": args.count, "ray": rows}
    if rows:
        ratio = statistics.median(
            row["ray_images_per_second"] / row["process_images_per_second"]
            for row in rows
        )
        whole = statistics.median(
            row["process_seconds"] / row["ray_seconds"] for row in rows
        )
        report |= {"ray_ratio": ratio, "ray_ratio_with_start": whole}
        print(f"\nRay beside one process: {ratio:.2f}; with its start {whole:.2f}")
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    about = {"date": date, "machine": machine.describe()}
    write_json(RESULTS / "passes.json", about | report)


if __name__ == "__main__":
    main()
