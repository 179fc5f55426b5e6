"""The folder of a pass: its settings, and a file for every part that is done.

Nothing else is state. A part's file is named by a digest of the settings, the items and
their contents; it is there whole or not at all, and after the files that it names.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jaxart import storage
from jaxart.passes import rows
from jaxart.passes.driver import LEASE, SETTINGS
from jaxart.passes.work import Item, Record, Results
from jaxart.storage import AnyPath, results

_RECORDS, _ROWS = ".json", ".npy"
_KEPT = {SETTINGS, LEASE}  # are no parts
_DIGEST_BYTES = 12

MAX_PARTS = 10_000  # of a list, unless it is told otherwise


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


class Folder:
    """A pass's folder, which need not be there yet; `settings` say what it is of."""

    def __init__(self, path: AnyPath, settings: Mapping[str, Any]):
        self.path = path
        self.settings = json.loads(json.dumps(settings))
        self._key = json.dumps(self.settings, sort_keys=True)

    def begin(self) -> None:
        """Writes down what the pass is of.

        Raises:
          OtherPassError: the folder belongs to another.
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

    def done(self) -> set[str]:
        """The names of all parts that are there."""
        names = storage.names_in(self.path)
        known = {name[: -len(_RECORDS)] for name in names if name.endswith(_RECORDS)}
        return known - {name[: -len(_RECORDS)] for name in _KEPT}

    def has(self, name: str) -> bool:
        """Whether a part is done."""
        return (self.path / f"{name}{_RECORDS}").is_file()

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Any]:
        """Writes a part, which is done when the block ends well.

        Yields:
          A function that adds a batch's `Results`.
        """
        records: list[Record] = []
        append = None

        def add(batch: Results) -> None:
            nonlocal append
            records.extend(batch.records)
            if batch.rows is not None:
                if append is None:
                    beside = stack.enter_context(storage.written(self.rows(name)))
                    append = stack.enter_context(rows.growing(beside))
                append(batch.rows)

        with contextlib.ExitStack() as stack:
            yield add
        content = json.dumps(records).encode()
        storage.write_bytes(self.path / f"{name}{_RECORDS}", content)

    def records(self, names: Sequence[str]) -> Iterator[Record]:
        """The records of parts, in their order, a part in memory at a time."""
        for name in names:
            yield from json.loads((self.path / f"{name}{_RECORDS}").read_bytes())

    def rows(self, name: str) -> AnyPath:
        """The .npy file of a part, if its work keeps rows."""
        return self.path / f"{name}{_ROWS}"

    def remove(self) -> None:
        """Takes away all parts; the settings last, since nothing is left to do then."""
        for name in storage.names_in(self.path):
            if name.endswith((_RECORDS, _ROWS, ".tmp")) and name not in _KEPT:
                (self.path / name).unlink(missing_ok=True)
        (self.path / SETTINGS).unlink(missing_ok=True)


def read_settings(path: AnyPath) -> dict[str, Any] | None:
    """What a file says that a pass is of; None where there is no file."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None


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
