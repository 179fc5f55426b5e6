"""The parts that shares of one piece of work leave, until they are put together.

A folder holds what the parts have in common (`settings.json`) and, of each share, a
lock while a process works on it, a note when it has finished (`2-of-4.json`), and what
the work itself leaves. Whoever finishes last puts the parts together, and the folder
goes. Everything that looks at more than one share does so under the folder's lock.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from jaxart import results
from jaxart.data.shares import Share

Note = dict[str, Any]  # what a finished share says, as JSON

_LOCK = "lock"
_SETTINGS = "settings.json"


class BusyError(ValueError):
    """A share is being worked on; the message says which."""


class OtherPartsError(ValueError):
    """The folder holds parts of other work; the message says what differs."""

    def __init__(
        self, folder: os.PathLike, name: str, there: Mapping[str, Any], wanted: Any
    ):
        super().__init__(
            f"{folder} holds parts made with {name}={there.get(name)!r}; this run has "
            f"{name}={wanted!r}. Finish them, or remove the folder."
        )


class Parts:
    """A folder of parts.

    Args:
      folder: where it is, or will be.
      settings: what all parts must have in common, by name; plain data.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        self.folder = folder
        self._settings = json.loads(json.dumps(settings))

    def path(self, share: Share, suffix: str) -> Path:
        """Where a share's own file is."""
        return self.folder / f"{share}{suffix}"

    def every_share(self) -> list[Share]:
        """The shares that the work of this folder was divided into."""
        count = self._read_settings()["count"]
        return [Share(number, count) for number in range(1, count + 1)]

    @contextlib.contextmanager
    def working(
        self, share: Share, take_in: Callable[[], None] | None = None
    ) -> Iterator[Note | None]:
        """Holds a share, which does not count as finished meanwhile.

        Args:
          share: which.
          take_in: saves parts of other settings, which then go; None refuses them.

        Yields:
          The share's note, if it was finished.

        Raises:
          BusyError: another process is at this share; or, with other settings, at any.
          OtherPartsError: the folder holds parts of other settings.
        """
        with contextlib.ExitStack() as stack:
            with self._locked():
                self._begin(share, take_in)
                stack.enter_context(_held(self.path(share, ".lock")))
                path = self.path(share, ".json")
                note = _read(path) if path.exists() else None
                path.unlink(missing_ok=True)
            yield note

    @contextlib.contextmanager
    def finished(self, share: Share, note: Note) -> Iterator[list[Note] | None]:
        """Writes down that a share, which this process holds, is finished.

        Yields:
          The notes of all shares, where this one is the last: to put the parts together
          now, for the folder goes afterwards. Else None.
        """
        with self._locked():
            results.write_json(self.path(share, ".json"), note)
            shares = [Share(i + 1, share.count) for i in range(share.count)]
            paths = [self.path(one, ".json") for one in shares]
            if all(path.exists() for path in paths):
                yield [_read(path) for path in paths]
                shutil.rmtree(self.folder)
            else:
                yield None

    @contextlib.contextmanager
    def taken_in(self) -> Iterator[None]:
        """Holds all shares, however far they are; the folder goes afterwards.

        Raises:
          BusyError: a process is at one of them.
        """
        with self._locked(), self._all_held():
            yield
            shutil.rmtree(self.folder)

    def _begin(self, share: Share, take_in: Callable[[], None] | None) -> None:
        wanted = {"count": share.count} | self._settings
        there = self._read_settings() if are_in(self.folder) else wanted
        different = [name for name in wanted if there.get(name) != wanted[name]]
        if different and take_in:
            with self._all_held():
                take_in()
                for path in self.folder.iterdir():
                    if path.name != _LOCK:
                        path.unlink()
        elif different:
            name = different[0]
            raise OtherPartsError(self.folder, name, there, wanted[name])
        if not are_in(self.folder):
            results.write_json(self.folder / _SETTINGS, wanted)

    def _read_settings(self) -> dict[str, Any]:
        return _read(self.folder / _SETTINGS)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        path = self.folder / _LOCK
        while True:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path)
            with contextlib.suppress(FileNotFoundError):
                lock.acquire()
                if path.exists():
                    break
            lock.release()  # while this one waited, the folder went
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def _all_held(self) -> Iterator[None]:
        with contextlib.ExitStack() as locks:
            for path in sorted(self.folder.glob("*.lock")):
                locks.enter_context(_held(path))
            yield


def are_in(folder: Path) -> bool:
    """Whether any share has begun there, and not all are put together."""
    return (folder / _SETTINGS).is_file()


def digest(texts: Iterable[str | os.PathLike]) -> str:
    """A hash of a list, such as that of the images: for a folder's settings."""
    whole = hashlib.sha256()
    for text in texts:
        data = os.fsencode(text)
        whole.update(b"%d %s" % (len(data), data))
    return whole.hexdigest()


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout:
        raise BusyError(
            f"{path.with_suffix('')}: another process is working on this share"
        ) from None


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
