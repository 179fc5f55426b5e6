"""Where results may go: nobody overwrites another's."""

from jaxart.storage import AnyPath


def check_not_a_run(folder: AnyPath) -> None:
    """Makes sure that a folder is not that of a training run, whose files it holds.

    Raises:
      ValueError: it is.
    """
    if (folder / "config.json").is_file() and (folder / "checkpoints").is_dir():
        raise ValueError(
            f"{folder} is a run of jaxart.main, whose files would be overwritten: "
            "choose another --out, such as a folder in it"
        )


def check_not_of_maps(file: AnyPath) -> None:
    """Makes sure that a file is none of those that a folder of maps consists of.

    Raises:
      ValueError: it is.
    """
    is_of_maps = (file.parent / "manifest.jsonl").is_file()
    if is_of_maps and file.name in ("manifest.jsonl", "skipped.csv"):
        raise ValueError(
            f"{file} belongs to the maps in its folder: choose another name"
        )
