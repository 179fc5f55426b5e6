r"""What a GPU changes: jaxart beside PyTorch and Captum, on the device at hand.

  pip install -e '.[bench]'
  python -m benchmarks.gpu
  python -m benchmarks.gpu --smoke     # tiny sizes, on any device: does it run?

Networks, training steps and maps in TF32, bfloat16 and float32: each piece of work is
timed on every side in turn, with what it works on in the device's memory. Then the same
numbers on CPU and GPU, and whole commands, files to results. The figures are in
benchmarks/results/gpu.json. Nothing else should run meanwhile.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import functools
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import flops, report, runner
from benchmarks.machine import Clock
from benchmarks.sides.accelerator import Piece
from benchmarks.workloads import WORKLOADS, Call, Setup
from jaxart.models import MODELS

PEERS = ("eager", "channels_last", "compiled+channels_last")
COMMANDS = ("w1_alexnet", "w3")


def pieces(*, smoke: bool) -> list[Piece]:
    """The pieces of work; what matters most comes first."""
    if smoke:
        make = functools.partial(Piece, precision="float32", count=1)
        return [
            Piece("product", "bfloat16", 64),
            make("forward", network="alexnet", layers=("relu6",)),
            make("maps", network="alexnet", method="gradient"),
            make("train", network="alexnet", layers=("fc8",)),
        ]
    made = []
    for precision in ("tf32", "bfloat16", "float32"):
        make = functools.partial(Piece, precision=precision)
        maps = functools.partial(make, "maps", network="vgg16")
        at_once = functools.partial(maps, count=8, at_once=64)
        made += [
            make("product", count=8192),
            make("forward", count=256, network="alexnet", layers=("relu6",)),
            make("forward", count=64, network="vgg16", layers=("fc8",)),
            maps(count=32, method="gradient"),
            make("train", count=128, network="alexnet"),
            at_once(method="smoothgrad", samples=25),
            at_once(method="integrated_gradients", samples=50),
        ]
        if precision == "tf32":
            made += [
                make("train", count=128, network="alexnet", layers=("fc7", "fc8")),
                maps(count=32, method="guided_backprop"),
                maps(count=32, method="grad_cam"),
                maps(count=4, at_once=64, method="occlusion"),
            ]
    return made


def work_of(piece: Piece) -> float:
    """Operations of a call; 0 where they are not counted."""
    if piece.kind == "product":
        return 2.0 * piece.count**3
    model = MODELS[piece.network]()
    if piece.kind == "forward":
        (upto,) = piece.layers
        return piece.count * flops.forward(model, upto.replace("relu", "fc"))
    if piece.kind == "maps" and piece.method not in ("occlusion", "grad_cam"):
        return piece.count * piece.samples * 2 * flops.forward(model)
    return 0.0


def time_pieces(
    made: list[Piece], weights: dict[str, str], rounds: int, seconds: float
) -> Iterator[dict[str, Any]]:
    """Times pieces, as many as `seconds` allow; see `summary` for each."""
    settings = {
        "pieces": [dataclasses.asdict(piece) for piece in made],
        "rounds": rounds,
        "weights": weights,
    }
    calls = {runner.OURS: Call("accelerator_ours:run", settings)} | {
        peer: Call("accelerator_torch:run", settings | {"variant": peer})
        for peer in PEERS
    }
    end = time.perf_counter() + seconds
    with contextlib.ExitStack() as stack:
        sides = {n: stack.enter_context(runner.Side(c)) for n, c in calls.items()}
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor())
        for piece in made:
            if time.perf_counter() > end:
                runner.say(f"  no time was left for {piece}")
                continue
            # Ours alone: XLA chooses its kernels by timing them.
            first = {runner.OURS: sides[runner.OURS].ask()}
            first |= zip(PEERS, pool.map(lambda p: sides[p].ask(), PEERS), strict=True)
            able = [name for name in sides if "error" not in first[name]]
            yield summary(
                piece,
                first,
                [{name: sides[name].ask() for name in able} for _ in range(rounds)],
            )


def summary(
    piece: Piece, first: dict[str, Any], rounds: list[dict[str, Any]]
) -> dict[str, Any]:
    """Median seconds by side, ratios within rounds, what agrees, and what failed."""
    seconds = {
        name: [r[name]["seconds"]["call"][0] for r in rounds] for name in rounds[0]
    }
    ours = seconds.get(runner.OURS)
    peers = [name for name in seconds if ours and name != runner.OURS]
    checks = {name: first[name]["check"] for name in seconds}
    return {
        **dataclasses.asdict(piece),
        "flops": work_of(piece),
        "seconds": {name: statistics.median(s) for name, s in seconds.items()},
        "spread": {name: [min(s), max(s)] for name, s in seconds.items()},
        "ratios": {
            peer: statistics.median(
                theirs / own for theirs, own in zip(seconds[peer], ours, strict=True)
            )
            for peer in peers
        },
        "agreement": {
            peer: runner.difference(checks[runner.OURS], checks[peer])
            for peer in peers
            if checks[runner.OURS]
        },
        "prepare_seconds": {n: first[n]["prepare_seconds"] for n in seconds},
        "program_bytes": {n: first[n]["program_bytes"] for n in seconds},
        "errors": {n: a["error"] for n, a in first.items() if "error" in a},
    }


def line(done: dict[str, Any], rates: dict[str, float]) -> str:
    """A piece's line; `rates` has each precision's operations a second."""
    words = (done[key] for key in ("precision", "kind", "network", "method"))
    name = " ".join([*filter(None, words), *done["layers"], f"x{done['count']}"])
    ours = done["seconds"].get(runner.OURS)
    said = f"{1e3 * ours:9.3f} ms" if ours else "failed"
    if ours and done["flops"] and done["precision"] in rates:
        said += f" {done['flops'] / ours / rates[done['precision']]:5.0%}"
    said += "".join(f"  {peer} {ratio:.2f}" for peer, ratio in done["ratios"].items())
    said += "".join(f"  ({n}: {e[:120]})" for n, e in done["errors"].items())
    ready = " ".join(f"{s:.0f}" for s in done["prepare_seconds"].values())
    return f"{name:50} {said}  ready in {ready} s"


def markdown(result: dict[str, Any]) -> str:
    """The README's table: each piece that has a peer, and each command."""
    lines = [
        "| work | jaxart | PyTorch's best variant | ratio | to its other variants |",
        "|---|---|---|---|---|",
    ]
    for done in result["pieces"]:
        ratios = done["ratios"]
        if done["kind"] == "product" or not ratios:
            continue
        best = min(ratios, key=ratios.__getitem__)
        words = (done[key] for key in ("network", "kind", "method"))
        name = " ".join([*filter(None, words), *done["layers"]])
        speed = {n: f"{done['count'] / t:,.0f}" for n, t in done["seconds"].items()}
        others = ", ".join(f"{n} {r:.2f}" for n, r in ratios.items() if n != best)
        lines.append(
            f"| {name}, {done['precision']}, batch {done['count']} "
            f"| {speed[runner.OURS]} images/s | {best}: {speed[best]} images/s "
            f"| **{ratios[best]:.2f}** | {others} |"
        )
    reports = [result[name] for name in COMMANDS if name in result]
    return "\n".join([*lines, *report.markdown(reports).splitlines()[2:]])


def main(argv: list[str] | None = None) -> None:
    """Runs what the flags describe."""
    args = parse(argv)
    # All sides' processes are on one device: none may take all of its memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    cache, out = Path(args.cache_dir).absolute(), Path(args.out)
    setup = Setup(cache=cache, saliency_images=512, quick=args.smoke)
    networks = ("alexnet",) if args.smoke else ("alexnet", "vgg16")
    weights = {name: setup.weights_of(name) for name in networks}
    rounds = 1 if args.smoke else args.rounds

    about = runner.run_call(Call("parity:device", {}))
    runner.say(f"on {about['device']}")
    result = {
        "workload": "gpu",
        "device": about["device"],
        "versions": about["versions"],
        "source": report.source(),
        "pieces": [],
        "parity": {},
    }
    rates = {}
    made = pieces(smoke=args.smoke)
    for done in time_pieces(made, weights, rounds, 60 * args.minutes):
        result["pieces"].append(done)
        if done["kind"] == "product":
            rates[done["precision"]] = done["flops"] / min(done["seconds"].values())
        runner.say(line(done, rates))
        report.write(out, result)
    for name in networks:
        settings = {"weights": weights[name], "count": 1 if args.smoke else 4}
        answer = runner.run_call(Call("parity:run", settings))
        result["parity"][name] = answer["differences"]
        runner.say(f"parity, {name}: {answer['differences']}")
        report.write(out, result)
    for name in COMMANDS[: 1 if args.smoke else None]:
        start = Clock.now()
        workload = WORKLOADS[name](setup)
        for peer in [peer for peer in workload.peers if "compiled" in peer]:
            del workload.peers[peer]  # compiling takes longer than the rest
        ran = runner.run_rounds(workload, 1 if args.smoke else 2)
        taken = start.taken(Clock.now())
        result[name] = report.make(name, workload, ran, taken=taken, left_out={})
        report.write(out, result)
    runner.say(report.table(result[name] for name in COMMANDS if name in result))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--smoke", action="store_true", help="tiny sizes: does everything run?")
    add("--rounds", type=int, default=5, help="how often each side runs (5)")
    add("--minutes", type=float, default=5, help="for the pieces (5)")
    report.add_folders(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
