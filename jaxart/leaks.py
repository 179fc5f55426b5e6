"""Validation images that training has too: what would flatter a result."""

import logging
from pathlib import Path

from jaxart import results
from jaxart.data import duplicates, fingerprint_store
from jaxart.data.examples import Examples
from jaxart.storage import AnyPath

logger = logging.getLogger(__name__)


def find(
    train: Examples, val: Examples, *, store: Path, workdir: AnyPath
) -> dict[str, int]:
    """Looks for validation images that are training images, or near copies of some.

    Args:
      train: training examples.
      val: validation examples.
      store: the folder where fingerprints are kept.
      workdir: gets leaks.csv: each such image with the nearest training image.

    Returns:
      How many validation images are 'exact' and how many 'near' copies.
    """
    taken = fingerprint_store.take_all([*train.paths, *val.paths], store)
    sides, names = [], []
    for examples, start in ((train, 0), (val, len(train.names))):
        side = taken[start : start + len(examples.names)]
        sides.append([look for look in side if look is not None])
        names.append(
            [
                n
                for n, look in zip(examples.names, side, strict=True)
                if look is not None
            ]
        )
    pairs = duplicates.between(*sides)
    listing = workdir / "leaks.csv"
    results.write_csv(
        listing,
        ("val_path", "train_path", "kind", "distance"),
        ((names[1][b], names[0][a], kind, distance) for a, b, kind, distance in pairs),
    )
    counts = {k: sum(p.kind == k for p in pairs) for k in ("exact", "near")}
    if pairs:
        logger.warning(
            "%d of %d validation images are training images too, and %d are near "
            "copies of some: see %s. They flatter the result; tools/wikiart.py curate "
            "makes lists without them.",
            counts["exact"],
            len(val.names),
            counts["near"],
            listing,
        )
    return counts
