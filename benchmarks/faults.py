"""What can go wrong around jaxart, fault by fault: does it end in a line, and go on?

  python -m benchmarks.faults            # all, in some minutes
  python -m benchmarks.faults --only=B5

Each fault is brought about by tests, which are run here by its name. What is promised
is in docs/reliability.md. The campaigns of chance are `benchmarks.kills` and
`benchmarks.mutated`.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# By name: the test files, and which of their tests, as pytest's -k has it.
FAULTS = {
    "A1 pictures go, or change, while features are computed": (
        "data/test_features.py",
        "do_not_prove or reasons",
    ),
    "A2 stored rows, records, looks are damaged": (
        "data/test_features.py data/test_files.py passes predict saliency/test_run.py",
        "damaged or damage",
    ),
    "A2 checkpoints and frozen layers are damaged": ("test_runs.py", "damaged"),
    "A2 weight files are damaged": ("weights/test_canonical.py", "damaged"),
    "A2 config.json, tables and the like are broken": (
        "cli/test_damaged.py storage/test_results.py",
        "broken",
    ),
    "A3 links, foreign caches, and names that lead elsewhere": (
        "storage/test_private.py passes saliency/test_run.py paintings",
        "link or another_user or users_alone or believed or elsewhere or leads_out",
    ),
    "B4 the disk is full": (
        "cli/test_full_disk.py training/test_full_disk.py storage/test_disk.py "
        "data/test_features.py weights/test_downloads.py",
        "disk or room",
    ),
    "B5 SIGTERM, Ctrl-C": (
        "devices/test_stopping.py training/test_loop.py devices/test_scaling.py "
        "saliency/test_main.py",
        "signal or told_to_stop or second_one or killed_again",
    ),
    "B6 two at once": (
        "training/test_loop.py passes data/test_procedural.py data/test_files.py",
        "second_training or held or at_once or two_writers",
    ),
    "B7 jaxart's own faults, and nobody who reads": (
        "cli/test_jobs.py",
        "fault or trace or reads or output or machine",
    ),
    "B7 pictures go between two epochs": (
        "training/test_inputs.py data/test_pipeline.py",
        "go_during or breaks_or_goes",
    ),
    "B8 a process of several is killed": ("devices/test_scaling.py", "killed"),
    "C9 formats that start programs": ("data/test_formats.py", ""),
    "C10 huge pictures, and bombs": (
        "data/test_bombs.py data/test_strips.py data/test_damage.py",
        "",
    ),
    "C11 pictures that cannot be drawn at their size": (
        "saliency/test_run.py",
        "longer_than or error_of_one",
    ),
    "C12 pipes, devices and folders in a list": ("storage/test_regular.py", ""),
    "D13 nan and inf": (
        "cli/test_flags.py training storage/test_results.py",
        "finite or overflows",
    ),
    "D14 formulas in tables, long names": (
        "cli/test_damaged.py cli/test_long_names.py storage/test_results.py",
        "formula or long_name or as_they_were",
    ),
    "D15 half-made checkpoints": ("test_runs.py", "passed_over"),
    "D16 what killed writers left": (
        "storage/test_beside.py storage/test_presence.py data/test_features.py",
        "left or dead",
    ),
    "E17 a run goes on with other settings": (
        "training/test_resuming.py",
        "fixed or steps or schedule or epochs or record",
    ),
    "E18 a run goes on with other images": ("training", "images"),
    "E19 reasons that say something": ("data/test_reasons.py", ""),
}


def main(words: list[str] | None = None) -> None:
    """Runs the faults, and prints each with what became of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="what their names begin with")
    only = parser.parse_args(words).only
    names = [name for name in FAULTS if name.startswith(only)]
    if not names:
        sys.exit(f"--only={only}: there are {', '.join(FAULTS)}")
    begun = time.monotonic()
    failed = [name for name in names if not bring_about(name)]
    print(f"{len(names)} faults in {time.monotonic() - begun:.0f} s")
    if failed:
        sys.exit(f"not as promised: {', '.join(failed)}")


def bring_about(name: str) -> bool:
    """Runs a fault's tests, slow ones too; whether all went as promised."""
    files, expression = FAULTS[name]
    paths = [str(ROOT / "tests" / file) for file in files.split()]
    chosen = ["-k", expression] if expression else []
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--no-header", *chosen, *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    counts = ended.stdout.strip().splitlines()[-1].strip("= ")
    print(
        f"{'ok' if not ended.returncode else 'FAILED':<7}{name}: {counts}", flush=True
    )
    if ended.returncode:
        print(ended.stdout[-3000:], file=sys.stderr)
    return not ended.returncode


if __name__ == "__main__":
    main()
