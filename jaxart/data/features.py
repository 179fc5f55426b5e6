"""The frozen-prefix cache: what the frozen part says of each image, computed once.

A store is a folder named after its content: the frozen weights, the layers, the
preprocessing, and the bytes and views of the images. So a store is never out of date;
another weight or pixel makes another one. While it is being made it has another name,
and a pass that was stopped continues there.
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from jaxart import storage
from jaxart.data import pipeline
from jaxart.remote import StorageError
from jaxart.storage import AnyPath

FORMAT = 3

logger = logging.getLogger(__name__)


class FeatureRows:
    """A store's rows as a network's inputs: indices [B] -> features [B, ...]."""

    def __init__(self, features: np.ndarray, rows: np.ndarray):
        self._features = features
        self._rows = rows

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        return self._features[self._rows[indices]]


def compute(
    forward: Callable[[np.ndarray], Any],
    files: pipeline.ImageFiles,
    *,
    prefix: Mapping[str, Any],
    dtype: str = "float32",
    cache_dir: str | os.PathLike,
    batch_size: int,
    num_workers: int = 0,
) -> tuple[FeatureRows, list[str]]:
    """Runs the frozen part over image files once, or finds that it has been done.

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
    """
    digests, unreadable = _digest_files(files.paths)
    views = files.views or ["whole"] * len(digests)
    items = list(zip(digests, views, strict=True))
    content = sorted({item for item in items if item[0]})
    if not content:
        return FeatureRows(np.empty(0), np.zeros(len(items), np.int64)), unreadable
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
    with FileLock(store.with_suffix(".lock")):
        if store.is_dir():
            logger.info("Features of the frozen layers: found in %s", store)
        else:
            path_of = dict(zip(digests, files.paths, strict=True))
            unique = dataclasses.replace(
                files,
                paths=[path_of[digest] for digest, _ in content],
                views=[view for _, view in content],
            )
            partial = store.with_suffix(".partial")
            partial.mkdir(exist_ok=True)
            _write_json(partial / "key.json", key)
            _fill(partial, forward, unique, batch_size, num_workers)
            os.replace(partial, store)

    reason_of = dict(zip(content, _read_json(store / "reasons.json"), strict=True))
    reasons = [
        reason or reason_of[item]
        for reason, item in zip(unreadable, items, strict=True)
    ]
    row_of = {item: row for row, item in enumerate(content)}
    rows = np.array([row_of.get(item, 0) for item in items], np.int64)
    # A .npy file does not know bfloat16: it says that there are two bytes.
    features = np.load(store / "features.npy", mmap_mode="r").view(dtype)
    return FeatureRows(features, rows), reasons


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


def _fill(
    partial: Path,
    forward: Callable[[np.ndarray], Any],
    files: pipeline.ImageFiles,
    batch_size: int,
    num_workers: int,
) -> None:
    """Writes the rows of `files` in order, from where an earlier pass stopped."""
    reasons = _read_json(partial / "reasons.json", default=[])
    total = len(files.paths)
    logger.info("Features of the frozen layers: %d images into %s", total, partial)
    if reasons:
        logger.info("An earlier pass stopped after %d of them: going on", len(reasons))

    def write(features: Any, batch_reasons: list[str]) -> None:
        values = np.asarray(features)[: len(batch_reasons)]
        rows = slice(len(reasons), len(reasons) + len(values))
        path = partial / "features.npy"
        if rows.start == 0:
            shape = (total, *values.shape[1:])
            array = np.lib.format.open_memmap(path, "w+", values.dtype, shape)
        else:
            array = np.lib.format.open_memmap(path, "r+")
        array.view(values.dtype)[rows] = values
        array.flush()
        # The count of rows that are there for good: after the rows themselves.
        reasons.extend(batch_reasons)
        _write_json(partial / "reasons.json", reasons)
        bar.update(len(values))

    with tqdm(
        total=total, initial=len(reasons), desc="frozen layers", unit="img"
    ) as bar:
        waiting = None
        for images, batch_reasons in pipeline.read_all(
            files, batch_size=batch_size, first=len(reasons), num_workers=num_workers
        ):
            missing = batch_size - len(images)
            features = forward(np.pad(images, [(0, missing)] + [(0, 0)] * 3))
            if waiting:  # written while the device computes the next
                write(*waiting)
            waiting = features, batch_reasons
        if waiting:
            write(*waiting)


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
        found = dict(zip(once, pool.map(digest, once), strict=True))
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
