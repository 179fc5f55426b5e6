"""One side of a workload in its own process: `python -m benchmarks.child CALL OUT`.

CALL is a JSON object {"function": "module:name", "settings": {...}}. The function
gives {"seconds": {measure: [s, ...]}, ...}; that and the process's peak memory are
written to OUT.
"""

import importlib
import json
import sys
from pathlib import Path

from benchmarks import machine


def main(call: str, out: str) -> None:
    """Runs what is asked for."""
    call = json.loads(call)
    module, name = call["function"].split(":")
    function = getattr(importlib.import_module(module), name)
    result = function(**call["settings"])
    result.setdefault("peak_memory_bytes", machine.peak_memory())
    Path(out).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
