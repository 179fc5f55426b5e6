"""The frozen-prefix cache: what the frozen part says of each image, computed once.

A store is a folder named after its content: the frozen weights, the layers, the
preprocessing, and the bytes and views of the images. So a store is never out of date;
another weight or pixel makes another one. Its rows lie in files of `SHARD_ROWS`, which
the processes of a run share out. While it is being made it has another name, and a pass
that was stopped continues there.
"""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from jaxart import processes, storage
from jaxart.data import pipeline
from jaxart.remote import StorageError
from jaxart.storage import AnyPath

FORMAT = 4
SHARD_ROWS = 1024  # of one file; what a process computes at a time

logger = logging.getLogger(__name__)


class FeatureRows:
    """A store's rows as a network's inputs: indices [B] -> features [B, ...].

    Args:
      store: the store's folder.
      dtype: of the features.
      rows: the row of each index.
    """

    def __init__(self, store: Path, dtype: str, rows: np.ndarray):
        self._store = store
        self._dtype = dtype
        self._rows = rows
        self._shards: dict[int, np.ndarray] = {}

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        shape = (len(indices), *self._shard(0).shape[1:])
        features = np.empty(shape, self._shard(0).dtype)
        for place, row in enumerate(self._rows[indices].tolist()):
            shard, row = divmod(row, SHARD_ROWS)
            features[place] = self._shard(shard)[row]
        return features

    def _shard(self, number: int) -> np.ndarray:
        if number not in self._shards:
            # A .npy file does not know bfloat16: it says that there are two bytes.
            array = np.load(_features_path(self._store, number), mmap_mode="r")
            self._shards[number] = array.view(self._dtype)
        return self._shards[number]


def compute(
    forward: Callable[[np.ndarray], Any],
    files: pipeline.ImageFiles,
    *,
    prefix: Mapping[str, Any],
    dtype: str = "float32",
    cache_dir: str | os.PathLike,
    batch_size: int,
    num_workers: int = 0,
) -> tuple[pipeline.Inputs, list[str]]:
    """Runs the frozen part over image files once, or finds that it has been done.

    The processes of a run share the work, and the folder.

    Args:
      forward: images [batch_size, S, S, 3] -> features [batch_size, ...].
      files: the images. Equal views of equal bytes share a row.
      prefix: what `forward` computes, as plain data: layers and weight digest.
      dtype: of the features.
      cache_dir: where stores are kept.
      batch_size: images a call of `forward`.
      num_workers: processes that load images; 0 loads in threads.

    Returns:
      The features, indexed as `files` are, and for each file the reason why it
      cannot be read ('' where it can).

    Raises:
      ProcessError: not every process of the run sees the store.
    """
    digests, unreadable = _digest_files(files.paths)
    views = files.views or ["whole"] * len(digests)
    items = list(zip(digests, views, strict=True))
    content = sorted({item for item in items if item[0]})
    if not content:
        return np.empty((len(items), 0)), unreadable
    key = {
        "format": FORMAT,
        "prefix": dict(prefix),
        "dtype": dtype,
        "resize": files.resize,
        "preprocessing": files.preprocessing,
        "images": content,
    }
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    store = Path(cache_dir) / name
    store.parent.mkdir(parents=True, exist_ok=True)
    shards = range(-(-len(content) // SHARD_ROWS))
    with _held_by_first(store.with_suffix(".lock")):
        # The first process looks, for the others might see it a moment later.
        if processes.gather(store.is_dir())[0]:
            logger.info("Features of the frozen layers: found in %s", store)
        else:
            path_of = dict(zip(digests, files.paths, strict=True))
            unique = dataclasses.replace(
                files,
                paths=[path_of[digest] for digest, _ in content],
                views=[view for _, view in content],
            )
            partial = store.with_suffix(".partial")
            if processes.is_first():
                partial.mkdir(exist_ok=True)
                _write_json(partial / "key.json", key)
            processes.check_shared(partial, "cache_dir")
            mine = shards[processes.index() :: processes.count()]
            _fill(partial, mine, forward, unique, batch_size, num_workers)
            processes.wait("features")
            if processes.is_first():
                os.replace(partial, store)
            processes.wait("all features")

    known = [
        reason for shard in shards for reason in _read_json(_reasons_path(store, shard))
    ]
    reason_of = dict(zip(content, known, strict=True))
    reasons = [
        reason or reason_of[item]
        for reason, item in zip(unreadable, items, strict=True)
    ]
    row_of = {item: row for row, item in enumerate(content)}
    rows = np.array([row_of.get(item, 0) for item in items], np.int64)
    return FeatureRows(store, dtype, rows), reasons


def digest_params(params: Mapping[str, Mapping[str, Any]]) -> str:
    """BLAKE2b of a parameter tree: names, shapes, types and bytes."""
    digest = _new_digest()
    for layer in sorted(params):
        for name in sorted(params[layer]):
            array = np.ascontiguousarray(params[layer][name])
            digest.update(f"{layer}/{name} {array.dtype} {array.shape}".encode())
            digest.update(array.data)
    return digest.hexdigest()


def _new_digest(content: bytes = b"") -> Any:
    return hashlib.blake2b(content, digest_size=32)  # half again as fast as SHA-256


@contextlib.contextmanager
def _held_by_first(path: Path) -> Iterator[None]:
    """A lock that the first process holds, for all of them."""
    with FileLock(path) if processes.is_first() else contextlib.nullcontext():
        processes.wait("the lock of a feature store")
        yield


def _fill(
    partial: Path,
    shards: Sequence[int],
    forward: Callable[[np.ndarray], Any],
    files: pipeline.ImageFiles,
    batch_size: int,
    num_workers: int,
) -> None:
    """Writes some shards' rows in order, from where an earlier pass stopped."""
    reasons = {
        shard: _read_json(_reasons_path(partial, shard), default=[]) for shard in shards
    }
    ranges = {
        shard: range(len(files.paths))[shard * SHARD_ROWS :][:SHARD_ROWS]
        for shard in shards
    }
    batches = [
        (shard, batch)
        for shard in shards
        for batch in pipeline.in_batches(
            ranges[shard][len(reasons[shard]) :], batch_size
        )
    ]
    total, num_done = (sum(map(len, some.values())) for some in (ranges, reasons))
    logger.info("Features of the frozen layers: %d images into %s", total, partial)
    if num_done:
        logger.info("An earlier pass stopped after %d of them: going on", num_done)

    def write(shard: int, features: Any, batch_reasons: list[str]) -> None:
        values = np.asarray(features)[: len(batch_reasons)]
        start = len(reasons[shard])
        path = _features_path(partial, shard)
        if start == 0:
            shape = (len(ranges[shard]), *values.shape[1:])
            array = np.lib.format.open_memmap(path, "w+", values.dtype, shape)
        else:
            array = np.lib.format.open_memmap(path, "r+")
        array.view(values.dtype)[start : start + len(values)] = values
        array.flush()
        # The count of rows that are there for good: after the rows themselves.
        reasons[shard] += batch_reasons
        _write_json(_reasons_path(partial, shard), reasons[shard])
        bar.update(len(values))

    with tqdm(
        total=total,
        initial=num_done,
        desc="frozen layers",
        unit="img",
        disable=not processes.is_first(),
    ) as bar:
        waiting = None
        loaded = pipeline.read_batches(
            files, [batch for _, batch in batches], num_workers=num_workers
        )
        for (shard, _), (images, batch_reasons) in zip(batches, loaded, strict=True):
            missing = batch_size - len(images)
            features = forward(np.pad(images, [(0, missing)] + [(0, 0)] * 3))
            if waiting:  # written while the device computes the next
                write(*waiting)
            waiting = shard, features, batch_reasons
        if waiting:
            write(*waiting)


def _features_path(store: Path, shard: int) -> Path:
    return store / f"{shard:05d}.npy"


def _reasons_path(store: Path, shard: int) -> Path:
    return store / f"{shard:05d}.json"


def _digest_files(paths: Sequence[AnyPath]) -> tuple[list[str], list[str]]:
    """BLAKE2b of each file's bytes, and the reason where there are none."""

    def digest(path: AnyPath) -> tuple[str, str]:
        try:
            if storage.is_remote(path):
                return _new_digest(path.read_bytes()).hexdigest(), ""
            with open(path, "rb") as file:
                return hashlib.file_digest(file, _new_digest).hexdigest(), ""
        except StorageError:  # says nothing of the image
            raise
        except OSError as error:
            return "", error.strerror

    once = list(dict.fromkeys(paths))  # however many views there are of each
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = processes.compute_shared(
            lambda mine: list(pool.map(digest, mine)), once
        )
    found = dict(zip(once, answers, strict=True))
    digests, reasons = zip(*(found[path] for path in paths), strict=True)
    return list(digests), list(reasons)


def _read_json(path: Path, default: Any = None) -> Any:
    if default is not None and not path.exists():
        return default
    return json.loads(path.read_text())


def _write_json(path: Path, value: Any) -> None:
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps(value))
    os.replace(beside, path)
