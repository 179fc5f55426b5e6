"""Sides of a workload in turn, each in its own process, round after round."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.machine import Clock
from benchmarks.workloads import Call, Workload

ROOT = Path(__file__).parents[1]
SIDES = "benchmarks.sides."  # the package of all `Call.function`s
OURS = "ours"
PRODUCT = Call("matmul:run", {"size": 2048, "repeats": 9})
PRODUCT_FLOPS = 2 * PRODUCT.settings["size"] ** 3
AGREE = 0.01  # sides whose results differ by more, relatively, do other things
SLOW = 1.5  # a peer that needs this many times the best one's seconds runs once

Result = dict[str, Any]


class SideError(RuntimeError):
    """A side failed; the message ends with what it said."""


class Side:
    """A side's process: started when it is first asked, and again once it has ended."""

    def __init__(self, call: Call):
        self._call = call
        self._folder = tempfile.TemporaryDirectory()
        self._log = Path(self._folder.name) / "log"
        self._process = self._answers = None

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the process."""
        self._end()
        self._folder.cleanup()

    def ask(self) -> Result:
        """Runs the side once more; gives what its function gives.

        The result also says which share of the machine's time its host took meanwhile.

        Raises:
          SideError: it failed.
        """
        start = Clock.now()
        if not self._process:
            self._start()
        try:
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has failed by itself: there will be no answer
        line = self._answers.readline()
        if not line:
            self._end()
            said = self._log.read_text(errors="replace")[-4000:]
            raise SideError(
                f"{self._call.function} {self._call.settings} failed:\n{said}"
            )
        result = json.loads(line)
        if not result.pop("again"):
            self._end()
        return result | {"steal": start.taken(Clock.now())["steal"]}

    def _start(self) -> None:
        request = {"function": SIDES + self._call.function}
        request |= {"settings": self._call.settings}
        reading, writing = os.pipe()
        command = [sys.executable, "-m", "benchmarks.child", json.dumps(request)]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [*command, str(writing)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[writing],
            )
        os.close(writing)
        self._answers = os.fdopen(reading)

    def _end(self) -> None:
        if self._process:
            self._process.stdin.close()
            self._process.wait()
            self._answers.close()
            self._process = self._answers = None


def run_call(call: Call) -> Result:
    """Runs a side once, in a process of its own.

    Raises:
      SideError: it failed.
    """
    with Side(call) as side:
        return side.ask()


def say(text: str) -> None:
    """Prints a line at once."""
    print(text, flush=True)


def run_rounds(
    workload: Workload,
    rounds: int,
    *,
    open_side: Callable[[Call], Side] = Side,
    say: Callable[[str], None] = say,
) -> list[dict[str, Result]]:
    """Asks the machine's own rate, our side and each peer's in turn, `rounds` times.

    Peers that were slow in the first round are not asked again.

    Returns:
      For each round the results by side; the machine's rate is `product`.
    """
    calls = {"product": PRODUCT, OURS: workload.ours} | workload.peers
    results = []
    with contextlib.ExitStack() as stack:
        sides = {
            name: stack.enter_context(open_side(call)) for name, call in calls.items()
        }
        for number in range(1, rounds + 1):
            results.append({})
            for name, side in sides.items():
                result = results[-1][name] = side.ask()
                seconds = " ".join(
                    f"{measure} {statistics.median(values):.3f} s"
                    for measure, values in result["seconds"].items()
                )
                say(f"  round {number} of {rounds}: {name}: {seconds}")
            if number == 1:
                for name in slow_peers(workload, results[0]):
                    del sides[name]
    return results


def slow_peers(workload: Workload, first: dict[str, Result]) -> list[str]:
    """The peers that need `SLOW` times the best one's seconds, in every measure."""
    seconds = {
        peer: {m: statistics.median(v) for m, v in first[peer]["seconds"].items()}
        for peer in workload.peers
    }
    return [
        peer
        for peer, measures in seconds.items()
        if all(
            measures[name] > SLOW * min(other[name] for other in seconds.values())
            for name in measures
        )
    ]


def summarize(workload: Workload, rounds: list[dict[str, Result]]) -> dict[str, Any]:
    """Medians over the rounds, ratios within them.

    Returns:
      `measures`: of each the median seconds by side; how many times our seconds each
      peer needs (`ratios`, medians over the rounds that it was asked in); the peer that
      needs least (`best_peer`, of those asked to the end); and our share of the
      machine's own rate. `peak_memory_bytes` by side. `agreement`: the largest relative
      difference of each peer's results from ours.
    """
    measures = {}
    for name, items in workload.items.items():
        if name not in rounds[0][OURS]["seconds"]:
            continue
        ours = [statistics.median(r[OURS]["seconds"][name]) for r in rounds]
        seconds, ratios = {OURS: statistics.median(ours)}, {}
        for peer in workload.peers:
            theirs = [
                statistics.median(r[peer]["seconds"][name]) for r in rounds if peer in r
            ]
            seconds[peer] = statistics.median(theirs)
            # Rounds in which a slow peer was not asked come last.
            pairs = zip(theirs, ours[: len(theirs)], strict=True)
            ratios[peer] = statistics.median(a / b for a, b in pairs)
        asked = [peer for peer in workload.peers if peer in rounds[-1]]
        share = None
        if workload.flops:
            share = statistics.median(
                workload.flops * items / taken / product_rate(r)
                for taken, r in zip(ours, rounds, strict=True)
            )
        measures[name] = {
            "items": items,
            "seconds": seconds,
            "ratios": ratios,
            "best_peer": min(asked, key=ratios.__getitem__, default=None),
            "share_of_product_rate": share,
        }
    return {
        "measures": measures,
        "peak_memory_bytes": {
            side: max(r[side]["peak_memory_bytes"] or 0 for r in rounds if side in r)
            for side in (OURS, *workload.peers)
        },
        "product_flops_per_second": statistics.median(map(product_rate, rounds)),
        "agreement": {
            side: difference(rounds[0][OURS]["check"], rounds[0][side]["check"])
            for side in workload.peers
            if "check" in rounds[0][OURS] and "check" in rounds[0][side]
        },
    }


def product_rate(results: dict[str, Result]) -> float:
    """The machine's own rate in one round, in operations a second."""
    return PRODUCT_FLOPS / statistics.median(results["product"]["seconds"]["product"])


def difference(ours: list[float], theirs: list[float]) -> float:
    """The largest difference, relative to the largest value."""
    if len(ours) != len(theirs):
        return float("inf")
    pairs = zip(ours, theirs, strict=True)
    return max(abs(a - b) for a, b in pairs) / max(map(abs, ours))
