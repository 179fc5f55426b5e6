"""The folder of a pass: its settings, and a file for every part that is done.

Nothing else is state. A part's file is named by a digest of the settings, the items and
their contents; it is there whole or not at all, and after the files that it names. An
item that was skipped for what its content does not prove counts as unreadable: with its
file back, the part has another name. It holds a checksum of its rows, and ends with its
own: a part whose files are not what was written is done anew.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxart import storage
from jaxart.passes import rows
from jaxart.passes.driver import LEASE, SETTINGS
from jaxart.passes.work import UNREADABLE, Item, Record, Results
from jaxart.storage import AnyPath, StorageError, results
from jaxart.storage.results import DamagedError

_RECORDS, _ROWS = ".json", ".npy"
_KEPT = {SETTINGS, LEASE}  # are no parts
_DIGEST_BYTES = 12

MAX_PARTS = 10_000  # of a list, unless it is told otherwise

logger = logging.getLogger(__name__)


class OtherPassError(ValueError):
    """The folder belongs to another pass; the message says what differs."""


class Part(NamedTuple):
    """Consecutive items of a list."""

    number: int  # from 0
    items: Sequence[Item]


def cut(items: Sequence[Item], part_size: int) -> list[Part]:
    """Cuts a list into parts."""
    return [
        Part(number, items[start : start + part_size])
        for number, start in enumerate(range(0, len(items), part_size))
    ]


def part_size(num_items: int, batch_size: int, num_batches: int) -> int:
    """Items of a part: some batches, or more where a list would have too many parts."""
    least = -(-num_items // MAX_PARTS)
    return batch_size * max(num_batches, -(-least // batch_size))


@dataclasses.dataclass
class Writing:
    """A part that is being written."""

    name: str  # of the part, for good when it is written
    add: Callable[[Results], None]  # a batch


class Folder:
    """A pass's folder, which need not be there yet; `settings` say what it is of."""

    def __init__(self, path: AnyPath, settings: Mapping[str, Any]):
        self.path = path
        self.settings = json.loads(json.dumps(settings))
        self._key = json.dumps(self.settings, sort_keys=True)
        self._sound: set[str] = set()  # parts that were checked

    def begin(self) -> None:
        """Writes down what the pass is of.

        Raises:
          OtherPassError: the folder belongs to another.
          DamagedError: what is written there cannot be read.
        """
        there = read_settings(self.path / SETTINGS)
        if there is None:
            self.path.mkdir(parents=True, exist_ok=True)
            results.write_json(self.path / SETTINGS, self.settings)
        else:
            check_same(there, self.settings, self.path)

    def name(self, part: Part, contents: Sequence[str]) -> str:
        """What a part is called, if its items have these contents."""
        what = json.dumps([self._key, list(part.items), list(contents)])
        digest = hashlib.blake2b(what.encode(), digest_size=_DIGEST_BYTES).hexdigest()
        return f"{part.number:06d}-{digest}"

    def done(self) -> Container[str]:
        """The names of the parts that are there; each is checked when it is asked for.

        The folder is listed once, since an object store answers slowly.
        """
        return _Done(self, set(storage.names_in(self.path)))

    def has(self, name: str) -> bool:
        """Whether a part is done, and is what was written."""
        return self._records(name).is_file() and self.is_sound(name)

    def is_sound(self, name: str) -> bool:
        """Whether a part that is there is what was written; read once for that.

        Where it is not, the log says so.

        Raises:
          StorageError: an object store does not answer, which says nothing of the part.
        """
        if name not in self._sound:
            try:
                self._check(name)
            except StorageError:
                raise
            except (OSError, DamagedError) as error:
                logger.warning("%s; it is done anew", error)
                return False
            self._sound.add(name)
        return True

    def _check(self, name: str) -> None:
        """Raises `DamagedError`, or an `OSError`, for a part that is not sound."""
        checksum, path = self._read(name)["rows"], self.rows(name)
        if checksum is not None:
            with storage.fetched(path) as local, storage.open_file(local) as file:
                if storage.checksum_of_file(file) != checksum:
                    raise DamagedError(f"{path}: damaged: another checksum")

    @contextlib.contextmanager
    def writing(self, part: Part, contents: Sequence[str]) -> Iterator["Writing"]:
        """Writes a part, which is done when the block ends well.

        `contents` are those of its items before they were read.
        """
        records: list[Record] = []
        beside = append = checksum = None

        def add(batch: Results) -> None:
            nonlocal beside, append
            records.extend(batch.records)
            if batch.rows is not None:
                if append is None:
                    file = storage.unfinished(self.rows(writing.name))
                    beside = whole.enter_context(file)
                    append = growing.enter_context(rows.growing(beside))
                append(batch.rows)

        writing = Writing(self.name(part, contents), add)
        with contextlib.ExitStack() as whole:
            with contextlib.ExitStack() as growing:
                yield writing
            proven = [
                UNREADABLE if record.get("unproven") else content
                for record, content in zip(records, contents, strict=True)
            ]
            writing.name = name = self.name(part, proven)
            if beside is not None:
                with open(beside, "rb") as file:
                    checksum = storage.checksum_of_file(file)
                storage.move(beside, self.rows(name))
        content = json.dumps({"records": records, "rows": checksum}).encode()
        own = storage.checksum(content).encode()
        storage.write_bytes(self._records(name), b"%s\n%s\n" % (content, own))

    def records(self, names: Sequence[str]) -> Iterator[Record]:
        """The records of parts, in their order, a part in memory at a time.

        Raises:
          DamagedError: they are not what was written.
        """
        for name in names:
            yield from self._read(name)["records"]

    def _read(self, name: str) -> dict[str, Any]:
        """What a part's file says: its records, and the checksum of its rows, if any.

        Raises:
          DamagedError: it is not what was written.
        """
        path = self._records(name)
        whole = storage.read_bytes(path).removesuffix(b"\n")
        content, _, own = whole.rpartition(b"\n")
        if storage.checksum(content).encode() != own:
            raise DamagedError(f"{path}: damaged: another checksum")
        return json.loads(content)

    def _records(self, name: str) -> AnyPath:
        return self.path / f"{name}{_RECORDS}"

    def rows(self, name: str) -> AnyPath:
        """The .npy file of a part, if its work keeps rows."""
        return self.path / f"{name}{_ROWS}"

    def join_rows(self, names: Sequence[str], out: Path) -> None:
        """Writes the rows of parts to one .npy file, of those that have some.

        Raises:
          DamagedError: they are not what was written; names the part's file.
        """
        checksums = {self.rows(name): self._read(name)["rows"] for name in names}
        there = {path: checksum for path, checksum in checksums.items() if checksum}
        rows.join(there, out)

    def remove(self) -> None:
        """Takes away all parts; the settings last, since nothing is left to do then."""
        for name in storage.names_in(self.path):
            if name.endswith((_RECORDS, _ROWS, ".tmp")) and name not in _KEPT:
                (self.path / name).unlink(missing_ok=True)
        (self.path / SETTINGS).unlink(missing_ok=True)


class _Done(Container[str]):
    """Names of parts that are done, each checked when it is asked for."""

    def __init__(self, folder: Folder, files: Container[str]):
        self._folder, self._files = folder, files

    def __contains__(self, name: object) -> bool:
        return f"{name}{_RECORDS}" in self._files and self._folder.is_sound(str(name))


def read_settings(path: AnyPath) -> dict[str, Any] | None:
    """What a file says that a pass is of; None where there is no file.

    Raises:
      DamagedError: it cannot be read.
    """
    try:
        return results.read_json(path)
    except FileNotFoundError:
        return None
    except DamagedError as error:
        remedy = "Remove the file, and the same command goes on"
        raise DamagedError(f"{error}. {remedy}") from None


def check_same(
    there: Mapping[str, Any], wanted: Mapping[str, Any], folder: AnyPath
) -> None:
    """Raises `OtherPassError`, which names what differs, for another folder's pass."""
    for name, value in wanted.items():
        if there.get(name) != value:
            raise OtherPassError(
                f"{folder} was made with {name}={there.get(name)!r}; this run has "
                f"{name}={value!r}. Choose another --out, or remove what is there."
            )


def digest(texts: Iterable[str]) -> str:
    """A hash of a list, such as that of the images: for a pass's settings."""
    whole = hashlib.blake2b(digest_size=16)
    for text in texts:
        data = text.encode("utf-8", "surrogateescape")
        whole.update(b"%d %s" % (len(data), data))
    return whole.hexdigest()
