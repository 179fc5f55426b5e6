"""The frozen-prefix cache: what the frozen part says of each image, computed once.

A store is a folder of a pass, named after its content: the frozen weights, the layers,
the preprocessing, and the bytes and views of the images. So a store is never out of
date; another weight or pixel makes another one. Its parts stay for good: an array of
rows in each, and why a row is none, which is only what an image's bytes prove. The
processes of a run share the parts out. Two runs that make one store at once both make
all of it: equal files, each there whole.
"""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxart import storage
from jaxart.data import images, pipeline
from jaxart.data.files import read_all
from jaxart.data.texts import DataError
from jaxart.devices import processes
from jaxart.passes import rows as row_files
from jaxart.passes import running
from jaxart.passes.driver import SETTINGS
from jaxart.passes.folder import Folder, OtherPassError, cut
from jaxart.passes.work import Record, Results
from jaxart.storage import AnyPath
from jaxart.storage.results import DamagedError

FORMAT = 6
SHARD_ROWS = 1024  # of one file
_MAX_SHARDS = 500  # files that are open at once: larger stores have longer ones

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class FeatureRows:
    """A store's rows as a network's inputs: indices [B] -> features [B, ...]."""

    paths: Sequence[Path]  # its .npy files
    shard_rows: int  # of each of them, but for the last
    dtype: str
    rows: np.ndarray  # the row of each index
    _shards: dict[int, np.ndarray] = dataclasses.field(default_factory=dict, init=False)

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        shape = (len(indices), *self._shard(0).shape[1:])
        features = np.empty(shape, self._shard(0).dtype)
        for place, row in enumerate(self.rows[indices].tolist()):
            shard, row = divmod(row, self.shard_rows)
            features[place] = self._shard(shard)[row]
        return features

    def _shard(self, number: int) -> np.ndarray:
        if number not in self._shards:
            # A .npy file does not know bfloat16: it says that there are two bytes.
            array = row_files.mapped(self.paths[number])
            self._shards[number] = array.view(self.dtype)
        return self._shards[number]


@dataclasses.dataclass(frozen=True)
class _FrozenPart:
    """The work: each content in each of its views through the frozen layers."""

    forward: Callable[[np.ndarray], Any]
    files: pipeline.ImageFiles
    index_of: Mapping[str, int]  # a file of each content
    batch_size: int

    def open(self) -> "_FrozenPart":
        return self

    def skip(self, item: list[str], reason: str) -> Record:
        return {"reason": reason}

    def identify(self, items: Sequence[list[str]]) -> list[str]:
        return [content for content, _ in items]

    def load(self, items: Sequence[list[str] | None]) -> pipeline.Loaded:
        there = [item for item in items if item is not None]
        bytes_of = self._read([content for content, _ in there])
        loaded = pipeline.load_batch(
            [bytes_of[content] for content, _ in there],
            self.files.resize,
            self.files.preprocessing,
            self.batch_size,
            views=[view for _, view in there],
        )
        for (content, _), is_proven in zip(there, loaded.is_proven, strict=False):
            if not is_proven:
                raise self._error(content, "memory ran out")
        return loaded

    def _read(self, contents: Sequence[str]) -> dict[str, bytes]:
        """The bytes of contents, each read once.

        Raises:
          DataError: a file does not hold any more what it did; names it.
        """
        once = list(dict.fromkeys(contents))
        paths = [self._path(content) for content in once]
        bytes_of = {}
        for content, (read, file) in zip(once, read_all(paths), strict=True):
            if file.sha256 != content:
                how = f"went ({file.reason})" if file.reason else "changed"
                raise self._error(content, f"{how} while this run read it")
            bytes_of[content] = read
        return bytes_of

    def _error(self, content: str, what: str) -> DataError:
        """Of what must not be kept, since an image's bytes do not prove it."""
        return DataError(f"{self._path(content)}: {what}; the same command goes on")

    def _path(self, content: str) -> AnyPath:
        path = self.files.paths[self.index_of[content]]
        assert isinstance(path, AnyPath), "a file, of which the content is known"
        return path

    def start(self, loaded: pipeline.Loaded) -> Any:
        return self.forward(loaded.images)

    def finish(
        self,
        items: Sequence[list[str] | None],
        loaded: pipeline.Loaded,
        values: np.ndarray,
    ) -> Results:
        count = sum(item is not None for item in items)
        reasons = loaded.reasons[:count]
        records = [{"reason": reason} if reason else {} for reason in reasons]
        return Results(records, np.asarray(values)[:count])


def compute(
    forward: Callable[[np.ndarray], Any],
    files: pipeline.ImageFiles,
    contents: Sequence[str],
    *,
    prefix: Mapping[str, Any],
    dtype: str = "float32",
    cache_dir: Path,
    batch_size: int,
) -> tuple[pipeline.Inputs, list[str]]:
    """Runs the frozen part over image files once, or finds that it has been done.

    `forward`, images [batch_size, S, S, 3] -> features [batch_size, ...] of `dtype`, is
    described by `prefix`, plain data: layers and weight digest. `contents` are digests
    of the files' bytes; '' leaves a file out. Equal views of equal bytes share a row.
    The processes of a run share the work, and the folder: a store in `cache_dir`.

    Returns:
      The features, indexed as `files` are, and for each file the reason why it
      cannot be read ('' where it can, or was left out).

    Raises:
      ProcessError: not every process of the run sees the store.
      DataError: a file changed or went since its digest was taken; names it.
      StorageError: `cache_dir` belongs to another user, or is a link.
    """
    views = files.views or ["whole"] * len(contents)
    wanted = list(zip(contents, views, strict=True))
    items = sorted({item for item in wanted if item[0]})
    if not items:
        return np.empty((len(wanted), 0)), [""] * len(wanted)
    settings = {
        "format": FORMAT,
        "reader": images.reader(),
        "prefix": dict(prefix),
        "dtype": dtype,
        "resize": files.resize,
        "preprocessing": files.preprocessing,
    }
    key = json.dumps([settings, items], sort_keys=True)
    name = hashlib.sha256(key.encode()).hexdigest()[:32]
    store = storage.private_folder(cache_dir) / name
    folder = Folder(storage.private_folder(store), settings)
    if processes.is_first():
        _begin(folder)
    processes.check_shared(store, "cache_dir")

    index_of = {content: index for index, content in enumerate(contents)}
    work = _FrozenPart(forward, files, index_of, batch_size)
    shard_rows = SHARD_ROWS * -(-len(items) // (SHARD_ROWS * _MAX_SHARDS))
    parts = cut([list(item) for item in items], shard_rows)
    with storage.shared_folder(store):
        outcome = running.run(
            work,
            parts[processes.index() :: processes.count()],
            folder,
            title="frozen layers",
            quiet=not processes.is_first(),
        )
    processes.wait("features")
    origin = "computed into" if any(outcome.is_new) else "found in"
    logger.info("Features of the frozen layers: %s %s", origin, store)

    names = [folder.name(part, work.identify(part.items)) for part in parts]
    reason_of = {
        item: record.get("reason", "")
        for item, record in zip(items, folder.records(names), strict=True)
    }
    row_of = {item: row for row, item in enumerate(items)}
    rows = np.array([row_of.get(item, 0) for item in wanted], np.int64)
    paths = [store / folder.rows(name).name for name in names]
    reasons = [reason_of.get(item, "") for item in wanted]
    return FeatureRows(paths, shard_rows, dtype, rows), reasons


def digest_params(params: Mapping[str, Mapping[str, Any]]) -> str:
    """BLAKE2b of a parameter tree: names, shapes, types and bytes."""
    # Half again as fast as SHA-256.
    digest = hashlib.blake2b(digest_size=32)
    for layer in sorted(params):
        for name in sorted(params[layer]):
            array = np.ascontiguousarray(params[layer][name])
            digest.update(f"{layer}/{name} {array.dtype} {array.shape}".encode())
            digest.update(array.data)
    return digest.hexdigest()


def _begin(folder: Folder) -> None:
    """Writes a store's settings, which its name knows; anew where they are damaged."""
    try:
        folder.begin()
    except (DamagedError, OtherPassError):
        logger.warning("%s: damaged; it is made anew", folder.path / SETTINGS)
        (folder.path / SETTINGS).unlink()
        folder.begin()
