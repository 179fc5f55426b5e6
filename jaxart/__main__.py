"""`jaxart JOB`, or `python -m jaxart JOB`: the jobs, and how each begins and ends.

A job is a module of `jaxart.cli`, imported when it is asked for: `parse(words)` makes
something of the command line, `run(flags)` does it and returns the exit status, and
`STOPPED` is what a user should know who has stopped it.
"""

import difflib
import importlib
import sys
from collections.abc import Sequence

from tqdm.contrib.logging import logging_redirect_tqdm

import jaxart
from jaxart.cli import faults, start, streams
from jaxart.cli.flags import FlagError

# Each in a line. A job's module has its name, with _ for a space.
JOBS = {
    "train": "fine-tune a network on paintings",
    "predict": "say what images show: a table of the best classes of each",
    "saliency": "explain what a network looks at, for whole folders of images",
    "class_model": "draw the image that a class is, to a network",
    "app": "look at a picture with a network, in the browser",
    "report": "show what became of a run, or of several, on one page",
    "export": "write a network for other programs: ONNX, StableHLO, weights",
    "push": "share a run on the Hugging Face hub, with a model card",
    "convert": "make weight files of public ones; fetch and check them",
    "wikiart download": "fetch paintings by style",
    "wikiart curate": "make a data set: each painting once, a clean split",
    "wikiart inspect": "count a data set, and look for leaks between its lists",
}


def main(words: Sequence[str] | None = None) -> int:
    """Runs the job of a command line, of this process's where no words are given.

    Returns:
      The exit status: 0, or 1 after an error, or 130 where the user stopped it, or 128
      and the number of another signal. That nobody reads what it prints is no error.
    """
    with streams.kept():
        return _run(sys.argv[1:] if words is None else words)


def _run(words: Sequence[str]) -> int:
    stopped = ""
    try:
        try:
            name, rest = find(words)
            job = importlib.import_module(f"jaxart.cli.{name.replace(' ', '_')}")
            stopped = f"; {job.STOPPED}"
            flags = job.parse(rest)
            with logging_redirect_tqdm([start.set_up()]):
                return job.run(flags)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt as error:  # also a `stopping.Stopped`
        stopped = f"; {error}" if str(error) else stopped
        print(f"\njaxart: stopped{stopped}", file=sys.stderr)
        return getattr(error, "status", 130)
    except Exception as error:
        print(f"jaxart: {faults.explain(error)}", file=sys.stderr)
        return 1


def find(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The job that a command line begins with, and the words behind it.

    --help and --version are answered here.

    Raises:
      FlagError: it begins with no job; names the near one, or all.
    """
    for count in (1, 2):
        name = " ".join(words[:count])
        if name in JOBS:
            return name, words[count:]
    first, *rest = *words, ""
    group = {name: text for name, text in JOBS.items() if name.startswith(f"{first} ")}
    if first == "--version":
        print(f"jaxart {jaxart.__version__}")
        sys.exit()
    if first in ("-h", "--help") or (group and rest[0] in ("-h", "--help")):
        print(describe(group or JOBS))
        sys.exit()
    names = list(group or JOBS)
    word = " ".join(words[:2]) if group and rest[0] else "" if group else first
    near = difflib.get_close_matches(word, names, n=1)
    hint = f"did you mean `jaxart {near[0]}`?" if near else f"one of {', '.join(names)}"
    raise FlagError(f"{word!r} is no job: {hint}" if word else f"which job? {hint}")


def describe(jobs: dict[str, str]) -> str:
    lines = "\n".join(f"  {name:<18}{text}" for name, text in jobs.items())
    return (
        f"{jaxart.__doc__}\n\nusage: jaxart JOB [--flag=value ...]\n\n{lines}\n\n"
        "`jaxart JOB --help` says more; `jaxart --version` which jaxart this is."
    )


if __name__ == "__main__":
    sys.exit(main())
