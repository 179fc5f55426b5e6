"""Validation images that training has too."""

import csv
import logging

import numpy as np
import pytest
from PIL import Image

from jaxart.data import files, procedural
from jaxart.data.examples import Examples
from jaxart.training import leaks


@pytest.fixture
def sides(tmp_path):
    """4 training images; of 4 for validation, one is equal and one is a copy."""

    def save(side, number, image):
        path = tmp_path / side / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        image.save(path)

    images = [
        Image.fromarray(procedural.paint("ink_mist", seed, 96)) for seed in range(6)
    ]
    for i in range(4):
        save("train", i, images[i])
    for i, image in enumerate(
        (images[4], images[2], images[1].resize((70, 70)), images[5])
    ):
        save("val", i, image)
    return [
        Examples(
            tmp_path / side,
            tuple(f"{i}.png" for i in range(4)),
            np.zeros(4, np.int32),
            ("x",),
        )
        for side in ("train", "val")
    ]


def find(train, val, tmp_path):
    looked = files.look([*train.paths, *val.paths], tmp_path)
    return leaks.find(train, val, files=looked, workdir=tmp_path)


def rows(workdir):
    with open(workdir / "leaks.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_leaks_are_counted_listed_and_warned_of(sides, tmp_path, caplog):
    assert find(*sides, tmp_path) == {
        "exact": 1,
        "near": 1,
        "grey": 0,
    }
    (exact, near) = rows(tmp_path)
    assert list(exact.values()) == ["1.png", "2.png", "exact", "0"]
    assert list(near.values())[:3] == ["2.png", "1.png", "near"]
    assert "1 of 4 validation images are training images too, 1 are near" in caplog.text
    assert str(tmp_path / "leaks.csv") in caplog.text


def test_a_black_and_white_copy_is_a_leak_of_its_own_kind(sides, tmp_path, caplog):
    with Image.open(sides[0].paths[3]) as picture:
        picture.convert("L").save(sides[1].paths[0])
    assert find(*sides, tmp_path) == {"exact": 1, "near": 1, "grey": 1}
    grey = rows(tmp_path)[0]
    assert [grey[k] for k in ("val_path", "train_path", "kind")] == [
        *("0.png", "3.png"),
        "grey",
    ]
    assert "1 are some in grey or in colour" in caplog.text


def test_files_that_cannot_be_read_leave_the_others_their_names(sides, tmp_path):
    for side in sides:
        side.paths[0].write_text("no image")
    sides[0].paths[1].unlink()
    assert find(*sides, tmp_path) == {
        "exact": 1,
        "near": 0,
        "grey": 0,
    }
    assert list(rows(tmp_path)[0].values()) == ["1.png", "2.png", "exact", "0"]


def test_no_leaks_no_warning(sides, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    val = sides[1].take(np.array([0, 3]))
    counts = find(sides[0], val, tmp_path)
    assert counts == {"exact": 0, "near": 0, "grey": 0}
    assert rows(tmp_path) == [] and caplog.text == ""
