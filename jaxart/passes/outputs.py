"""Where results may go: nobody overwrites another's. Quick to import."""

import json
from typing import TypeVar

from jaxart import storage
from jaxart.passes.driver import SETTINGS
from jaxart.storage import AnyPath

P = TypeVar("P", bound=AnyPath)

# Of a folder of maps; the parts are there before the rest is.
_MANIFEST, _SKIPPED, _PARTS = "manifest.jsonl", "skipped.csv", "parts"


def sibling(out: P, ending: str) -> P:
    """A file beside a table, named after it."""
    return out.with_name(f"{out.stem}.{ending}")


def check_table(out: AnyPath, source: AnyPath, features: str | None = None) -> None:
    """Makes sure that a table can be written, and overwrites nothing that it must not.

    `source` says which images it is of; activations of `features` go beside it.

    Raises:
      ValueError: it would overwrite what it is of, or another's results; or a folder
        is where the table would go.
      StorageError: a file's name would be too long.
    """
    endings = ("skipped.csv", "notes.csv", "metrics.json")
    endings += (f"{features}.npy", f"{features}.csv") if features else ()
    written = [out, *(sibling(out, ending) for ending in endings)]
    storage.check_names(*written)
    if storage.resolve(source) in map(storage.resolve, written):
        raise ValueError(f"out={out} would overwrite {source}: choose another name")
    if out.is_dir():
        raise ValueError(f"out={out} is a folder")
    check_not_a_run(out.parent)
    check_not_of_maps(out)


def check_not_a_run(folder: AnyPath) -> None:
    """Raises a `ValueError` for the folder of a training run, whose files it holds."""
    if (folder / "checkpoints").is_dir() or _has_network(folder / "config.json"):
        raise ValueError(
            f"{folder} is a run of `jaxart train`, whose files would be overwritten: "
            "choose another --out, such as a folder in it"
        )


def check_not_of_maps(file: AnyPath) -> None:
    """Raises a `ValueError` for a file that a folder of maps consists of."""
    signs = (file.parent / _MANIFEST, file.parent / _PARTS / SETTINGS)
    if file.name in (_MANIFEST, _SKIPPED) and any(sign.is_file() for sign in signs):
        raise ValueError(
            f"{file} belongs to the maps in its folder: choose another name"
        )


def _has_network(path: AnyPath) -> bool:
    """Whether a file is a run's config.json, which is there before any checkpoint."""
    try:
        config = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    return isinstance(config, dict) and "network" in config
