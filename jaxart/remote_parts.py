"""The parts that shares of one piece of work leave in an object store.

As in `parts`, but that a store has no locks: nobody knows who is at work. A share
puts its files, and then its note (`2-of-4.json`). Who sees all notes puts the parts
together; where two do, they make the same of the same files.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxart import results, storage
from jaxart.data.shares import Share
from jaxart.parts import Note, OtherPartsError
from jaxart.remote import RemotePath

_NOTE = ".json"


class RemoteParts:
    """A folder of parts, whose files are made and looked at here.

    Args:
      folder: where it is, or will be.
      settings: what all parts must have in common, by name; plain data.
      local: an empty folder for files on their way.
    """

    def __init__(self, folder: RemotePath, settings: Mapping[str, Any], local: Path):
        self._folder = folder
        self._settings = json.loads(json.dumps(settings))
        self._local = local

    def path(self, share: Share, suffix: str) -> Path:
        """Where a share's own file is to be written, or read."""
        return self._local / f"{share}{suffix}"

    def every_share(self) -> list[Share]:
        """The shares that the work of this folder was divided into."""
        count = self._any_settings()["count"]
        return [Share(number, count) for number in range(1, count + 1)]

    @contextlib.contextmanager
    def working(self, share: Share) -> Iterator[Note | None]:
        """Yields the share's note, if it was finished.

        Raises:
          OtherPartsError: the folder holds parts of other settings.
        """
        wanted = {"count": share.count} | self._settings
        there = self._any_settings() or wanted
        for name, value in wanted.items():
            if there.get(name) != value:
                raise OtherPartsError(self._folder, name, there, value)
        yield self._read(share)

    @contextlib.contextmanager
    def finished(self, share: Share, note: Note) -> Iterator[list[Note] | None]:
        """Writes down that a share is finished; puts the files that it has left here.

        Yields:
          The notes of all shares, where this one is the last: to put the parts together
          now, from files that are here by then; the folder goes afterwards. Else None.
        """
        for file in self._local.glob(f"{share}.*"):
            (self._folder / file.name).upload(file)
        settings = {"count": share.count} | self._settings
        said = {"settings": settings, "note": note}
        results.write_json(self._folder / f"{share}{_NOTE}", said)
        notes = [self._read(Share(i + 1, share.count)) for i in range(share.count)]
        keys = self._folder.keys_below()
        try:
            if None in notes:
                raise FileNotFoundError
            for key in keys:
                (self._folder / key).download(self._local / key)
        except FileNotFoundError:  # not all are there, or another was the last
            yield None
            return
        yield notes
        for key in sorted(keys, key=lambda key: not key.endswith(_NOTE)):
            (self._folder / key).unlink(missing_ok=True)

    def _any_settings(self) -> dict[str, Any] | None:
        for key in self._folder.keys_below():
            if key.endswith(_NOTE):
                with contextlib.suppress(FileNotFoundError):
                    return _read(self._folder / key)["settings"]
        return None

    def _read(self, share: Share) -> Note | None:
        try:
            return _read(self._folder / f"{share}{_NOTE}")["note"]
        except FileNotFoundError:
            return None


def are_in(folder: storage.AnyPath) -> bool:
    """Whether any share has finished that is not part of the whole yet."""
    return isinstance(folder, RemotePath) and any(
        key.endswith(_NOTE) for key in folder.keys_below()
    )


def _read(path: RemotePath) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))
