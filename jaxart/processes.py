"""The processes of a run, on one machine or many: JAX's own runtime joins them.

Every process runs the same program on the same files. What only one may do, the first
does; what it found out, the others are told.
"""

import json
import os
import sys
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxart import storage
from jaxart.data import shares
from jaxart.storage import AnyPath

# A process that is silent for so long is dead, and ends the run.
HEARTBEAT_SECONDS = 20
# From the first process's start to the last one's.
START_SECONDS = 300


class ProcessError(ValueError):
    """The processes cannot be joined, or do not run the same thing."""


def start(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> None:
    """Joins the processes of a run, before JAX does anything else.

    Without arguments JAX finds the others where a launcher it knows has started
    several: srun, Open MPI's mpirun, a TPU slice that names its hosts. Otherwise this
    process is alone.

    Args:
      coordinator: address of the first process, HOST:PORT, for all to find it.
      num_processes: how many there are.
      process_id: which this is, from 0.

    Raises:
      ProcessError: some arguments are given and others not, or one is out of range;
        or the others did not come.
    """
    given = {
        "coordinator": coordinator,
        "num_processes": num_processes,
        "process_id": process_id,
    }
    missing = [name for name, value in given.items() if value is None]
    if missing and len(missing) < len(given):
        raise ProcessError(
            f"--{missing[0]} is missing: --coordinator=HOST:PORT, --num_processes=N "
            "and --process_id=I (0 to N-1) go together"
        )
    if not missing and not 0 <= process_id < num_processes:
        raise ProcessError(f"process_id={process_id}: from 0 to {num_processes - 1}")
    if missing and not launched():
        return
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            initialization_timeout=START_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        raise ProcessError(
            f"the processes of this run were not joined: {error}"
        ) from None


def launched() -> bool:
    """Whether a launcher that JAX knows has started this process beside others."""
    tpu_hosts = os.environ.get("TPU_WORKER_HOSTNAMES", "").split(",")
    return shares.find_task(os.environ) is not None or len(tpu_hosts) > 1


def index() -> int:
    """Which process this is, from 0."""
    return jax.process_index()


def count() -> int:
    """How many processes the run has."""
    return jax.process_count()


def is_first() -> bool:
    """Whether this is the process that writes what there is one of."""
    return index() == 0


def wait(reason: str) -> None:
    """Waits until every process is here.

    Args:
      reason: what for; the same in every process.
    """
    if count() > 1:
        multihost_utils.sync_global_devices(reason)


def gather(value: Any) -> list[Any]:
    """What each process has: JSON data of any size, in the processes' order."""
    if count() == 1:
        return [value]
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    sizes = multihost_utils.process_allgather(np.int32(len(text)))
    texts = multihost_utils.process_allgather(
        np.pad(text, (0, int(sizes.max()) - len(text)))
    )
    return [
        json.loads(bytes(row[:size])) for row, size in zip(texts, sizes, strict=True)
    ]


def compute_shared(
    compute: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]
) -> list[Any]:
    """Computes something of each item: each process of its share.

    Args:
      compute: items -> JSON data for each.
      items: the same in every process.

    Returns:
      What is computed of each, in every process.
    """
    found: list[Any] = [None] * len(items)
    mine = compute(items[index() :: count()])
    for process, values in enumerate(gather(mine)):
        found[process :: count()] = values
    return found


def check_same(facts: dict[str, Any]) -> None:
    """Makes sure that every process is about to run the same thing.

    Args:
      facts: JSON data by what it is.

    Raises:
      ProcessError: names what differs, and between which processes.
    """
    first, *others = gather(facts)
    for process, other in enumerate(others, start=1):
        for name, value in first.items():
            if other[name] != value:
                raise ProcessError(
                    f"processes 0 and {process} differ in {name}: {value!r} and "
                    f"{other[name]!r}. Every process needs the same command, and the "
                    "same files behind its paths."
                )


def check_shared(folder: AnyPath, field: str) -> None:
    """Makes sure that every process sees the same folder.

    Args:
      folder: it exists in the first process.
      field: what it is called in messages.

    Raises:
      ProcessError: names a process that does not.
    """
    if count() == 1:
        return
    token = folder / gather(f".{uuid.uuid4().hex}.tmp")[0]
    if is_first():
        storage.write_bytes(token, b"")
    wait("a token")
    seen = gather(token.exists())
    if is_first():
        token.unlink()
    if not all(seen):
        raise ProcessError(
            f"{field}={folder}: process {seen.index(False)} does not see what process "
            "0 writes there. All processes have to share that file system."
        )


def stop(message: str) -> NoReturn:
    """Ends this process with a message, and thereby the run.

    The others notice within seconds. This one does not wait for them, as it would on a
    usual exit.
    """
    if jax.distributed.is_initialized():
        print(message, file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(1)
    sys.exit(message)
