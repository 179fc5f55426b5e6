"""Gets publicly known weight files into the user's cache folder.

pooch keeps the cache: it checks hashes and puts a file in its place whole or not at
all. The transfer is ours, since pooch neither resumes nor has mirrors. What has come
of a file waits beside it in `NAME.part`, and `NAME.part.origin` says where from.
"""

import contextlib
import functools
import itertools
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import platformdirs
import pooch
import requests
from filelock import FileLock
from tqdm import tqdm

from jaxart import storage
from jaxart.storage import disk
from jaxart.weights.errors import WeightsError
from jaxart.weights.known_files import KnownFile

_ATTEMPTS = 4
_TIMEOUTS_S = (20, 60)  # to connect, between two reads
_CHUNK_BYTES = 1 << 14  # what a cut loses at most: urllib3 drops part of a chunk
_MAX_BYTES = 2 << 30
_STALE_SECONDS = 3600
_HTML_STARTS = (b"<!doctype", b"<html", b"<head")


def download(
    file: KnownFile, cache_dir: Path | None = None, mirrors: Sequence[str] = ()
) -> Path:
    """Gets a file from the cache, or else from the first place that has it.

    What an earlier call left unfinished is gone on with. Files are kept in `cache_dir`,
    or else in the user's cache. `MIRROR/NAME` is tried before the file's own URLs.

    Raises:
      WeightsError: no place gave the right file (the message says of each why), or
        the cache cannot be written.
      StorageError: its disk has no room for the file.
    """
    folder = cache_dir or platformdirs.user_cache_path("jaxart") / "weights"
    path = folder / file.name
    urls = [f"{mirror.rstrip('/')}/{file.name}" for mirror in mirrors]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with disk.named(path), FileLock(f"{path}.lock"):
            _remove_left(path.parent)
            _fetch_from_first(file, path, [*urls, *file.urls])
    except storage.StorageError:
        raise
    except OSError as error:
        raise WeightsError(f"{path}: cannot be written: {error}") from error
    return path


def _remove_left(folder: Path) -> None:
    """Removes what pooch was hashing, for seconds, where a run was killed meanwhile."""
    for path in folder.glob("tmp????????"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ctime < time.time() - _STALE_SECONDS:
                path.unlink()


def _fetch_from_first(file: KnownFile, path: Path, urls: list[str]) -> None:
    if path.exists() and file.num_bytes not in (None, path.stat().st_size):
        path.unlink()  # without a hash, pooch would take it for the file
    reasons = []
    for url in urls:
        try:
            return _fetch(file, path, url)
        except (ValueError, requests.RequestException) as error:
            reasons.append(f"  {url}\n    {_describe(error)}")
    raise WeightsError(
        "\n".join([f"{file.name} cannot be downloaded:", *reasons])
        + "\nTry again (it goes on where it was cut), name another place with "
        "--mirror=URL, or get the file by hand and convert it with --src=FILE."
    )


def _fetch(file: KnownFile, path: Path, url: str) -> None:
    """Puts the file in its place from one URL, unless it is there already."""
    pooch.get_logger().setLevel(logging.WARNING)  # its hints are for programmers
    partial = _partial_of(path)
    had_partial = partial.exists()
    retrieve = functools.partial(
        pooch.retrieve,
        url,
        file.known_hash,
        fname=path.name,
        path=path.parent,
        # Its protocol names the parameters otherwise; it gives them by position.
        downloader=functools.partial(_transfer, file),  # pyright: ignore[reportArgumentType]
    )
    try:
        retrieve()
    except ValueError:
        if not had_partial or partial.exists():
            raise
        retrieve()  # the fault may have been in the old part, which is gone now


def _transfer(file: KnownFile, url: str, output_file: str, _pooch: Any) -> None:
    """A downloader as pooch calls it; pooch then checks the hash of `output_file`."""
    partial = _partial_of(Path(output_file).with_name(file.name))
    for _ in range(_ATTEMPTS):
        cut = _receive(file, url, partial)
        if not cut:
            break
    else:
        raise WeightsError(f"cut off {_ATTEMPTS} times; the last time: {cut}")
    num_bytes = partial.stat().st_size
    if num_bytes > _MAX_BYTES or file.num_bytes not in (None, num_bytes):
        _discard(partial)
        due = f"{file.num_bytes:,}" if file.num_bytes else f"at most {_MAX_BYTES:,}"
        raise WeightsError(f"{num_bytes:,} bytes came, not {due}")
    storage.move(partial, Path(output_file))
    _discard(partial)


def _receive(file: KnownFile, url: str, partial: Path) -> str:
    """Makes one request; returns how its answer was cut, or '' if the file is whole."""
    start, headers = _where_to_resume(file, url, partial)
    with requests.get(
        url, headers=headers, stream=True, timeout=_TIMEOUTS_S
    ) as response:
        status = response.status_code
        content_range = response.headers.get("Content-Range", "")
        is_as_asked = content_range.startswith(f"bytes {start}-")
        if status == 416 or (status == 206 and not is_as_asked):
            _discard(partial)
            return f"HTTP status {status} with Content-Range {content_range!r}"
        if status not in (200, 206):
            raise WeightsError(f"HTTP status {status} {response.reason}")
        try:
            chunks = response.iter_content(_CHUNK_BYTES)
            if status == 200:
                chunks = _refuse_html(chunks)
                _discard(partial)
                _origin_of(partial).write_text(f"{url}\n{_validator(response.headers)}")
            length = response.headers.get("Content-Length")
            return _append(file, partial, chunks, length)
        except requests.RequestException as error:
            return _describe(error)


def _where_to_resume(
    file: KnownFile, url: str, partial: Path
) -> tuple[int, dict[str, str]]:
    """The first byte to ask for, and the headers that ask for it."""
    headers = {"Accept-Encoding": "identity"}  # so that lengths are the file's
    if not partial.exists():
        return 0, headers
    origin = _origin_of(partial).read_text() if _origin_of(partial).exists() else ""
    origin_url, _, validator = origin.partition("\n")
    if origin_url == url and validator:
        headers["If-Range"] = validator
    elif file.known_hash is None:
        return 0, headers  # nothing would tell whether both halves are of one file
    start = partial.stat().st_size
    return start, headers | {"Range": f"bytes={start}-"}


def _refuse_html(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks, once the first is known to be no web page's."""
    first = next(chunks, b"")
    if first.lstrip()[:9].lower().startswith(_HTML_STARTS):
        raise WeightsError("an HTML page came in place of the file")
    return itertools.chain([first], chunks)


def _append(
    file: KnownFile, partial: Path, chunks: Iterator[bytes], length: str | None
) -> str:
    """Appends chunks, but not without end; returns how they were cut, or ''."""
    with open(partial, "ab") as stream:
        start = stream.tell()
        total = start + int(length) if length else None
        storage.require_room(partial, int(length or 0))
        with tqdm(
            desc=file.name,
            initial=start,
            total=total,
            unit="B",
            unit_scale=True,
            disable=None,  # where no terminal shows it
        ) as bar:
            for chunk in chunks:
                stream.write(chunk)
                bar.update(len(chunk))
                if stream.tell() > (file.num_bytes or _MAX_BYTES):
                    return ""
        if total not in (None, stream.tell()):
            return f"{stream.tell():,} of {total:,} bytes came"
    return ""


def _validator(headers: Mapping[str, str]) -> str:
    """What If-Range may hold: a strong ETag, or a date; '' where there is neither."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified", "")


def _partial_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _origin_of(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.origin")


def _discard(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    _origin_of(partial).unlink(missing_ok=True)


def _describe(error: Exception) -> str:
    """One line; requests' own text would repeat the URL."""
    cause = error.args[0] if error.args else error
    return " ".join(str(getattr(cause, "reason", cause)).split())
