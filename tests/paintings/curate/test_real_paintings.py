"""Real paintings: nothing is taken for a copy, and planted copies are found."""

import random
import shutil

import numpy as np
import pytest

from jaxart.paintings.curate import paintings, splits
from jaxart.paintings.curate.curation import Options, curate
from jaxart.paintings.curate.inspection import inspect
from tests import ROOT
from tests.paintings.curate import copies
from tests.paintings.curate.test_curation import load, rows

PAINTINGS = ROOT.parent / "shared/data/paintings"
ARTISTS = PAINTINGS / "SOURCES.tsv"
NUM_PLANTED = 300

pytestmark = [
    pytest.mark.xdist_group("real_paintings"),
    pytest.mark.slow,
    pytest.mark.skipif(
        not PAINTINGS.exists(), reason=f"the paintings are not at {PAINTINGS}"
    ),
]


def test_lists_share_neither_artist_nor_picture(tmp_path):
    lists = [PAINTINGS / "train.txt", PAINTINGS / "test.txt"]
    report = inspect(lists, tmp_path, metadata=ARTISTS)
    nothing = {"exact": 0, "near": 0, "grey": 0}
    assert set(report["lists"]) == {"train", "test"}
    assert report["copies"] == {
        "train": nothing,
        "train and test": nothing,
        "test": nothing,
    }
    assert report["artists_on_both_sides"] == {"train and test": []}
    assert report["lists"]["train"]["artists"] == 401


def test_planted_copies_are_found(tmp_path):
    source = shutil.copytree(PAINTINGS, tmp_path / "paintings")
    originals = sorted(source.glob("*/*.jpg"))
    labels = sorted({path.parent.name for path in originals})
    planted = set()
    for number, path in enumerate(random.Random(0).sample(originals, NUM_PLANTED)):
        label = path.parent.name
        if number % 6 == 5:
            label = labels[(labels.index(label) + 1) % len(labels)]
        copy = source / label / f"copy-{number}.jpg"
        kind = copies.KINDS[number % len(copies.KINDS)]
        kind(load(path)).save(copy, quality=90)
        planted.add(frozenset(p.relative_to(source).as_posix() for p in (path, copy)))
    report = curate(source, tmp_path / "out", Options(split="stratified"))
    found = {
        frozenset((row["path_a"], row["path_b"])): row
        for row in rows(tmp_path / "out/duplicates.csv")
    }
    assert len(planted & set(found)) >= 0.95 * NUM_PLANTED
    assert len(set(found) - planted) <= 3
    assert report["found"] == len(originals) + NUM_PLANTED
    for pair, row in found.items():
        other_label = len({name.split("/")[0] for name in pair}) == 2
        assert row["action"] == ("drop_both" if other_label else "drop_b")


@pytest.mark.parametrize("val_fraction", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("seed", [0, 1])
def test_artists_are_shared_out_so_that_classes_keep_their_share(val_fraction, seed):
    _, found = paintings.read(PAINTINGS, metadata=ARTISTS)
    labels = np.unique([p.label for p in found], return_inverse=True)[1]
    names = np.array([paintings.artist_key(p.artist) for p in found])
    is_val = splits.split(
        "artist",
        labels,
        names.tolist(),
        [p.name for p in found],
        val_fraction=val_fraction,
        seed=seed,
    )
    assert not set(names[is_val]) & set(names[~is_val])
    for label in range(10):
        assert abs(is_val[labels == label].mean() - val_fraction) < 0.05
