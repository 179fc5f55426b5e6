"""One side of a workload in its own process: `python -m benchmarks.child CALL FD`.

CALL is a JSON object {"function": "module:name", "settings": {...}}. The function gives
{"seconds": {measure: [s, ...]}, ...}; that, with the process's peak memory, goes as a
line of JSON to the file descriptor FD.

A function that returns such a dict answers once. A generator gets ready once and
answers again for every further line on standard input.
"""

import importlib
import json
import os
import sys
from collections.abc import Generator

from benchmarks import machine
from jaxart.cli import start


def main(call: str, descriptor: str) -> None:
    """Answers, and again as long as it is asked and has more to say."""
    call = json.loads(call)
    module, name = call["function"].split(":")
    start.keep_compiled_programs()  # as torch.compile does by itself
    answers = getattr(importlib.import_module(module), name)(**call["settings"])
    again = isinstance(answers, Generator)
    if not again:
        answers = iter([answers])
    with os.fdopen(int(descriptor), "w") as out:
        for _ in sys.stdin:
            answer = next(answers) | {"again": again}
            answer.setdefault("peak_memory_bytes", machine.peak_memory())
            print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
