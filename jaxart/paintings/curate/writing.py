"""The data set as files: pictures under names that say what they are, and lists."""

import json
import logging
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from PIL import Image
from tqdm import tqdm

from jaxart import storage
from jaxart.data import names
from jaxart.data.lists import DataError
from jaxart.paintings.curate import paintings
from jaxart.paintings.curate.paintings import Picture
from jaxart.passes.local import map_ahead
from jaxart.storage import AnyPath, results

REPORT = "report.json"

_JPEG_QUALITY = 95
_NUM_REQUESTS = 32  # to an object store at once
_MAX_STEM_BYTES = 120

logger = logging.getLogger(__name__)


def save_resized(image: Image.Image, short_side: int, path: Path) -> None:
    """Writes a picture as JPEG, made smaller where its shorter side is longer."""
    scale = min(1.0, short_side / min(image.size))
    width, height = (round(side * scale) for side in image.size)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = image.resize((width, height), Image.Resampling.LANCZOS)
    storage.write_picture(
        image, path, format="JPEG", quality=_JPEG_QUALITY, subsampling=0
    )


def image_name(picture: Picture, is_resized: bool) -> str:
    """Where a picture lies in the data set: a name that says who, what and which."""
    name, label = PurePath(picture.painting.name), picture.painting.label
    suffix = name.suffix.lower() if names.is_image(name.name) else ""
    stem = f"{slug(name.stem)}_{picture.file.sha256[:12]}"
    return f"images/{slug(label)}/{stem}{'.jpg' if is_resized else suffix}"


def slug(text: str) -> str:
    """A file name's part that is safe anywhere, of bounded length, in any script."""

    def is_safe(char: str) -> bool:
        # Marks are vowels in many scripts: without them, names would be others' names.
        return (
            char.isalnum() or char in "_.()'-" or unicodedata.category(char)[0] == "M"
        )

    safe = "".join(char if is_safe(char) else " " for char in text)
    slug = "-".join(safe.split()).encode()
    return slug[:_MAX_STEM_BYTES].decode(errors="ignore").strip(".-") or "-"


def copy_images(sources: Sequence[AnyPath], folder: Path, names: Sequence[str]) -> None:
    """Copies files into the data set, bit by bit, under these names."""

    def copy(pair: tuple[AnyPath, str]) -> None:
        source, name = pair
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        storage.copy(source, folder / name)

    num_threads = _NUM_REQUESTS if any(map(storage.is_remote, sources)) else 1
    pairs = zip(sources, names, strict=True)
    copies = map_ahead(copy, pairs, num_threads, 2 * num_threads)
    for _ in tqdm(copies, total=len(names), desc="copying", unit="img"):
        pass


def write_lists(
    folder: Path,
    names: Sequence[str],
    pictures: Sequence[Picture],
    class_names: Sequence[str],
    labels: Int[np.ndarray, " n"],
    is_val: Bool[np.ndarray, " n"],
) -> None:
    """train.txt, val.txt, classes.txt and metadata.csv."""
    sides = ["val" if kept_back else "train" for kept_back in is_val]
    for side in ("train", "val"):
        rows = zip(names, labels, sides, strict=True)
        lines = [f"{name} {label}\n" for name, label, own in rows if own == side]
        results.write_text(folder / f"{side}.txt", "".join(lines))
    lines = [f"{i} {name}\n" for i, name in enumerate(class_names)]
    results.write_text(folder / "classes.txt", "".join(lines))
    results.write_csv(
        folder / paintings.METADATA,
        (
            *("path", "label", "style", "artist", "title", "year", "source"),
            *("sha256", "phash", "split"),
        ),
        (
            (
                name,
                label,
                *painting[1:],  # from the style to the source
                storage.version(folder / name),
                file.phash,
                side,
            )
            for name, label, (painting, file), side in zip(
                names, labels, pictures, sides, strict=True
            )
        ),
    )


def made_before(out: Path, about: dict[str, Any]) -> dict[str, Any]:
    """The report of a data set that a call of the same arguments has made.

    A run may be killed when all is done; the same command then has nothing to do.

    Raises:
      DataError: `out` is something else.
    """
    path = out / REPORT
    report = results.read_json(path) if path.is_file() else {}
    made_by = {name: report.pop(name, None) for name in about}
    if made_by != json.loads(json.dumps(about)):
        raise DataError(f"{out}: exists; choose another folder or remove it")
    logger.info("%s: made before by the same command; remove it to make it anew", out)
    return report
