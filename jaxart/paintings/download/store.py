"""The output folder: images in class folders, kept listings, what is known of each.

`OUT/STYLE/ARTIST_TITLE_ID.jpg`, `OUT/.pages/`, `OUT/downloads.jsonl`, and the tables
`OUT/metadata.csv` and `OUT/failed.csv`. What is received waits in `OUT/.part` until it
is checked, and is then renamed; its line in the record follows. So whatever moment a
run is killed at, the next one finds what is whole.
"""

import collections
import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from jaxart import storage
from jaxart.data import images
from jaxart.paintings.download.errors import Missing, Refused, Unavailable, WikiartError
from jaxart.paintings.download.painting import PAGES, Painting
from jaxart.paintings.download.record import FAILED, OBTAINED, Entry, Record
from jaxart.paintings.download.session import Session, TryAgain
from jaxart.storage import results

T = TypeVar("T")

COLUMNS = ("path", "label", "artist", "title", "year", "source")

# How the files of each format begin: the formats that are kept, and no others.
_SUFFIXES = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"RIFF": ".webp",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}
_SIDE_ENOUGH = 64  # to see whether a JPEG is whole


@contextlib.contextmanager
def opened(out: Path, max_bytes: int) -> Iterator["Store"]:
    """The folder's store, which no other run has meanwhile.

    Raises:
      WikiartError: another run has it.
      OSError: it cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(out / ".lock", timeout=0).acquire()
    except Timeout:
        raise WikiartError(f"{out}: another download is writing there") from None
    with held, contextlib.closing(Store(out, max_bytes)) as store:
        yield store


class Store:
    """An output folder, and in `counts` how many images each style has."""

    def __init__(self, out: Path, max_bytes: int):
        self._out, self._max_bytes = out, max_bytes
        self._part = out / ".part"  # where what is received is written
        self._part.unlink(missing_ok=True)
        self._record = Record(out / "downloads.jsonl")
        self.counts: collections.Counter[str] = collections.Counter()
        self._by_id: dict[str, Entry] = {}
        for key, entry in tuple(self._record.entries.items()):
            if "path" in entry and not self._has(entry["path"]):
                del self._record.entries[key]  # someone removed it
            else:
                self._note(entry)
        files = (path for path in out.rglob("*") if path.is_file())
        self._num_bytes = sum(path.stat().st_size for path in files)

    def close(self) -> None:
        self._part.unlink(missing_ok=True)
        self._record.close()

    def _has(self, name: str) -> bool:
        """Whether there is such a file, which a line of the record names, inside."""
        path = self._out / name
        return path.is_file() and path.resolve().is_relative_to(self._out.resolve())

    def require_inside(self, styles: Iterable[str]) -> None:
        """Raises `WikiartError` where a folder is a link to elsewhere."""
        root = self._out.resolve()
        names = [PAGES, *(f"{PAGES}/{style}" for style in styles), *styles]
        for folder in (self._out / name for name in names):
            if not folder.resolve().is_relative_to(root):
                raise WikiartError(f"{folder}: leads out of {self._out}")

    def require_room(self, num_bytes: int = 0) -> None:
        """Raises `WikiartError` where so many bytes more would be too many."""
        if self._num_bytes + max(num_bytes, 1) > self._max_bytes:
            raise WikiartError(
                f"stopped before {self._out} holds more than "
                f"--max_gigabytes={self._max_bytes / 1e9:g}; with a larger bound, the "
                "same command goes on"
            )

    def is_settled(self, painting: Painting) -> bool:
        """Whether it is obtained in its style, or known to be bad."""
        return (painting.style, painting.id) in self._record.entries

    def listing(
        self,
        session: Session,
        url: str,
        name: str,
        *,
        max_bytes: int,
        parse: Callable[[Path], T],
        missing: T | None = None,
    ) -> T:
        """What a listing says: kept under `name`, and fetched where it is not yet.

        `parse` reads it, and raises `TryAgain` where it is not what it should be.
        `missing` is what to return where the site says that there is none; None makes
        that an error.

        Raises:
          WikiartError: it cannot be had or read.
        """
        path = self._out / PAGES / name
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                session.fetch(url, self._part, max_bytes, check=parse)
            except (Refused, Unavailable) as error:
                if isinstance(error, Missing) and missing is not None:
                    return missing
                raise WikiartError(f"{url}: {error}") from error
            self._num_bytes += self._part.stat().st_size
            storage.move(self._part, path)
        try:
            return parse(path)
        except TryAgain as error:
            raise WikiartError(f"{path}: {error}; delete it") from error

    def obtain(self, painting: Painting, fetch: Callable[[Path], None]) -> None:
        """Puts a painting's image in its place.

        It is only fetched where neither a killed run nor another style has it already.

        Raises:
          Refused: it is no image, and `fetch` need not be tried again.
          WikiartError: there is no room, or `fetch` raised it.
        """
        if painting.flaw:
            raise Refused(painting.flaw)
        twin = self._by_id.get(painting.id)
        if twin and "reason" in twin:
            raise Refused(twin["reason"])
        path = self._find_unrecorded(painting)
        if path is None:
            self.require_room()
            if twin:
                shutil.copyfile(self._out / twin["path"], self._part)
            else:
                fetch(self._part)
            path = self._keep(painting)
        known = painting._asdict() | {"path": path.relative_to(self._out).as_posix()}
        self._add({column: known[column] for column in OBTAINED})

    def reject(self, painting: Painting, reason: str) -> None:
        """Records a painting that is bad for good."""
        self._add(_failure(painting, reason))

    def failures(self) -> list[Entry]:
        """Those recorded as bad for good."""
        return [e for e in self._record.entries.values() if "reason" in e]

    def write_tables(self, failed_now: Iterable[tuple[Painting, str]]) -> None:
        """Writes both CSV files; of what may be had later, why it was not now."""
        entries = sorted(
            (e for e in self._record.entries.values() if "path" in e),
            key=lambda entry: entry["path"],
        )
        rows = [[(e | {"label": e["style"]})[c] for c in COLUMNS] for e in entries]
        results.write_csv(self._out / "metadata.csv", COLUMNS, rows)
        failed = [*self.failures(), *(_failure(*pair) for pair in failed_now)]
        rows = sorted([entry[column] for column in FAILED] for entry in failed)
        results.write_csv(self._out / "failed.csv", FAILED, rows)

    def _add(self, entry: Entry) -> None:
        self._record.append(entry)
        self._note(entry)

    def _note(self, entry: Entry) -> None:
        """Counts it; of a painting's entries, one with an image tells most."""
        if "path" in entry:
            self.counts[entry["style"]] += 1
            self._by_id[entry["id"]] = entry
        else:
            self._by_id.setdefault(entry["id"], entry)

    def _find_unrecorded(self, painting: Painting) -> Path | None:
        for suffix in dict.fromkeys(_SUFFIXES.values()):
            path = self._out / painting.style / f"{painting.stem}{suffix}"
            with contextlib.suppress(Refused, FileNotFoundError):
                _suffix_of_image(path)
                return path
        return None

    def _keep(self, painting: Painting) -> Path:
        """Checks what was received, and moves it to its place."""
        suffix = _suffix_of_image(self._part)
        num_bytes = self._part.stat().st_size
        self.require_room(num_bytes)
        path = self._out / painting.style / f"{painting.stem}{suffix}"
        path.parent.mkdir(exist_ok=True)
        storage.move(self._part, path)
        self._num_bytes += num_bytes
        return path


def _suffix_of_image(path: Path) -> str:
    with open(path, "rb") as stream:
        start = stream.read(8)
    suffixes = [s for magic, s in _SUFFIXES.items() if start.startswith(magic)]
    if not suffixes:
        raise Refused(f"not an image: begins with {start!r}")
    try:
        images.decode(path, _SIDE_ENOUGH)
    except images.ImageError as error:
        raise Refused(f"not a whole image: {error}") from error
    return suffixes[0]


def _failure(painting: Painting, reason: str) -> Entry:
    known = painting._asdict() | {"reason": reason}
    return {column: known[column] for column in FAILED}
