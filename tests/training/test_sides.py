"""The two sides of the data: read, looked at once, and checked for leaks."""

import csv

import numpy as np
import pytest
from PIL import Image

from jaxart.data import files
from jaxart.data.examples import Examples
from jaxart.training import leaks, sides
from jaxart.training.config import Config
from jaxart.training.run import Run


def examples_of(root, names, labels):
    return Examples(root, names, np.array(labels, np.int32), ("baroque", "cubism"))


def test_a_file_on_both_sides_is_looked_at_once(paintings, tmp_path, monkeypatch):
    looked, look = [], files.look
    monkeypatch.setattr(
        files,
        "look",
        lambda paths, *a, **k: looked.extend(paths) or look(paths, *a, **k),
    )
    train = examples_of(paintings, ("ruled_grid/0.png", "ruled_grid/1.png"), [0, 1])
    val = examples_of(paintings, ("none.png", "ruled_grid/0.png"), [0, 1])
    found = sides.look(train, val, tmp_path)
    assert looked == [*train.paths, val.paths[0]]
    assert [file.reason for file in found] == ["", "", "No such file or directory", ""]
    assert found[0] == found[3] != found[1]


@pytest.mark.parametrize(
    ("train_data", "check_leaks", "is_checked"),
    [("folder", True, True), ("folder", False, False), ("procedural", True, False)],
)
def test_lists_are_checked_for_leaks_unless_they_are_painted_or_it_is_not_wanted(
    tmp_path, monkeypatch, train_data, check_leaks, is_checked
):
    both = [examples_of(tmp_path / side, (), []) for side in ("train", "val")]
    checked = []
    monkeypatch.setattr(sides, "read_examples", lambda *_: both)
    monkeypatch.setattr(leaks, "find", lambda *found, **_: checked.append([*found]))
    config = Config(
        train_data=train_data, check_leaks=check_leaks, cache_dir=str(tmp_path)
    )
    sides.read_sides(Run(config, tmp_path, checkpoints=None, layout=None))
    assert checked == [both] * is_checked


def test_what_is_left_of_files_is_noted_and_costs_no_picture(tmp_path):
    for side in ("train", "val"):
        (tmp_path / side / "a").mkdir(parents=True)
        picture = Image.new("RGB", (8, 8), (9, 99, 200))
        picture.save(tmp_path / side / "a/sound.png")
        picture.save(tmp_path / side / "a/odd.png", icc_profile=b"no profile")
    config = Config(
        train_data=str(tmp_path / "train"),
        val_data=str(tmp_path / "val"),
        cache_dir=str(tmp_path / "cache"),
    )
    found = sides.read_sides(Run(config, tmp_path, checkpoints=None, layout=None))
    assert [file.reason for file in found.looked] == [""] * 4
    with open(tmp_path / "notes.csv", newline="") as file:
        header, *noted = csv.reader(file)
    assert header == ["path", "split", "note"]
    assert [row[:2] for row in noted] == [["a/odd.png", "train"], ["a/odd.png", "val"]]
    assert all(row[2].startswith("its colour profile is not used") for row in noted)


@pytest.mark.parametrize("is_painted", [True, False], ids=["painted", "folder"])
def test_the_seed_leaves_the_validation_images_alone(
    paintings, tmp_path, monkeypatch, is_painted
):
    monkeypatch.setattr(sides, "PROCEDURAL_IMAGES_PER_STYLE", 7)
    source = "procedural" if is_painted else str(paintings)

    def validation(number, **seeds):
        config = Config(train_data=source, val_fraction=2 / 7, **seeds)
        _, val = sides.read_examples(config, tmp_path / str(number))
        return [(path.name, path.read_bytes()) for path in val.paths]

    assert validation(0) == validation(1, seed=1)
    assert validation(0) != validation(2, split_seed=1)


def test_the_painted_pictures_are_written_once(tmp_path, monkeypatch):
    monkeypatch.setattr(sides, "PROCEDURAL_IMAGES_PER_STYLE", 2)
    config = Config(train_data="procedural", val_fraction=0.5, seed=3)
    train, val = sides.read_examples(config, tmp_path)
    assert len(train.class_names) == 10
    assert len(train.names) == len(val.names) == 10
    first = train.paths[0].stat().st_mtime_ns
    again, _ = sides.read_examples(config, tmp_path)
    assert again.names == train.names
    assert again.paths[0].stat().st_mtime_ns == first


def test_training_is_told_of_odd_data(tmp_path, caplog):
    for name, grey in (("a", 0), ("b", 0), ("c", 99), ("d", 50), ("e", 70)):
        Image.new("L", (8, 8), grey).save(tmp_path / f"{name}.png!Large", "PNG")
    for label, name in zip(("pop", "Pop", "zen"), "abc", strict=True):
        (tmp_path / "in" / label).mkdir(parents=True)
        (tmp_path / f"{name}.png!Large").rename(tmp_path / "in" / label / name)
    (tmp_path / "val.txt").write_text("d.png!Large zen\ne.png!Large Pop\n")
    config = Config(
        **{"train_data": f"{tmp_path}/in", "val_data": f"{tmp_path}/val.txt"},
        **{"any_suffix": True, "cache_dir": str(tmp_path), "check_leaks": False},
    )
    read = sides.read_sides(Run(config, tmp_path, checkpoints=None, layout=None))
    assert read.train.names == ("Pop/b", "pop/a", "zen/c")
    assert read.val.labels.tolist() == [2, 0]
    assert caplog.messages == [
        "Classes with fewer than 5 training pictures (3): Pop 1, pop 1, zen 1",
        "Classes that differ in case, accents or spaces alone (1): 'Pop' and 'pop'",
        "Training pictures under two labels (1): Pop/b = pop/a (Pop and pop)",
    ]
