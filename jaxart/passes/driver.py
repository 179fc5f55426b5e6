"""One driver in a folder at a time. Quick to import: it comes before all else."""

import contextlib
import json
import logging
import os
import re
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from jaxart import storage
from jaxart.storage import AnyPath, RemotePath

SETTINGS = "settings.json"  # what a pass is of; there as long as it is not finished

LEASE = "lease.json"
LEASE_SECONDS = 60  # without a word from its holder, a lease counts no more
_RENEW_SECONDS = 15

_LOCK, _HOLDER = "lock", "driver"
_OWN_NAME = re.compile(
    rf"{SETTINGS}$|{_LOCK}$|{_HOLDER}$|\d{{6}}-[0-9a-f]{{24}}|resized$"
)

logger = logging.getLogger(__name__)


class BusyError(ValueError):
    """Another process is at work in the folder; the message says which."""


class ForeignFolderError(ValueError):
    """What is in the folder is not a pass's, and would go with it."""


@contextlib.contextmanager
def alone(folder: AnyPath) -> Iterator[None]:
    """Holds the folder of a pass, which goes in the end where nothing is left to do.

    In a file system that is a lock, which a process loses when it dies. In an object
    store it is an object that the holder makes, if there is none, and renews.

    Raises:
      BusyError: another process holds it.
      ForeignFolderError: there is a folder, and it is no pass's.
    """
    with _leased(folder) if isinstance(folder, RemotePath) else _locked(folder):
        yield


def check_free(folder: Path) -> None:
    """Raises `BusyError` where another process holds a folder, and holds nothing."""
    if _is_held(folder / _LOCK):
        raise _busy(folder)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    is_new = not folder.parent.exists()
    lock = _acquire(folder)
    try:
        storage.write_bytes(folder / _HOLDER, _here().encode())
        yield
    finally:
        if not (folder / SETTINGS).exists():
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        if is_new:
            with contextlib.suppress(OSError):  # something was written
                folder.parent.rmdir()


def _acquire(folder: Path) -> FileLock:
    path = folder / _LOCK
    _check_own(folder)
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise _busy(folder) from None
        except FileNotFoundError:  # the folder went at this moment
            continue
        if _is_held(path):
            return lock
        lock.release()  # of a folder that has gone meanwhile


def _check_own(folder: Path) -> None:
    there = storage.names_in(folder)
    if there and not any(map(_OWN_NAME.match, there)):
        raise ForeignFolderError(
            f"{folder} is there, and no folder of this command's parts: choose another "
            "--out"
        )


def _is_held(path: Path) -> bool:
    """Whether the lock file that is there now is a held one."""
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except FileNotFoundError:
        return False


def _busy(folder: Path) -> BusyError:
    try:
        holder = (folder / _HOLDER).read_text()
    except (OSError, ValueError):  # it has only just begun
        holder = "another process"
    said = f"{folder}: {holder} is at work here"
    if not holder.endswith(f" on {socket.gethostname()}"):
        said += (
            ". If that machine has died, its file server lets go of the lock some time "
            "later; a server that does not needs the folder removed"
        )
    return BusyError(said)


def _here() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


@contextlib.contextmanager
def _leased(folder: RemotePath) -> Iterator[None]:
    lease = folder / LEASE
    said = {"holder": _here(), "token": secrets.token_hex(8)}
    if not _take(lease, said):
        there = json.loads(lease.read_text("utf-8"))
        seconds = time.time() - there["time"]
        if seconds < LEASE_SECONDS and not _is_dead(there["holder"]):
            raise BusyError(
                f"{folder}: {there['holder']} is at work here (it said so "
                f"{seconds:.0f} seconds ago; after {LEASE_SECONDS} it counts as dead)"
            )
        lease.unlink(missing_ok=True)
        if not _take(lease, said):
            raise BusyError(f"{folder}: another process has just begun here")
    stopped = threading.Event()
    renewing = threading.Thread(
        target=_renew, args=(lease, said, stopped), daemon=True, name="lease"
    )
    renewing.start()
    try:
        yield
    finally:
        stopped.set()
        renewing.join()
        lease.unlink(missing_ok=True)


def _take(lease: RemotePath, said: dict[str, str]) -> bool:
    return lease.create(json.dumps(said | {"time": time.time()}).encode())


def _renew(lease: RemotePath, said: dict[str, str], stopped: threading.Event) -> None:
    while not stopped.wait(_RENEW_SECONDS):
        try:
            lease.write_bytes(json.dumps(said | {"time": time.time()}).encode())
        except OSError as error:  # the store does not answer; it may again
            logger.warning("%s is not renewed: %s", lease, error)


def _is_dead(holder: str) -> bool:
    """Whether it was a process of this machine that is no more."""
    pid, host = holder.removeprefix("process ").split(" on ")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
