"""The images that a run was trained on, by their content: a file of its folder."""

import csv
import io
from collections.abc import Iterable, Sequence

from jaxart.data.files import File
from jaxart.storage import AnyPath, results

NAME = "training_images.csv"


def write(
    table: AnyPath, names: Sequence[str], labels: Sequence[str], files: Iterable[File]
) -> None:
    """Lists the readable images of a side of the data, each with what it was then."""
    rows = (
        (name, label, file.sha256, file.phash)
        for name, label, file in zip(names, labels, files, strict=True)
        if not file.reason
    )
    results.write_csv(table, ("path", "label", "sha256", "phash"), rows)


def read(source: AnyPath | None) -> frozenset[str] | None:
    """The SHA-256 of each training image, in hex; None where no run kept a list."""
    if source is None:
        return None
    try:
        content = (source / NAME).read_bytes()
    except (FileNotFoundError, NotADirectoryError):  # or no run
        return None
    text = content.decode("utf-8", "surrogateescape")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return frozenset(row["sha256"] for row in rows)
