"""Whether a checkpoint is what was written: checksums, half-made ones, and errors."""

import contextlib
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from etils import epath

from jaxart import storage
from jaxart.storage import RemotePath, StorageError, disk
from jaxart.storage.results import DamagedError

CHECKPOINTS = "checkpoints"  # of a workdir

_STEP = re.compile(r"\d+")
_SAID_MOST = 300  # letters of what a library says is wrong

logger = logging.getLogger(__name__)


def set_aside(folder: epath.Path) -> None:
    """Renames a damaged checkpoint, in place of an earlier one's.

    It is removed from an object store, which knows no renaming.
    """
    local = storage.path(str(folder))
    if isinstance(local, RemotePath):
        folder.rmtree()
        return
    aside = folder.with_name(f"{folder.name}.damaged")
    if aside.exists():
        aside.rmtree()
    storage.move(local, storage.path(str(aside)))


def set_aside_half_made(workdir: str) -> None:
    """Passes over checkpoints without their parts, with a warning: Orbax would not.

    Before a whole one, a half one is what Orbax was about to remove, and goes.
    """
    folder = epath.Path(workdir) / CHECKPOINTS
    steps = folder.iterdir() if folder.exists() else ()
    steps = [step for step in steps if _STEP.fullmatch(step.name)]
    is_whole_behind = False
    for step in sorted(steps, key=lambda step: int(step.name), reverse=True):
        lack = _what_lacks(step)
        if not lack:
            is_whole_behind = True
        elif is_whole_behind:
            step.rmtree()
        else:
            logger.warning("%s: damaged: %s. It is passed over.", step, lack)
            set_aside(step)


def _what_lacks(step: epath.Path) -> str:
    """What a checkpoint has not that it was saved with; '' where it is whole."""
    parts = ("metrics/metrics", "params", "opt_state", "progress", "config")
    missing = [part for part in parts if not (step / part).exists()]
    if missing:
        return f"{', '.join(missing)} is missing"
    try:
        json.loads((step / "metrics/metrics").read_text())
    except ValueError:
        return "its metrics"
    return ""


@contextlib.contextmanager
def named(folder: epath.Path) -> Iterator[None]:
    """Makes one line, with the folder's name, of what Orbax and TensorStore raise.

    Raises:
      StorageError: the machine failed: a disk is full, a file cannot be opened.
      DamagedError: what is stored is not what was written.
    """
    local = storage.path(str(folder))
    try:
        with contextlib.ExitStack() as stack:
            if isinstance(local, Path):
                stack.enter_context(disk.named(local))
            yield
    except StorageError:
        raise
    except DamagedError as error:
        if str(error).startswith(str(folder)):
            raise
        raise DamagedError(f"{folder}: {error}") from None
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())[:_SAID_MOST]
        is_missing = isinstance(error, FileNotFoundError)
        if isinstance(error, OSError) and not is_missing:
            raise StorageError(f"{folder}: {text}") from error
        raise DamagedError(f"{folder}: damaged: {text}") from error
