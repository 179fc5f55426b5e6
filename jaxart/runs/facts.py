"""What a run's folder says of it, and how far it has come."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orbax.checkpoint as ocp

from jaxart.storage import AnyPath, RemotePath, StorageError
from jaxart.storage.results import DamagedError


def folder_of(workdir: AnyPath) -> str:
    """A workdir as Orbax takes it: an absolute path, or a URL.

    Raises:
      StorageError: Orbax keeps no checkpoints there.
    """
    if not isinstance(workdir, RemotePath):
        return str(workdir.absolute())
    if not str(workdir).startswith("gs://"):
        raise StorageError(
            f"workdir={workdir}: Orbax {ocp.__version__} keeps no checkpoints in "
            "s3://. A workdir can be a local or shared folder, or gs://"
        )
    return str(workdir)


class Progress(NamedTuple):
    """How far a run has come."""

    step: int  # training steps done; also the position in the data, in batches
    train_seconds: float  # that they took
    num_train: int  # how many training images that data held


def checked_progress(step: int, fields: Mapping[str, Any]) -> Progress:
    """What a step's checkpoint says, or a `DamagedError` where it is of another one."""
    progress = Progress(**fields)
    if progress.step != step:
        raise DamagedError(f"damaged: its step is {progress.step}")
    return progress


class Saved(NamedTuple):
    """What the last checkpoint is of."""

    config: Mapping[str, Any]
    progress: Progress


class Restored(NamedTuple):
    """The state of a checkpoint."""

    progress: Progress
    params: Any
    opt_state: Any
