"""Reads weight files in a process that watches what reading does; prints JSON lines.

    python -m tests.weights.guarded_reader FOLDER

A line for each file of the folder: what came of it, and what Python did meanwhile that
a reader has no business doing. The last line has the growth of the peak memory.
"""

import codecs
import json
import os
import resource
import sys
import time
from pathlib import Path

import h5py  # noqa: F401
import onnx  # noqa: F401

from jaxart.models import VGG16
from jaxart.weights import WeightsError, sources

# https://docs.python.org/3/library/audit_events.html
FORBIDDEN = (
    *("exec", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn"),
    *("subprocess.Popen", "socket.connect", "socket.getaddrinfo", "ctypes.dlopen"),
    *("os.remove", "os.rename", "os.mkdir", "os.link", "os.symlink", "shutil.rmtree"),
    *("pickle.find_class", "marshal.loads", "code.__new__"),
)


def main(folder: Path) -> None:
    paths = sorted(folder.iterdir())
    for path in paths[:1]:  # what is imported late is imported now
        outcome(path)
    for name in ("cp437", "raw_unicode_escape", "unicode_escape"):
        codecs.lookup(name)
    watched: list[str] = []
    allowed = {str(path) for path in paths}

    def watch(event, arguments):
        if event in FORBIDDEN:
            watched.append(f"{event} {arguments!r:.100}")
        elif event == "open" and str(arguments[0]) not in allowed:
            watched.append(f"open {arguments[0]!r:.100}")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.addaudithook(watch)
    for path in paths:
        watched.clear()
        start = time.process_time()
        kind, message = outcome(path)
        line = {
            "name": path.name,
            "outcome": kind,
            "message": message,
            "seconds": time.process_time() - start,
            "watched": list(watched),
        }
        print(json.dumps(line))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"grown_bytes": (after - before) * 1024}), flush=True)
    os._exit(0)


def outcome(path: Path) -> tuple[str, str]:
    try:
        params = sources.read(path, VGG16()).params
    except WeightsError as error:
        return "refused", str(error)
    except BaseException as error:
        return "crashed", f"{type(error).__name__}: {error}"
    return "read", str({name: pair["kernel"].shape for name, pair in params.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
