"""The look at every file of what is to be curated, as a pass."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from jaxart import storage
from jaxart.data import files, fingerprints
from jaxart.data.files import File
from jaxart.paintings.curate import writing
from jaxart.passes.work import Record, Results
from jaxart.storage import AnyPath
from jaxart.storage.results import DamagedError


@dataclasses.dataclass(frozen=True)
class Look:
    """Says of each painting's file what it is, by its name."""

    root: AnyPath  # where names start; absolute, as the following
    folder: Path  # the pass's; resized pictures are there before they are spoken of
    resize: int | None  # the shorter side that larger pictures get; None makes none
    batch_size: int  # files that a thread looks at

    def open(self) -> "_Looking":
        """Finds what this machine knows of files."""
        return _Looking(self)

    def skip(self, item: str, reason: str) -> Record:
        """What is said of a file that cannot be looked at."""
        return _record(File(reason=reason))


class _Looking:
    def __init__(self, work: Look):
        self._work = work
        self._known = files.Known(files.default_cache_dir())

    def identify(self, items: Sequence[str]) -> list[str]:
        return files.versions([self._path(name) for name in items])

    def load(self, items: Sequence[str | None]) -> list[File]:
        paths = [self._path(name) for name in items if name is not None]
        short_side = self._work.resize
        if short_side is None:
            return self._known.look(paths)
        # Larger than for a look alone, which may change a few bits of the hash: so
        # what others know of the file is of no use here.
        side_enough = max(fingerprints.SIDE_ENOUGH, 2 * short_side)
        looked = []
        for content, file in files.read_all(paths):
            if not file.reason:
                file, picture = files.decode(content, file, side_enough)
                if picture is not None:
                    place = resized_path(self._work.folder, file)
                    writing.save_resized(picture, short_side, place)
            looked.append(file)
        return looked

    def _path(self, name: str) -> AnyPath:
        return storage.join(self._work.root, name)

    def start(self, loaded: list[File]) -> None:
        return None

    def finish(
        self, items: Sequence[str | None], loaded: list[File], values: None
    ) -> Results:
        return Results([_record(file) for file in loaded])


def resized_path(folder: Path, file: File) -> Path:
    """Where the resized picture of a file is.

    Raises:
      DamagedError: what is recorded of the file is no hash, and may lead elsewhere.
    """
    if not re.fullmatch("[0-9a-f]{64}", file.sha256):
        raise DamagedError(f"{folder}: damaged: {file.sha256!r} is no SHA-256")
    return folder / "resized" / f"{file.sha256}.jpg"


def _record(file: File) -> Record:
    """The file's fields, which `File` takes again; no reason where there is none."""
    record = file._asdict()
    if not file.reason:
        del record["reason"]
    return record
