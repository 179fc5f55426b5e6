"""The images that a run was trained on, by their content: a file of its folder."""

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
    """The SHA-256 of each training image, in hex; None where no run kept a list.

    Raises:
      DamagedError: the list is no table of `write`.
    """
    if source is None:
        return None
    try:
        rows = results.read_dicts(source / NAME, "sha256")
    except (FileNotFoundError, NotADirectoryError):  # or no run
        return None
    return frozenset(row["sha256"] for row in rows)
