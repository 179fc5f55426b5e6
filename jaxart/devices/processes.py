"""The processes of a run, on one machine or many: JAX's own runtime joins them.

Every process runs the same program on the same files. What only one may do, the first
does; what it found out, the others are told.
"""

import contextlib
import ctypes
import json
import os
import re
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxart import storage
from jaxart.devices import launchers, stopping
from jaxart.storage import AnyPath

# A process that is silent for so long is dead, and ends the run.
HEARTBEAT_SECONDS = 20
# From the first process's start to the last one's.
START_SECONDS = 300

LOST = (
    "jaxart: another process of this run has ended, and so this one ends. Start all of "
    "them again, and the run goes on from its last checkpoint."
)

# What gloo, gRPC and the coordinator say of a process that is gone.
_SIGNS = re.compile(
    r"\b[Gg]loo\b|Socket closed|heartbeat|coordination service|[Bb]arrier|another task|"
    r"\b(UNAVAILABLE|DEADLINE_EXCEEDED|CANCELLED|ABORTED)\b"
)


class ProcessError(ValueError):
    """The processes cannot be joined, or do not run the same thing."""


def start(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> None:
    """Joins the processes of a run, before JAX does anything else.

    Without arguments JAX finds the others where a launcher it knows has started
    several: srun, Open MPI's mpirun, a TPU slice that names its hosts. Otherwise this
    process is alone. `coordinator` is the address of the first, HOST:PORT.

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
    if (
        process_id is not None
        and num_processes is not None
        and not 0 <= process_id < num_processes
    ):
        raise ProcessError(f"{process_id=}: from 0 to {num_processes - 1}")
    if missing and not launchers.launched():
        return
    ctypes.CDLL(None).signal(signal.SIGABRT, _end_at_abort)
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
    stopping.agree()


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
    """Waits until every process is here, each for the same reason."""
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
    return [json.loads(bytes(x[:size])) for x, size in zip(texts, sizes, strict=True)]


def compute_shared(
    compute: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]
) -> list[Any]:
    """Has each process compute JSON data of some of the items, and all know it of all.

    The items are the same in every process.
    """
    computed: list[Any] = [None] * len(items)
    own = compute(items[index() :: count()])
    for process, values in enumerate(gather(own)):
        computed[process :: count()] = values
    return computed


def check_same(facts: dict[str, Any]) -> None:
    """Makes sure that every process has the same facts, JSON data by what it is.

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
    """Makes sure that every process sees the folder that a `field` of the config names.

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


@contextlib.contextmanager
def ending_together(explain: Callable[[BaseException], str]) -> Iterator[None]:
    """Ends this process with one message, and thereby the run, whatever fails.

    That is `LOST` where another process is gone, whichever thread notices, and what
    `explain` says of any other error. A process alone raises its errors.
    """
    is_joined = jax.distributed.is_initialized()

    def end(error: BaseException) -> NoReturn:
        stop(LOST if is_of_others(error) else f"jaxart: {explain(error)}")

    if is_joined:
        threading.excepthook = lambda args: args.exc_value and end(args.exc_value)
    try:
        yield
        if is_joined:
            jax.distributed.shutdown()  # waits for the others; may find them gone
    except stopping.Stopped:
        if is_joined:
            jax.distributed.shutdown()
        raise
    except Exception as error:
        if not is_joined:
            raise
        end(error)


def is_of_others(error: BaseException | None) -> bool:
    """Whether an error says that another process is gone."""
    while error is not None:
        # A file's error is an OSError, but a wait for others may be a TimeoutError.
        is_runtime = isinstance(error, RuntimeError | ValueError | TimeoutError)
        is_ours = isinstance(error, ProcessError)
        if is_runtime and not is_ours and _SIGNS.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int)


@_HANDLER
def _end_at_abort(_: int) -> None:
    """JAX's coordinator ends a process that way when another one is gone.

    It has no other: the callback that it would take cannot be called (JAX 0.10). Nor
    does Python run its own handlers in an abort, so that this one is C's.
    """
    os.write(2, f"{LOST}\n".encode())
    os._exit(1)


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
