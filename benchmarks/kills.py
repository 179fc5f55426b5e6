"""Stops commands at random moments; what the same command then makes is compared.

    python -m benchmarks.kills [--training_kills=100 --training_terms=30 ...]

Of SIGKILL and SIGTERM, half come at a moment of the command's time, and half just
after one of its files has appeared, when it writes. The same command is started again,
and perhaps stopped again, until it ends; then all that it made is compared, bit by bit,
with what one made that nobody stopped. Writes kills.json into benchmarks/results;
where anything differs, a line says what, and the status is 1.

Commands are forks of a process that has imported everything, which saves seconds each;
every eighth begins with the imports. The network is a tiny one.
"""

import argparse
import datetime
import math
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import machine
from benchmarks.outcomes import (
    differences,
    names_in,
    read_files,
    read_or_fault,
    read_training,
    what_is_wrong,
)
from jaxart.storage.results import write_json

RESULTS = Path(__file__).parent / "results"
PER_STYLE, SIDE = 3, 64  # pictures, pixels
JOB_MODULES = [
    "jaxart.cli.saliency",
    "jaxart.cli.predict",
    "jaxart.cli.train",
    "jaxart.cli.wikiart_curate",
    "jaxart.paintings.curate.curation",
    "jaxart.predict.run",
    "jaxart.report.writing",
    "jaxart.saliency.run",
    "jaxart.training.loop",
    "tests.tiny_command",
]
NEVER = math.inf
SLOW_STARTS = 8  # one in so many begins with the imports
LONGEST = 300.0  # seconds that a command may go on after a signal
SAVED = re.compile(r"saved at step (\d+); the same command goes on")
RESUMED = re.compile(r"Resuming \S+ after step (\d+) of")


class Moment(NamedTuple):
    """Of a command: one of the two, or both of its end."""

    seconds: float = NEVER  # since it began
    files: float = NEVER  # that have appeared


class Job(NamedTuple):
    """A command, the signals that stop it, and what a finished one has made."""

    words: list[str]
    signals: list[signal.Signals]
    read: Callable[[Path], dict[str, Any]]


class Whole(NamedTuple):
    """Of commands that nobody stops."""

    made: dict[str, Any]
    extents: dict[bool, Moment]  # of forks, and of slow starts
    end: str  # what they say last


class Campaign(NamedTuple):
    """What became of a job's trials."""

    sent: dict[str, int]
    trials: int
    starts: int
    equal: int
    seconds: float
    faults: list[str]


def command(words: list[str], folder: Path, log: Path) -> None:
    """What a process does: `jaxart WORDS` in a folder, and its exit status."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.chdir(folder)
    from jax._src import xla_bridge  # noqa: PLC0415  (a slow start imports it here)

    from jaxart.__main__ import main as jaxart  # noqa: PLC0415
    from tests import tiny_command  # noqa: F401, PLC0415

    assert not xla_bridge.backends_are_initialized(), "forked too late"
    sys.exit(jaxart(words))


def start(words: list[str], folder: Path, log: Path, *, slowly: bool) -> Any:
    context = multiprocessing.get_context("spawn" if slowly else "forkserver")
    process = context.Process(target=command, args=(words, folder, log))
    process.start()
    return process


def watch(process: Any, folder: Path, until: Moment) -> Moment:
    """Waits for a moment, or the process's end; says when that was."""
    begin = time.monotonic()
    if until.seconds < NEVER:
        process.join(until.seconds)
        return Moment(time.monotonic() - begin)
    names, count = set(names_in(folder)), 0
    while True:
        now = set(names_in(folder))
        count += len(now - names)
        names = now
        if process.exitcode is not None or count >= until.files:
            return Moment(time.monotonic() - begin, count)
        time.sleep(0.002)


def draw_moment(rng: random.Random, whole: Moment) -> Moment:
    """A time of a command that takes as long as `whole`, or one of its files."""
    if rng.random() < 0.5:
        return Moment(seconds=rng.uniform(0, whole.seconds))
    return Moment(files=rng.randint(1, int(whole.files)))


def run_campaign(job: Job, folder: Path, rng: random.Random) -> Campaign:
    """Trials until all of a job's signals are sent: each is one folder's command."""
    begin = time.monotonic()
    whole = run_whole(job, folder)
    left, faults = list(job.signals), []
    rng.shuffle(left)
    trials = starts = equal = 0
    while left:
        trials += 1
        place = folder / str(trials)
        place.mkdir()
        num_starts, said = run_trial(job, place, left, whole, rng)
        starts += num_starts
        said += differences(whole.made, read_or_fault(job.read, place / "work"))
        equal += not said
        faults += [f"{place}: {line}" for line in said]
        if not said:
            shutil.rmtree(place)
    sent = {number.name: job.signals.count(number) for number in set(job.signals)}
    return Campaign(sent, trials, starts, equal, time.monotonic() - begin, faults)


def run_whole(job: Job, folder: Path) -> Whole:
    """Commands that nobody stops.

    Raises:
      AssertionError: two of them differ, or one fails.
    """
    made, extents = [], {}
    for name, slowly in (("first", False), ("forked", False), ("slow", True)):
        place = folder / name
        (place / "work").mkdir(parents=True)
        process = start(job.words, place / "work", place / "log", slowly=slowly)
        extents[slowly] = watch(process, place / "work", Moment())
        assert process.exitcode == 0, (place / "log").read_text()
        made.append(job.read(place / "work"))
    for other in made[1:]:
        assert not differences(made[0], other), differences(made[0], other)
    return Whole(made[0], extents, (place / "log").read_text().splitlines()[-1])


def run_trial(
    job: Job,
    place: Path,
    left: list[signal.Signals],
    whole: Whole,
    rng: random.Random,
) -> tuple[int, list[str]]:
    """Starts a command until it ends, with signals from `left`; gives its starts.

    Also gives what was wrong: another status, a traceback, steps that were lost.
    """
    (place / "work").mkdir()
    said, saved, count = [], [], 0
    while True:
        count += 1
        log = place / f"{count}.log"
        slowly = rng.randrange(SLOW_STARTS) == 0
        process = start(job.words, place / "work", log, slowly=slowly)
        until = draw_moment(rng, whole.extents[slowly]) if left else Moment()
        moment = watch(process, place / "work", until)
        sent = 0
        if left and process.exitcode is None:
            sent = left[-1]
            os.kill(process.pid, sent)
        process.join(LONGEST)
        text = log.read_text() if log.exists() else ""
        wrong = what_is_wrong(process.exitcode, sent, text, whole.end)
        resumed = RESUMED.findall(text)
        if saved and resumed != saved and (resumed or process.exitcode == 0):
            wrong.append(f"saved at step {saved}, went on after {resumed}")
        saved = SAVED.findall(text) or ([] if resumed else saved)
        said += [f"start {count}, signal {sent} after {moment}: {x}" for x in wrong]
        if not (sent and process.exitcode):  # or it hangs, which is wrong
            process.kill()
            return count, said
        left.pop()


def make_jobs(pictures: Path, run: Path, args: argparse.Namespace) -> dict[str, Job]:
    """The commands; those of a network have that of the folder `run`."""
    kill, term = signal.SIGKILL, signal.SIGTERM
    training = [
        *("train", "--config=demo", "--config.model=tinynet", "--config.hidden=16,16"),
        *(f"--config.train_data={pictures}", "--config.val_fraction=0.25"),
        *("--config.batch_size=4", "--config.num_epochs=4", "--workdir=run"),
        *("--config.train_layers=fc7,fc8", "--config.cache_dir=cache"),
        *("--config.views=whole,bottom_right_mirrored", "--config.momentum=0.9"),
        *("--config.learning_rate=0.001", "--config.weight_decay=0.01"),
        *("--config.check_leaks=false", "--config.display_step=2"),
    ]
    network = [f"--workdir={run}", f"--images={pictures}"]
    network += ["--batch_size=4", "--part_size=4"]
    saliency = ["saliency", "--out=out", "--method=grad_cam", "--save=npy,heatmap"]
    predict = ["predict", "--out=out/table.csv", "--features=pool5"]
    curate = ["wikiart", "curate", f"--src={pictures}", "--out=out", "--split=random"]

    def signals(count: int) -> list[signal.Signals]:
        return [kill] * (count - count // 4) + [term] * (count // 4)

    stops = [kill] * args.training_kills + [term] * args.training_terms
    return {
        "training": Job(training, stops, read_training),
        "saliency": Job([*saliency, *network], signals(args.saliency), read_files),
        "predict": Job([*predict, *network], signals(args.predict), read_files),
        "curate": Job(curate, signals(args.curate), read_files),
    }


def main(argv: list[str] | None = None) -> int:
    """Stops, compares, writes and prints; 1 where something differs."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kills",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    counts = {"training_kills": 100, "training_terms": 30}
    counts |= {"saliency": 50, "predict": 30, "curate": 30}
    for name, count in counts.items():
        parser.add_argument(f"--{name}", type=int, default=count, help="signals")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--folder", type=Path, help="where to work, and stay on faults")
    parser.add_argument("--out", type=Path, default=RESULTS, help="for kills.json")
    args = parser.parse_args(argv)
    from benchmarks import material  # noqa: PLC0415  (not in a command's process)

    folder = args.folder or Path(tempfile.mkdtemp(prefix="kills-"))
    os.environ |= {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "xla"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    multiprocessing.get_context("forkserver").set_forkserver_preload(JOB_MODULES)
    pictures = Path(material.paintings(folder, PER_STYLE, SIDE).train_data)
    network = folder / "training" / "forked" / "work" / "run"
    campaigns = {}
    print("| job | signals | trials | starts | bit-equal | seconds |")
    print("|---|---|---|---|---|---|")
    for name, job in make_jobs(pictures, network, args).items():
        done = run_campaign(job, folder / name, random.Random(args.seed))
        campaigns[name] = done._asdict()
        sent = ", ".join(f"{count} {number}" for number, count in done.sent.items())
        numbers = f"{done.trials} | {done.starts} | {done.equal} | {done.seconds:.0f}"
        print(f"| {name} | {sent} | {numbers} |", flush=True)
    faults = [line for done in campaigns.values() for line in done["faults"]]
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    about = {"date": date, "machine": machine.describe(), "seed": args.seed}
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / "kills.json", about | campaigns)
    print(*faults, sep="\n")
    if not faults:
        shutil.rmtree(folder)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
