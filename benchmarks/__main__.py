r"""Compares jaxart with PyTorch and Captum on this machine, workload by workload.

  pip install -e '.[bench]'
  python -m benchmarks
  python -m benchmarks --only=w2_alexnet,w3 --rounds=5 \
      --data=paintings.txt --image_root=DIR --vgg16_weights=vgg16.safetensors

Each side runs in a process of its own, in turn with the others. Nothing else should
run meanwhile. The results are in benchmarks/results, a JSON file for each workload.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

from benchmarks import report, runner
from benchmarks.machine import Clock
from benchmarks.workloads import WORKLOADS, Call, Setup, Workload

INSTALL = "pip install 'captum>=0.7' 'torch>=2.5'"
NO_PEER_LIBRARY = ("w5", "w5_profile", "w6")


def main(argv: list[str] | None = None) -> None:
    """Runs what the flags describe."""
    args = parse(argv)
    names = args.only.split(",") if args.only else list(WORKLOADS)
    for name in names:
        if name not in WORKLOADS:
            sys.exit(
                f"benchmarks: no workload {name!r}; there are {', '.join(WORKLOADS)}"
            )
    if set(names) - set(NO_PEER_LIBRARY):
        check_peer()
    weights = {"alexnet": args.alexnet_weights, "vgg16": args.vgg16_weights}
    setup = Setup(
        cache=Path(args.cache_dir).absolute(),
        data=args.data and str(Path(args.data).absolute()),
        image_root=args.image_root and str(Path(args.image_root).absolute()),
        weights={name: str(Path(w).absolute()) for name, w in weights.items() if w},
        epochs=args.epochs,
        peer_epochs=args.peer_epochs,
        peer_images=args.peer_images,
        saliency_images=args.saliency_images,
        quick=args.quick,
    )
    reports = []
    for name in names:
        workload, left_out = without_what_fails(WORKLOADS[name](setup))
        runner.say(f"{name}: {workload.title}")
        start = Clock.now()
        rounds = runner.run_rounds(workload, args.rounds or workload.rounds)
        taken = start.taken(Clock.now())
        reports.append(
            report.make(name, workload, rounds, taken=taken, left_out=left_out)
        )
        runner.say(f"  {report.write(Path(args.out), reports[-1])}")
    print(report.table(reports))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", default="", help=f"any of {','.join(WORKLOADS)}; all by default")
    add("--rounds", type=int, default=0, help="how often each side runs (3 to 15)")
    add("--quick", action="store_true", help="tiny sizes: does everything run?")
    add("--data", default="", help="folder or list of images; paintings by default")
    add("--image_root", default="", help="where relative paths of a list start")
    for name in ("alexnet", "vgg16"):
        add(
            f"--{name}_weights",
            default="",
            help="a converted file with all layers; random by default",
        )
    add("--epochs", type=int, default=10, help="of fine-tuning (10)")
    add("--peer_epochs", type=int, default=1, help="how many the peer runs (1)")
    add(
        "--peer_images",
        type=int,
        default=128,
        help="training images that the peer runs through VGG16 (128)",
    )
    add("--saliency_images", type=int, default=64, help="images of w3 (64)")
    report.add_folders(parser)
    return parser.parse_args(argv)


def check_peer() -> None:
    """Stops with one sentence where the peer's libraries are missing."""
    missing = [m for m in ("torch", "captum") if importlib.util.find_spec(m) is None]
    if missing:
        sys.exit(
            f"benchmarks: the peer needs {' and '.join(missing)}: {INSTALL} "
            f"(--only={','.join(NO_PEER_LIBRARY)} does without)"
        )


def without_what_fails(workload: Workload) -> tuple[Workload, dict[str, str]]:
    """Leaves out compiled variants where torch.compile does not work; says why."""
    compiled = [name for name in workload.peers if "compiled" in name.split("+")]
    if not compiled:
        return workload, {}
    reason = runner.run_call(Call("torch_networks:try_compile", {}))["reason"]
    if not reason:
        return workload, {}
    for name in compiled:
        del workload.peers[name]
    return workload, {name: reason for name in compiled}


if __name__ == "__main__":
    main()
