"""The output folder: images in class folders, kept listings, what is known of each.

`OUT/STYLE/ARTIST_TITLE_ID.jpg`, `OUT/.pages/`, `OUT/downloads.jsonl`, and the tables
`OUT/metadata.csv` and `OUT/failed.csv`. What is received waits in `OUT/.part` until it
is checked, and is then renamed; its line in the record follows. So whatever moment a
run is killed at, the next one finds what is whole.
"""

import collections
import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from jaxart import results
from jaxart.data import images
from jaxart.wikiart.errors import Refused, WikiartError
from jaxart.wikiart.painting import PAGES, Painting
from jaxart.wikiart.record import FAILED, Entry, Record

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
    """An output folder.

    Attributes:
      part: where to write what is received.
      counts: how many images each style has.
    """

    def __init__(self, out: Path, max_bytes: int):
        self._out, self._max_bytes = out, max_bytes
        self.part = out / ".part"
        self.part.unlink(missing_ok=True)
        self._record = Record(out / "downloads.jsonl")
        self.counts: collections.Counter[str] = collections.Counter()
        self._by_id: dict[str, Entry] = {}
        for key, entry in tuple(self._record.entries.items()):
            if "path" in entry and not (out / entry["path"]).is_file():
                del self._record.entries[key]  # someone removed it
            else:
                self._note(entry)
        files = (path for path in out.rglob("*") if path.is_file())
        self._num_bytes = sum(path.stat().st_size for path in files)

    def close(self) -> None:
        """Ends the run."""
        self.part.unlink(missing_ok=True)
        self._record.close()

    def require_inside(self, styles: Iterable[str]) -> None:
        """Refuses folders that are links to elsewhere.

        Raises:
          WikiartError: there is one.
        """
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

    def page(self, name: str, fetch: Callable[[Path], None]) -> Path:
        """A kept listing, which is fetched where there is none yet."""
        path = self._out / PAGES / name
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            fetch(self.part)
            self._num_bytes += self.part.stat().st_size
            os.replace(self.part, path)
        return path

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
                shutil.copyfile(self._out / twin["path"], self.part)
            else:
                fetch(self.part)
            path = self._keep(painting)
        entry = {
            "style": painting.style,
            "id": painting.id,
            "path": path.relative_to(self._out).as_posix(),
            "artist": painting.artist,
            "title": painting.title,
            "year": painting.year,
            "source": painting.source,
        }
        self._record.append(entry)
        self._note(entry)

    def reject(self, painting: Painting, reason: str) -> None:
        """Records a painting that is bad for good."""
        entry = _failure(painting, reason)
        self._record.append(entry)
        self._note(entry)

    def failures(self) -> list[Entry]:
        """Those recorded as bad for good."""
        return [e for e in self._record.entries.values() if "reason" in e]

    def write_tables(self, failed_now: Iterable[tuple[Painting, str]]) -> None:
        """Writes both CSV files.

        Args:
          failed_now: paintings that may be had later, and why they were not.
        """
        entries = sorted(
            (e for e in self._record.entries.values() if "path" in e),
            key=lambda entry: entry["path"],
        )
        rows = [[(e | {"label": e["style"]})[c] for c in COLUMNS] for e in entries]
        results.write_csv(self._out / "metadata.csv", COLUMNS, rows)
        failed = [*self.failures(), *(_failure(*pair) for pair in failed_now)]
        rows = sorted([entry[column] for column in FAILED] for entry in failed)
        results.write_csv(self._out / "failed.csv", FAILED, rows)

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
        suffix = _suffix_of_image(self.part)
        num_bytes = self.part.stat().st_size
        self.require_room(num_bytes)
        path = self._out / painting.style / f"{painting.stem}{suffix}"
        path.parent.mkdir(exist_ok=True)
        os.replace(self.part, path)
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
    return {
        "style": painting.style,
        "id": painting.id,
        "title": painting.title,
        "url": painting.url,
        "reason": reason,
    }
