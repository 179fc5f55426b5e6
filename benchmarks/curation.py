r"""How long `jaxart wikiart curate` takes, and its memory, against pictures.

    python -m benchmarks.curation
    python -m benchmarks.curation --src=FOLDER_OF_CLASS_FOLDERS

Without --src, JPEG files of two megapixels are made once. Writes curation.json into
benchmarks/results.
"""

import argparse
import datetime
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import platformdirs

from benchmarks import machine, material
from benchmarks.report import RESULTS
from benchmarks.runner import ROOT
from jaxart import storage
from jaxart.data import listing
from jaxart.storage.results import write_json

COUNTS = (500, 1000, 2000, 4000)

# The command, and then its peak memory.
_PROGRAM = """
import runpy
from benchmarks import machine
try:
    runpy.run_path("tools/wikiart.py", run_name="__main__")
finally:
    print(machine.peak_memory())
"""


def main(argv: list[str] | None = None) -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--src", help="pictures to curate, where some are at hand")
    add("--counts", default=",".join(map(str, COUNTS)), help="of pictures")
    add(
        "--cache_dir",
        type=Path,
        default=platformdirs.user_cache_path("jaxart") / "benchmarks",
        help="keeps the pictures that are made (the user's cache folder)",
    )
    add("--out", type=Path, default=RESULTS)
    args = parser.parse_args(argv)
    counts = [int(count) for count in args.counts.split(",")]
    if args.src:
        found = listing.read(storage.path(args.src))
        paths = [str((found.root / name).absolute()) for name in found.names]
    else:
        paths = material.large_pictures(args.cache_dir, max(counts))
    runs = [measure(paths[:: max(1, len(paths) // n)][:n]) for n in counts]
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(
        args.out / "curation.json",
        {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "machine": machine.describe(),
            "versions": machine.versions(),
            "runs": runs,
        },
    )
    for run in runs:
        print(
            f"{run['images']:>6} images, {run['bytes'] / 1e6:.0f} MB of files: "
            f"{run['seconds']:.1f} s, {run['peak_memory_bytes'] / 1e6:.0f} MB"
        )


def measure(paths: list[str]) -> dict[str, Any]:
    """Curates pictures with the command, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "list.txt"
        lines = [f"{path} {'ab'[i % 2]}\n" for i, path in enumerate(paths)]
        listed.write_text("".join(lines))
        flags = (f"--src={listed}", f"--out={folder}/out", "--split=random")
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, "curate", *flags],
            cwd=ROOT,
            env=os.environ | {"XDG_CACHE_HOME": folder},  # which knows no file yet
            capture_output=True,
            text=True,
        )
        seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"curate failed: {done.stderr[-1000:]}")
    return {
        "images": len(paths),
        "bytes": sum(os.path.getsize(path) for path in paths),
        "seconds": seconds,
        "peak_memory_bytes": int(done.stdout.split()[-1]),
    }


if __name__ == "__main__":
    main()
