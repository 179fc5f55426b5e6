r"""Ten thousand damaged pictures of every format through predict and saliency.

    python -m benchmarks.mutated [--number=10000] [--seed=0]

Small paintings in all formats that are read are damaged in eight ways. Both commands,
each a process with a network that takes no time, must end well; every picture must be
in the table or the manifest, or in skipped.csv with a reason for people; and nothing
may be said by the dozen. Writes mutated.json into benchmarks/results.
"""

import argparse
import collections
import csv
import datetime
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.mutations import MUTATIONS, paint
from benchmarks.report import RESULTS
from benchmarks.runner import ROOT
from jaxart.storage.results import write_json
from tests import runs

_CLASSES = ["a", "b", "c"]
_MOST_LINES = 12  # on stderr, but for progress bars
_OWN = re.compile(r"b?'.*'|b\".*\"|b'.*|[\d,]*\d")  # of one file, in its reason


def write_pictures(folder: Path, number: int, seed: int) -> list[str]:
    """Mutated pictures, every way of every seed in turn; gives their names."""
    chance, seeds, names = random.Random(seed), paint(), []
    kinds = sorted(seeds)
    for index in range(number):
        kind = kinds[index % len(kinds)]
        mutate = MUTATIONS[index // len(kinds) % len(MUTATIONS)]
        content = mutate(seeds[kind], seeds[chance.choice(kinds)], chance)
        names.append(f"{index:05d}_{mutate.__name__}_{kind}")
        (folder / names[-1]).write_bytes(content)
    return names


def run(job: str, folder: Path, names: Sequence[str], *options: str) -> dict[str, Any]:
    """A command over the pictures; its seconds, peak and what it made of them.

    Raises:
      AssertionError: something of what it promises is not so; says what.
    """
    listed, said = folder / f"{job}.txt", folder / f"{job}.stderr"
    listed.write_text("".join(f"{name}\n" for name in names))
    words = [f"--workdir={folder / 'run'}", f"--images={listed}", *options]
    words += [f"--image_root={folder / 'pictures'}", "--batch_size=64"]
    start = time.perf_counter()
    with said.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.tiny_command", job, *words],
            **{"cwd": ROOT, "env": os.environ | {"JAX_PLATFORMS": "cpu"}},
            **{"stdout": subprocess.DEVNULL, "stderr": stderr},
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    text = said.read_text(errors="replace")
    lines = [line.rpartition("\r")[2].rstrip() for line in text.split("\n")]
    lines = [line for line in lines if line and "img/s" not in line]
    ended = f"{job}: status {process.returncode}: {text[-2000:]}"
    assert process.returncode == 0, ended
    assert len(lines) <= _MOST_LINES, f"{job}: {len(lines)} lines, as {lines[:30]}"
    return {
        "seconds": time.perf_counter() - start,
        "peak_memory_bytes": usage.ru_maxrss * 1024,
        "lines": lines,
    }


def check(names: Sequence[str], shown: Sequence[str], skipped: Path) -> dict[str, Any]:
    """Counts the pictures, each of which is shown or skipped, and kinds of reasons.

    Raises:
      AssertionError: one is neither or both, or a reason says nothing.
    """
    with skipped.open(newline="", encoding="utf-8-sig") as file:
        reasons = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    counts = collections.Counter([*shown, *reasons])
    assert counts == collections.Counter(names), counts - collections.Counter(names)
    for name, reason in reasons.items():
        says_something = len(reason.split()) > 1 and "\n" not in reason
        is_bare = re.fullmatch(r"(damaged: )?\w*(Error|Exception)\W*", reason)
        is_for_people = says_something and not is_bare and " at 0x" not in reason
        assert is_for_people, f"{name}: {reason}"
    kinds = collections.Counter(_OWN.sub("..", reason) for reason in reasons.values())
    by_kind = dict(kinds.most_common())
    return {"shown": len(shown), "skipped": len(reasons), "reasons": by_kind}


def measure(folder: Path, number: int, seed: int) -> dict[str, Any]:
    """Both commands over the mutated pictures, and over sound ones for their base."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    model = runs.TinyNet(num_classes=len(_CLASSES), hidden=())
    runs.write(folder / "run", model, runs.random_params(model), _CLASSES, "antialias")
    sound = [f"sound_{name}" for name in paint() if not name.startswith("eps")]
    for name, content in paint().items():
        (pictures / f"sound_{name}").write_bytes(content)
    names = write_pictures(pictures, number, seed)
    measured = {}
    for job in ("predict", "saliency"):
        for kind, chosen in {"sound": sound, "mutated": names}.items():
            out = folder / f"{job}_{kind}"
            table, manifest = out / "table.csv", out / "manifest.jsonl"
            where = f"--out={table if job == 'predict' else out}"
            options = ["--method=grad_cam"] if job == "saliency" else []
            outcome = run(job, folder, chosen, where, *options)
            if job == "predict":
                with table.open(newline="", encoding="utf-8-sig") as file:
                    shown = [row["path"] for row in csv.DictReader(file)]
                skipped = out / "table.skipped.csv"
            else:
                lines = manifest.read_text().splitlines()
                shown = [json.loads(line)["path"] for line in lines]
                skipped = out / "skipped.csv"
            measured[f"{job}_{kind}"] = outcome | check(chosen, shown, skipped)
        assert not measured[f"{job}_sound"]["skipped"], measured[f"{job}_sound"]
    return measured


def main(argv: list[str] | None = None) -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mutated",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--number", type=int, default=10_000, help="of mutated pictures")
    add("--seed", type=int, default=0)
    add("--keep", type=Path, help="a new folder for the pictures and what is made")
    add("--out", type=Path, default=RESULTS)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(args.keep or Path(folder), args.number, args.seed)
    result = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **{"machine": machine.describe(), "versions": machine.versions()},
        **{"number": args.number, "seed": args.seed, **measured},
    }
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / "mutated.json", result)
    for name, of in measured.items():
        print(
            f"{name}: {of['shown']:,} shown, {of['skipped']:,} skipped for "
            f"{len(of['reasons'])} kinds of reasons, {of['seconds']:.0f} s, "
            f"peak {of['peak_memory_bytes'] / 1e6:,.0f} MB, {len(of['lines'])} lines"
        )


if __name__ == "__main__":
    main()
