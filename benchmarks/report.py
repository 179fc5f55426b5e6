"""What was measured: a table for people, JSON files for later.

`python -m benchmarks.report` prints the README's table of benchmarks/results.
"""

import argparse
import datetime
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import platformdirs

from benchmarks import machine
from benchmarks.runner import AGREE, OURS, ROOT, Result, summarize
from benchmarks.workloads import WORKLOADS, Workload

RESULTS = ROOT / "benchmarks" / "results"
HEADER = ("", "seconds", "images/s", "x ours", "peak MB", "of matmul")


def add_folders(parser: argparse.ArgumentParser) -> None:
    """Adds --cache_dir and --out."""
    parser.add_argument(
        "--cache_dir",
        default=str(platformdirs.user_cache_path("jaxart") / "benchmarks"),
        help="keeps paintings and random weights (the user's cache folder)",
    )
    parser.add_argument(
        "--out", default=str(RESULTS), help="folder for results (benchmarks/results)"
    )


def make(
    name: str,
    workload: Workload,
    rounds: list[dict[str, Result]],
    *,
    taken: dict[str, float | None],
    left_out: dict[str, str],
) -> dict[str, Any]:
    """Everything about a workload's run.

    Args:
      name: of the workload.
      workload: what ran.
      rounds: of `runner.run_rounds`.
      taken: shares of the machine's time that its host and others took meanwhile.
      left_out: variants of the peer that did not run, and why.
    """
    return {
        "workload": name,
        "title": workload.title,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        **taken,
        "versions": machine.versions(),
        "source": source(),
        "flops_per_image": workload.flops,
        "left_out": left_out,
        "summary": summarize(workload, rounds),
        "rounds": [
            {side: _without_check(result) for side, result in r.items()} for r in rounds
        ],
    }


def _without_check(result: Result) -> Result:
    """What `agreement` has compared is long."""
    return {name: value for name, value in result.items() if name != "check"}


def write(folder: Path, report: dict[str, Any]) -> Path:
    """Writes a report as `folder/WORKLOAD.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report['workload']}.json"
    short = json.loads(
        json.dumps(report), parse_float=lambda x: float(f"{float(x):.6g}")
    )
    path.write_text(json.dumps(short, indent=2) + "\n")
    return path


def table(reports: Iterable[dict[str, Any]]) -> str:
    """A line for every side of every workload, and what has to be known of it."""
    lines = [_line(*HEADER)]
    for report in reports:
        summary = report["summary"]
        for name, measure in summary["measures"].items():
            lines.append(f"{report['workload']}: {report['title']}: {name}")
            lines += [_side_line(side, measure, summary) for side in measure["seconds"]]
        lines += [f"  {note}" for note in notes(report)]
    return "\n".join(lines)


def read(folder: Path) -> list[dict[str, Any]]:
    """The reports that `write` wrote, in the workloads' order."""
    paths = [folder / f"{name}.json" for name in WORKLOADS]
    return [json.loads(path.read_text()) for path in paths if path.is_file()]


def markdown(reports: Iterable[dict[str, Any]]) -> str:
    """The README's table: a row for each measure that has a peer."""
    lines = [
        "| work | jaxart | PyTorch's best variant | ratio | to its other variants |",
        "|---|---|---|---|---|",
    ]
    for report in reports:
        summary = report["summary"]
        for name, measure in summary["measures"].items():
            best, ratios = measure["best_peer"], measure["ratios"]
            if not best:
                continue
            ours = _speed(OURS, measure, summary)
            if measure["share_of_product_rate"]:
                ours += f", {measure['share_of_product_rate']:.0%} of matmul"
            others = ", ".join(
                f"{peer} {ratio:.2f}" for peer, ratio in ratios.items() if peer != best
            )
            work = report["title"]
            if len(summary["measures"]) > 1:
                work += f": {name.replace('_', ' ')}"
            lines.append(
                f"| {work} | {ours} | {best}: {_speed(best, measure, summary)} "
                f"| **{ratios[best]:.2f}** | {others} |"
            )
    return "\n".join(lines)


def _speed(side: str, measure: dict[str, Any], summary: dict[str, Any]) -> str:
    rate = measure["items"] / measure["seconds"][side]
    memory = summary["peak_memory_bytes"][side] / 1e9
    return f"{rate:.4g} images/s, {memory:.2g} GB"


def notes(report: dict[str, Any]) -> list[str]:
    """What a reader of the figures has to know."""
    said = []
    if report["steal"] is not None:
        rate = report["summary"]["product_flops_per_second"] / 1e9
        said.append(
            f"matmul {rate:.0f} GFLOP/s; {len(report['rounds'])} round(s); of the "
            f"processors' time the host took {report['steal']:.0%}, other programs "
            f"{report['others']:.0%}"
        )
    measured = {
        result["measured"]
        for result in report["rounds"][0].values()
        if "measured" in result
    }
    said += [f"the peer really ran {what}" for what in sorted(measured)]
    once = [name for name in report["rounds"][0] if name not in report["rounds"][-1]]
    if once:
        said.append(f"slow in the first round, and not asked again: {', '.join(once)}")
    said += [f"left out: {name}: {why}" for name, why in report["left_out"].items()]
    for side, difference in report["summary"]["agreement"].items():
        if not difference <= AGREE:
            said.append(
                f"WARNING: {side}'s results differ from ours by {difference:.1%}"
            )
    return said


def _side_line(side: str, measure: dict[str, Any], summary: dict[str, Any]) -> str:
    seconds = measure["seconds"][side]
    best = side == measure["best_peer"]
    share = measure["share_of_product_rate"]
    return _line(
        f"  {side}{' (best)' if best else ''}",
        f"{seconds:.3f}",
        f"{measure['items'] / seconds:.4g}",
        "" if side == OURS else f"{measure['ratios'][side]:.2f}",
        f"{summary['peak_memory_bytes'][side] / 1e6:.0f}",
        f"{share:.0%}" if side == OURS and share else "",
    )


def _line(first: str, *cells: str) -> str:
    return f"{first:34}" + "".join(f"{cell:>10}" for cell in cells)


def source() -> str:
    """The commit that was measured; '-dirty' where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    print(markdown(read(RESULTS)))
