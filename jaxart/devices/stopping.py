"""SIGTERM and Ctrl-C: a command ends what it is at, keeps it, and stops.

Schedulers send SIGTERM some time before SIGKILL: SLURM, Kubernetes, a TPU's preemption.
The first signal is remembered, and work asks for it where it can go on later; a second
one ends the process at once. A thread hears both: Python's own handlers wait for the
main thread, which may be in XLA for minutes, and what they raise a JAX callback may
swallow. Quick to import.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator

_USUAL = (signal.SIGINT, signal.SIGTERM)

# While `listening`: what was heard, and what is listened to.
_received: list[int] = []
_numbers: set[int] = set()
_is_agreed_on = False  # whether this process stops with others, or not at all


class Stopped(KeyboardInterrupt):
    """The user or a scheduler stopped the command; the message says what is kept."""

    def __init__(self, said: str, number: int):
        super().__init__(said)
        self.status = 128 + number  # to exit with, as a shell tells it


def requested() -> int:
    """The number of the signal that asked the command to stop, or 0."""
    return _received[0] if _received else 0


def check(said: str = "") -> None:
    """Raises `Stopped` where the command was asked to stop; `said` is what is kept.

    Not in one of several processes: they agree when to stop, `preemption`.
    """
    if _received and not _is_agreed_on:
        raise Stopped(said, _received[0])


def agree() -> None:
    """Has this process stop only together with others.

    Takes the signals back that JAX has taken when it joined them.
    """
    global _is_agreed_on
    _is_agreed_on = True
    _take_signals()


@contextlib.contextmanager
def listening(*more: signal.Signals) -> Iterator[None]:
    """Remembers SIGINT, SIGTERM and `more` for the block, in place of their effect.

    That is up to the main thread; elsewhere all stays as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    global _is_agreed_on
    _is_agreed_on = False
    _received.clear()
    heard, told = socket.socketpair()
    told.setblocking(False)
    _numbers.update((*_USUAL, *more))
    before = {number: signal.getsignal(number) for number in _numbers}
    _take_signals()
    told_before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    ears = threading.Thread(target=_hear, args=(heard,), daemon=True)
    ears.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(told_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        told.close()
        ears.join()
        heard.close()
        _received.clear()
        _numbers.clear()


def _take_signals() -> None:
    for number in _numbers:
        signal.signal(number, lambda *_: None)


def _hear(heard: socket.socket) -> None:
    while byte := heard.recv(1):
        if byte[0] not in _numbers:
            continue
        if _received:
            os._exit(128 + byte[0])
        _received.append(byte[0])
        name = signal.Signals(byte[0]).name
        said = f"jaxart: {name}: ends after what it is at; once more ends it at once"
        with contextlib.suppress(OSError, ValueError):
            print(f"\n{said}", file=sys.stderr, flush=True)
