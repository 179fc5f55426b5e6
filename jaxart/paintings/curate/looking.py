"""The look at every file of what is to be curated, as a pass."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from jaxart import storage
from jaxart.data import files, fingerprints
from jaxart.data.files import File
from jaxart.paintings.curate import writing
from jaxart.passes.local import map_ahead
from jaxart.passes.work import Record, Results

_NUM_THREADS = 4  # that tell whether files are what they were


@dataclasses.dataclass(frozen=True)
class Look:
    """Says of each painting's file what it is, by its name."""

    root: str  # where names start; absolute, as the following
    folder: str  # the pass's; resized pictures are put there, before they are spoken of
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
        self._root = Path(work.root)
        self._folder = Path(work.folder)
        self._resize = work.resize
        self._known = files.Known(files.default_cache_dir())

    def identify(self, items: Sequence[str]) -> list[str]:
        digests = map_ahead(self._digest, items, _NUM_THREADS, 2 * _NUM_THREADS)
        return list(digests)

    def _digest(self, name: str) -> str:
        try:
            return storage.version(self._root / name)
        except OSError as error:
            return error.strerror or str(error)

    def load(self, items: Sequence[str | None]) -> list[File]:
        paths = [self._root / name for name in items if name is not None]
        if self._resize is None:
            return self._known.look(paths)
        return [self._look_and_resize(path, self._resize) for path in paths]

    def _look_and_resize(self, path: Path, short_side: int) -> File:
        content, file = files.read(path)
        if file.reason:
            return file
        # Larger than for a look alone, which may change a few bits of the hash: so
        # what others know of the file is of no use here.
        side_enough = max(fingerprints.SIDE_ENOUGH, 2 * short_side)
        file, picture = files.decode(content, file, side_enough)
        if picture is not None:
            place = resized_path(self._folder, file)
            writing.save_resized(picture, short_side, place)
        return file

    def start(self, loaded: list[File]) -> None:
        return None

    def finish(
        self, items: Sequence[str | None], loaded: list[File], values: None
    ) -> Results:
        return Results([_record(file) for file in loaded])


def resized_path(folder: Path, file: File) -> Path:
    """Where the resized picture of a file is."""
    return folder / "resized" / f"{file.sha256}.jpg"


def _record(file: File) -> Record:
    """The file's fields, which `File` takes again; no reason where there is none."""
    return {
        name: value
        for name, value in file._asdict().items()
        if value or name != "reason"
    }
