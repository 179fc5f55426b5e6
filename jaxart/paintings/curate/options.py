"""What curate can be told. Quick to import: `--help` shows the choices."""

import dataclasses

from jaxart.data.choices import MAX_DISTANCE

SPLITS = ("artist", "stratified", "random")
GREY_COPIES = ("drop", "keep")
METADATA = "metadata.csv"  # says who painted what, in the folder of a source


@dataclasses.dataclass(frozen=True)
class Options:
    """What becomes part of the data set, and how it is split."""

    classes: tuple[str, ...] = ()  # names of those to take; () takes all
    split: str = "artist"  # one of `SPLITS`
    val_fraction: float = 0.2  # share of each class to keep for validation
    seed: int = 0  # of the split and the caps
    max_per_class: int | None = None  # pictures of a class; None takes all
    max_per_artist: int | None = None  # pictures of an artist in a class; likewise
    resize: int | None = None  # shorter side of larger pictures; None copies files
    max_distance: int = MAX_DISTANCE  # bits of 256: near duplicates
    grey_copies: str = "drop"  # or "keep", on one side: black and white reproductions
