"""What shares saw of the files, in JSON lines: a killed one goes on where it was."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from jaxart import json_lines
from jaxart.curation.decoding import Picture
from jaxart.curation.paintings import Painting
from jaxart.data.fingerprints import Fingerprint
from jaxart.data.images import ImageError

Look = Callable[[Sequence[Painting]], Iterator[Picture | ImageError]]


def fill(
    path: Path, found: Sequence[Painting], chosen: Sequence[int], look: Look
) -> None:
    """Writes a line for each of the paintings at the indices `chosen` that has none."""
    done = set()
    lines = json_lines.Appender(path, _is_entry, lambda line: done.add(line["index"]))
    with contextlib.closing(lines):
        missing = [index for index in chosen if index not in done]
        taken = look([found[index] for index in missing])
        for index, picture in zip(missing, taken, strict=True):
            if isinstance(picture, ImageError):
                lines.append({"index": index, "reason": str(picture)})
            else:
                lines.append({"index": index, "fingerprint": picture.fingerprint})


def read(
    paths: Iterable[Path], found: Sequence[Painting]
) -> list[Picture | ImageError]:
    """What the lines of all shares say of each painting."""
    taken: dict[int, Picture | ImageError] = {}
    for path in paths:
        for line in json_lines.read(path, _is_entry):
            if "reason" in line:
                taken[line["index"]] = ImageError(line["reason"])
            else:
                fingerprint = Fingerprint(*line["fingerprint"])
                taken[line["index"]] = Picture(found[line["index"]], fingerprint)
    return [taken[index] for index in range(len(found))]


def _is_entry(line: json_lines.Entry) -> bool:
    return "index" in line and ("reason" in line or "fingerprint" in line)
