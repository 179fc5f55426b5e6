"""The data set huggan/wikiart on the Hugging Face hub: Parquet files with images.

The hub's own client keeps them in its cache, and goes on with a file that was cut. The
packages that this takes are large; they are imported where it is used.
"""

import functools
import importlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from jaxart.paintings.download.errors import Refused, WikiartError
from jaxart.paintings.download.painting import (
    Offer,
    Painting,
    plain_text,
    require_known,
    style_name,
)
from jaxart.paintings.download.session import MAX_IMAGE_BYTES

REPOSITORY = "huggan/wikiart"

_ROWS_AT_ONCE = 32  # each with an image of about 0.4 MB
_COLUMNS = ("image", "artist", "style")
_NOBODY = "Unknown Artist"


def offers(wanted: Sequence[str]) -> Iterator[Offer]:
    """What the data set holds of the styles wanted, one Parquet file after the other.

    Raises:
      WikiartError: a package is missing, the hub cannot be reached, a file is not
        what it should be, or there is no such style.
    """
    hub, parquet = _import("huggingface_hub"), _import("pyarrow.parquet")
    names = _ask(hub.list_repo_files, REPOSITORY, repo_type="dataset")
    names = sorted(name for name in names if name.endswith(".parquet"))
    get = functools.partial(_ask, hub.hf_hub_download, REPOSITORY, repo_type="dataset")
    if not names:
        raise WikiartError(f"{REPOSITORY}: has no Parquet files")
    for number, name in enumerate(names):
        with _open(parquet, get(name)) as file:
            artists, styles = _class_names(file.schema_arrow.metadata or {}, get)
            if number == 0:
                require_known(wanted, styles, REPOSITORY)
            for number_in_file, row in enumerate(_rows(file, name)):
                style = _name(styles, row["style"])
                if style in wanted:
                    artist = _name(artists, row["artist"])
                    painting = Painting(
                        style=style,
                        id=f"hf{number}r{number_in_file}",
                        artist="" if artist == _NOBODY else artist,
                        title="",
                        year="",
                        url="",
                        source=f"{REPOSITORY}/{name} row {number_in_file}",
                    )
                    yield painting, functools.partial(_write, row["image"])
                if not wanted:
                    return


def _import(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise WikiartError(
            f"{REPOSITORY} needs {module}: pip install 'jaxart[hf]'"
        ) from None


def _ask(call: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
    """Calls the hub's client."""
    try:
        return call(*arguments, **settings)
    # Its HTTP library changes with its version, and so do the errors.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise WikiartError(
            f"{REPOSITORY} on the Hugging Face hub: {type(error).__name__}: {reason}"
        ) from error


def _open(parquet: ModuleType, path: str) -> Any:
    try:
        return parquet.ParquetFile(path, memory_map=True)
    except (ValueError, OSError) as error:
        raise WikiartError(f"{path}: not a Parquet file: {error}") from error


def _class_names(
    metadata: dict[bytes, bytes], get: Callable[[str], str]
) -> tuple[list[str], list[str]]:
    """The artists and the styles that the numbers stand for.

    They are in a file's own metadata, or else in the repository's dataset_infos.json.
    """
    try:
        own = json.loads(metadata.get(b"huggingface", b"{}"))
        infos = [own["info"]] if "info" in own else []
        if not infos:
            text = Path(get("dataset_infos.json")).read_text("utf-8")
            infos = list(json.loads(text).values())
        features = infos[0]["features"]
        artists, styles = (features[key]["names"] for key in ("artist", "style"))
        return list(map(plain_text, artists)), list(map(style_name, styles))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise WikiartError(
            f"{REPOSITORY}: nothing says what its classes are called ({error!r})"
        ) from error


def _rows(file: Any, name: str) -> Iterator[dict[str, Any]]:
    missing = set(_COLUMNS) - set(file.schema_arrow.names)
    if missing:
        raise WikiartError(f"{REPOSITORY}/{name}: no column {', '.join(missing)}")
    try:
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=list(_COLUMNS)):
            yield from batch.to_pylist()
    except (ValueError, OSError) as error:
        raise WikiartError(f"{REPOSITORY}/{name}: {error}") from error


def _name(names: Sequence[str], index: Any) -> str:
    is_index = isinstance(index, int) and 0 <= index < len(names)
    return names[index] if is_index else ""


def _write(image: Any, path: Path) -> None:
    content = image.get("bytes") if isinstance(image, dict) else None
    if not content:
        raise Refused("the row has no image")
    if len(content) > MAX_IMAGE_BYTES:
        raise Refused(f"more than {MAX_IMAGE_BYTES:,} bytes")
    path.write_bytes(content)
