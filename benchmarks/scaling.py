"""What dividing a training step costs: `python -m benchmarks.scaling`.

AlexNet and a batch of fixed size on 1 to 8 virtual CPU devices of one process, and on
2 and 4 processes. All share this machine's cores, so that n devices are at best as fast
as one. Writes scaling.json into benchmarks/results.
"""

import argparse
import concurrent.futures
import datetime
import socket
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import machine
from benchmarks.report import RESULTS
from benchmarks.runner import Result, run_call, say
from benchmarks.workloads import Call
from jaxart.storage.results import write_json


class Division(NamedTuple):
    """How a batch is divided.

    Attributes:
      processes: how many.
      devices: of each process.
    """

    processes: int
    devices: int

    def __str__(self) -> str:
        return f"{self.processes} x {self.devices}"


ONE = Division(1, 1)
DIVISIONS = (ONE, *(Division(1, n) for n in (2, 4, 8)), Division(2, 1), Division(4, 1))


def main(argv: list[str] | None = None) -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=__doc__
    )
    add = parser.add_argument
    add("--rounds", type=int, default=3)
    add("--batch_size", type=int, default=32, help="of all devices together (32)")
    add("--quick", action="store_true", help="tiny sizes: does everything run?")
    add("--out", type=Path, default=RESULTS)
    args = parser.parse_args(argv)
    settings = {
        "batch_size": 8 if args.quick else args.batch_size,
        "hidden": (64, 64) if args.quick else (4096, 4096),
        "repeats": 1 if args.quick else 2,
    }
    divisions = (ONE, Division(1, 2), Division(2, 1)) if args.quick else DIVISIONS
    before = machine.Clock.now()
    rounds = run_rounds(divisions, args.rounds, settings)
    taken = before.taken(machine.Clock.now())
    summary = summarize(rounds, settings["batch_size"])
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(
        args.out / "scaling.json",
        {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "machine": machine.describe(),
            **taken,
            "versions": machine.versions(),
            "settings": settings,
            "summary": summary,
            "rounds": rounds,
        },
    )
    say(table(summary))


def run_rounds(
    divisions: tuple[Division, ...], rounds: int, settings: dict[str, Any]
) -> list[dict[str, Result]]:
    """Measures each division in turn, `rounds` times, in new processes.

    Returns:
      For each round the results by division.
    """
    results = []
    for number in range(1, rounds + 1):
        results.append({})
        for division in divisions:
            result = results[-1][str(division)] = measure(division, settings)
            seconds = ", ".join(
                f"{work} {statistics.median(values):.3f} s"
                for work, values in result["seconds"].items()
            )
            say(f"  round {number} of {rounds}: {division}: {seconds}")
    return results


def measure(division: Division, settings: dict[str, Any]) -> Result:
    """Runs all processes of a division at once; gives what the first one measured."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    settings = settings | {
        "devices": division.devices,
        "num_processes": division.processes,
        "coordinator": coordinator,
    }
    calls = [
        Call("training_step:run", settings | {"process_id": i})
        for i in range(division.processes)
    ]
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return next(iter(list(pool.map(run_call, calls))))


def summarize(
    rounds: list[dict[str, Result]], batch_size: int
) -> dict[str, dict[str, Any]]:
    """Medians over rounds, ratios within them.

    Returns:
      For each work and division: seconds a step, images per second, efficiency (images
      per second relative to one device's) and the bytes of what trains and what moves.
    """

    def seconds(found: dict[str, Result], work: str, division: str) -> float:
        return statistics.median(found[division]["seconds"][work])

    first = rounds[0]
    return {
        work: {
            division: {
                "seconds": (
                    median := statistics.median(
                        seconds(found, work, division) for found in rounds
                    )
                ),
                "images_per_second": batch_size / median,
                "efficiency": statistics.median(
                    seconds(found, work, str(ONE)) / seconds(found, work, division)
                    for found in rounds
                ),
                "bytes": first[division]["bytes"][work],
            }
            for division in first
        }
        for work in first[str(ONE)]["seconds"]
    }


def table(summary: dict[str, dict[str, Any]]) -> str:
    """The summary in Markdown, as docs/scaling.md shows it."""
    lines = [
        "| trained | processes x devices | seconds a step | images/s | efficiency "
        "| trained, MB | moved, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {work} | {division} | {row['seconds']:.3f} "
        f"| {row['images_per_second']:.1f} | {row['efficiency']:.2f} "
        f"| {row['bytes']['trained'] / 1e6:.3f} | {row['bytes']['moved'] / 1e6:.3f} |"
        for work, rows in summary.items()
        for division, row in rows.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
