"""Sides of a workload in turn, each in its own process, round after round."""

import json
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
OURS = "ours"
PRODUCT = Call("matmul:run", {"size": 2048, "repeats": 9})
PRODUCT_FLOPS = 2 * PRODUCT.settings["size"] ** 3
AGREE = 0.01  # sides whose results differ by more, relatively, do other things

Result = dict[str, Any]


class SideError(RuntimeError):
    """A side failed; the message ends with what it said."""


def run_call(call: Call) -> Result:
    """Runs a side in a process of its own; gives what its function gives.

    The result also says which shares of the machine's time its host and other
    programs took meanwhile.

    Raises:
      SideError: it failed.
    """
    request = {"function": f"benchmarks.sides.{call.function}"}
    request |= {"settings": call.settings}
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder) / "out.json", Path(folder) / "log"
        command = [sys.executable, "-m", "benchmarks.child", json.dumps(request), out]
        start = Clock.now()
        with open(log, "wb") as file:
            done = subprocess.run(command, cwd=ROOT, stdout=file, stderr=file)
        if done.returncode:
            said = log.read_text(errors="replace")[-4000:]
            raise SideError(f"{call.function} {call.settings} failed:\n{said}")
        result = json.loads(out.read_text())
    return result | start.taken(Clock.now())


def say(text: str) -> None:
    """Prints a line at once."""
    print(text, flush=True)


def run_rounds(
    workload: Workload,
    rounds: int,
    *,
    run: Callable[[Call], Result] = run_call,
    say: Callable[[str], None] = say,
) -> list[dict[str, Result]]:
    """Runs the machine's own rate, our side and each peer's, `rounds` times.

    Returns:
      For each round the results by side; the machine's rate is `product`.
    """
    sides = {"product": PRODUCT, OURS: workload.ours} | workload.peers
    results = []
    for number in range(1, rounds + 1):
        results.append({})
        for side, call in sides.items():
            result = results[-1][side] = run(call)
            seconds = " ".join(
                f"{name} {statistics.median(values):.3f} s"
                for name, values in result["seconds"].items()
            )
            say(f"  round {number} of {rounds}: {side}: {seconds}")
    return results


def summarize(workload: Workload, rounds: list[dict[str, Result]]) -> dict[str, Any]:
    """Medians over the rounds, ratios within them.

    Returns:
      `measures`: of each the median seconds by side, the best peer, how many times
      our seconds it needs (`ratio`, the median over the rounds), and our share of the
      machine's own rate; `peak_memory_bytes` by side; `agreement`, the largest
      relative difference of each peer's results from ours.
    """
    measures = {}
    for name, items in workload.items.items():
        if name not in rounds[0][OURS]["seconds"]:
            continue
        seconds = {
            side: [statistics.median(r[side]["seconds"][name]) for r in rounds]
            for side in (OURS, *workload.peers)
        }
        medians = {side: statistics.median(values) for side, values in seconds.items()}
        best = min(workload.peers, key=medians.__getitem__, default=None)
        ratio = share = None
        if best:
            ratio = statistics.median(
                theirs / ours
                for theirs, ours in zip(seconds[best], seconds[OURS], strict=True)
            )
        if workload.flops:
            share = statistics.median(
                workload.flops * items / ours / product_rate(r)
                for ours, r in zip(seconds[OURS], rounds, strict=True)
            )
        measures[name] = {
            "items": items,
            "seconds": medians,
            "best_peer": best,
            "ratio": ratio,
            "share_of_product_rate": share,
        }
    return {
        "measures": measures,
        "peak_memory_bytes": {
            side: max(r[side]["peak_memory_bytes"] or 0 for r in rounds)
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
