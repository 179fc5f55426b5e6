"""What a user is told of an error: one line, whatever it is. Without JAX."""

import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

import platformdirs

import jaxart
from jaxart.paintings.download.errors import WikiartError
from jaxart.storage import disk

# Their messages are for people; any other error is a fault of jaxart's own.
KNOWN_ERRORS = (ValueError, OSError, ImportError, FloatingPointError, WikiartError)

_MOST_CHARACTERS = 300  # of an error that is not ours


def explain(error: BaseException) -> str:
    """What is wrong, and what to do; of a fault, also where its trace is."""
    if disk.is_full(error):
        if isinstance(error, disk.DiskFullError):
            return str(error)
        name = getattr(error, "filename", None)
        if isinstance(name, str | bytes):
            path = Path(os.fsdecode(name))
            return f"{path}: {disk.describe(path, error)}"
        return f"a disk is full ({_one_line(error)}): {disk.REMEDY}"
    if _is_want_of_memory(error):
        return (
            f"out of memory ({_one_line(error)}): a smaller --batch_size needs less "
            "(in training --config.batch_size, or more --config.accumulate_steps)"
        )
    if isinstance(error, KNOWN_ERRORS):
        return str(error)
    return report(error)


def report(error: BaseException) -> str:
    """Writes an error's trace to a file; says that it is jaxart's fault, and where."""
    what = f"a fault of jaxart's own: {_one_line(error)}"
    trace = "".join(traceback.format_exception(error))
    name = f"fault-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    about = f"jaxart {jaxart.__version__}, Python {sys.version}\n{sys.argv}\n\n"
    for folder in (platformdirs.user_log_path("jaxart"), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / name
            path.write_text(about + trace, "utf-8", "backslashreplace")
        except OSError:
            continue
        return f"{what}; please report it: the full trace is in {path}"
    return f"{what}; please report it with its trace:\n{trace}"


def _is_want_of_memory(error: BaseException) -> bool:
    """Whether the machine lacks memory: Python says so, or XLA, whose error has JAX."""
    is_of_xla = isinstance(error, RuntimeError | ValueError)
    return isinstance(error, MemoryError) or (
        is_of_xla and str(error).startswith("RESOURCE_EXHAUSTED")
    )


def _one_line(error: BaseException) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text[:_MOST_CHARACTERS].removesuffix(":")
