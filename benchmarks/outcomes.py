"""What a command has made, by name: two that made the same are equal, bit by bit."""

import hashlib
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# What two runs of a command need not share: how long it took, and in how many starts.
VARYING = {"images_per_second", "peak_memory_bytes", "counts"}
# Of a run's folder, that has its arrays and curves read, or tells of times.
READ_OTHERWISE = re.compile(
    r"run/(checkpoints/[^/]+/|frozen/|events|sessions|report\.html)|cache/.*sqlite"
)


def differences(whole: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Of what two commands made, by name."""
    return [
        f"{name} differs: {whole.get(name)!s:.200} and {other.get(name)!s:.200}"
        for name in sorted(whole.keys() | other.keys())
        if whole.get(name) != other.get(name)
    ]


def read_files(folder: Path) -> dict[str, Any]:
    """All below a folder, by name: contents, without times."""
    made = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not READ_OTHERWISE.match(name):
            made[name] = read_file(path)
    return made


def read_file(path: Path) -> Any:
    if path.name not in ("run.json", "result.json"):
        return digest(path.read_bytes())
    fields = json.loads(path.read_text())
    return {
        name: value
        for name, value in fields.items()
        if name not in VARYING and not name.endswith("seconds")
    }


def read_training(folder: Path) -> dict[str, Any]:
    """As `read_files`, with the last checkpoint's arrays, and TensorBoard's curves.

    Which checkpoints are kept beside it depends on where a run was stopped.
    """
    import jax  # noqa: PLC0415  (these not in a command's process)
    import numpy as np  # noqa: PLC0415
    import orbax.checkpoint as ocp  # noqa: PLC0415

    from tests import events  # noqa: PLC0415

    made = read_files(folder)
    checkpoints = list((folder / "run" / "checkpoints").iterdir())
    made["no checkpoint"] = sorted(x.name for x in checkpoints if not x.name.isdigit())
    last = max(int(x.name) for x in checkpoints if x.name.isdigit())
    for item in ("params", "opt_state"):
        where = folder / "run" / "checkpoints" / str(last) / item
        for path, array in jax.tree.leaves_with_path(
            ocp.PyTreeCheckpointer().restore(where)
        ):
            array = np.asarray(array)
            content = array.tobytes() + str((array.dtype, array.shape)).encode()
            name = f"{last}/{item}{jax.tree_util.keystr(path)}"
            made[name] = digest(content)
    curves = events.read(folder / "run").items()
    return made | {k: v for k, v in curves if not k.startswith("hyperparameters")}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read_or_fault(
    read: Callable[[Path], dict[str, Any]], folder: Path
) -> dict[str, Any]:
    """What is read of a folder; what cannot be read differs from all that can."""
    try:
        return read(folder)
    except Exception as error:
        return {"fault": repr(error)}


def names_in(folder: Path) -> Iterator[str]:
    """All files and folders below it, while they come and go."""
    for root, folders, files in os.walk(folder):
        yield from (os.path.join(root, name) for name in folders + files)


def what_is_wrong(status: int | None, sent: int, log: str, end: str) -> list[str]:
    """With a command that was sent a signal, or 0: its status, and what it said.

    `end` is what one says last that nobody stops.
    """
    goes_on = "the same command goes on" in log
    may_be = {0: (0,), signal.SIGKILL: (-signal.SIGKILL, 0)}
    # Before a command listens, and once all is done, a signal has its usual effect.
    is_outside = not log.strip() or log.rstrip().endswith(end)
    usual = (-signal.SIGTERM,) if is_outside else ()
    may_be[signal.SIGTERM] = (0, *((143,) if goes_on else ()), *usual)
    is_wrong = status not in may_be[sent] or "Traceback" in log or "a fault of" in log
    return [f"status {status}: {log[-3000:]}"] if is_wrong else []
