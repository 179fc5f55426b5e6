"""The two sides of the data: read, looked at once, and checked for leaks."""

import numpy as np
import pytest

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
