"""Validation images that training has too: what would flatter a result."""

import logging
from collections.abc import Sequence

from jaxart.data import duplicates
from jaxart.data.examples import Examples
from jaxart.data.files import File
from jaxart.storage import AnyPath, results

logger = logging.getLogger(__name__)


def find(
    train: Examples, val: Examples, *, files: Sequence[File], workdir: AnyPath
) -> dict[str, int]:
    """Counts validation images that training has too: 'exact', 'near' and 'grey'.

    Of a grey pair, one is black and white.

    `files` is what all their files are, those of training first. leaks.csv in `workdir`
    lists each such image with the training image that is surest the same.
    """
    sides, names = [], []
    for examples, start in ((train, 0), (val, len(train.names))):
        side = files[start : start + len(examples.names)]
        sides.append([file for file in side if not file.reason])
        both = zip(examples.names, side, strict=True)
        names.append([name for name, file in both if not file.reason])
    pairs = duplicates.between(*sides)
    listing = workdir / "leaks.csv"
    results.write_csv(
        listing,
        ("val_path", "train_path", "kind", "distance"),
        ((names[1][b], names[0][a], kind, distance) for a, b, kind, distance in pairs),
    )
    counts = {k: sum(p.kind == k for p in pairs) for k in duplicates.KINDS}
    if pairs:
        logger.warning(
            "%d of %d validation images are training images too, %d are near copies of "
            "some, and %d are some in grey or in colour: see %s. They flatter the "
            "result; `jaxart wikiart curate` makes lists without them.",
            counts["exact"],
            len(val.names),
            counts["near"],
            counts["grey"],
            listing,
        )
    return counts
