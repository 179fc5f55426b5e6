"""Both sides of the data over one set of inputs, without what cannot be read."""

import collections
import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from jaxart.data.examples import DataError, Examples
from jaxart.data.files import File
from jaxart.models import MODELS
from jaxart.training import feed, inputs, loop
from jaxart.training.config import Config
from jaxart.training.run import Run
from jaxart.training.sides import Sides
from tests import opening, runs


def side(root, names, labels):
    return Examples(root, names, np.array(labels, np.int32), ("baroque", "cubism"))


def prepare(
    tmp_path, reasons=("",) * 5, later=None, max_skipped_fraction=0.5, views=("whole",)
):
    """Three training and two validation images, with the reasons of their files."""
    train = side(tmp_path / "a", ("0.jpg", "1.jpg", "2.jpg"), [0, 1, 1])
    val = side(tmp_path / "b", ("3.jpg", "4.jpg"), [1, 0])
    asked = []

    looked = [
        File(sha256=f"content {i}", reason=reason) for i, reason in enumerate(reasons)
    ]

    def compute_inputs(paths, views, contents):
        asked.extend(zip(paths, views, strict=True))
        for path, content in zip(paths, contents, strict=True):
            i = int(path.stem)
            assert content == ("" if reasons[i] else f"content {i}")
        return np.arange(len(paths)), later or [""] * len(paths)

    config = Config(views=views, max_skipped_fraction=max_skipped_fraction)
    run = Run(config, tmp_path, checkpoints=None, layout=None)
    data = inputs.prepare(run, Sides(train, val, looked, None), compute_inputs)
    return data, asked


def test_both_sides_share_one_set_of_inputs(tmp_path):
    data, asked = prepare(tmp_path)
    assert asked == [(tmp_path / "a" / f"{i}.jpg", "whole") for i in range(3)] + [
        (tmp_path / "b" / f"{i}.jpg", "whole") for i in (3, 4)
    ]
    np.testing.assert_array_equal(data.train, [[0], [1], [2]])
    np.testing.assert_array_equal(data.val, [3, 4])
    np.testing.assert_array_equal(data.labels, [0, 1, 1, 1, 0])
    assert (tmp_path / "skipped.csv").read_text() == "path,split,reason\n"


def test_what_cannot_be_read_is_left_out_and_listed(tmp_path):
    data, _ = prepare(tmp_path, ["", "cut, short", "", "", "empty"])
    np.testing.assert_array_equal(data.train, [[0], [2]])
    np.testing.assert_array_equal(data.val, [3])
    assert data.num_skipped == 2
    with open(tmp_path / "skipped.csv", newline="") as file:
        assert list(csv.reader(file))[1:] == [
            ["1.jpg", "train", "cut, short"],
            ["4.jpg", "val", "empty"],
        ]


def test_training_sees_every_view_and_validation_the_whole(tmp_path):
    # Three training pictures in two views, the second one unreadable; 3.jpg, 4.jpg.
    views = ("center", "whole_mirrored")
    data, asked = prepare(tmp_path, ["", "cut", "", "", "empty"], views=views)
    assert [(path.name, view) for path, view in asked] == [
        *(("0.jpg", "center"), ("0.jpg", "whole_mirrored")),
        *(("1.jpg", "center"), ("1.jpg", "whole_mirrored")),
        *(("2.jpg", "center"), ("2.jpg", "whole_mirrored")),
        *(("3.jpg", "whole"), ("4.jpg", "whole")),
    ]
    np.testing.assert_array_equal(data.train, [[0, 1], [4, 5]])
    np.testing.assert_array_equal(data.val, [6])
    np.testing.assert_array_equal(data.labels, [0, 0, 1, 1, 1, 1, 1, 0])
    assert data.names == tuple(path.name for path, _ in asked)
    # Each is one example, however many views it has.
    assert data.num_skipped == 2
    assert (tmp_path / "skipped.csv").read_text().splitlines()[1:] == [
        "1.jpg,train,cut",
        "4.jpg,val,empty",
    ]


def test_what_went_after_the_look_is_left_out_too(tmp_path):
    data, _ = prepare(tmp_path, ["cut", *[""] * 4], later=["", "", "", "gone", ""])
    np.testing.assert_array_equal(data.train, [[1], [2]])
    np.testing.assert_array_equal(data.val, [4])
    lines = (tmp_path / "skipped.csv").read_text().splitlines()
    assert lines[1:] == ["0.jpg,train,cut", "3.jpg,val,gone"]


@pytest.mark.parametrize("cache", [True, False])
def test_training_reads_each_file_once_before_the_network_sees_it(
    config, tmp_path, monkeypatch, quick_compiles, cache
):
    monkeypatch.setitem(MODELS, "tinynet", runs.TinyNet)
    config.model, config.cache, config.num_epochs = "tinynet", cache, 1
    root = tmp_path / "pictures"
    paintings = sorted(Path(config.train_data).rglob("*.png"))
    for number, path in enumerate(paintings):
        copy = root / path.parent.name / f"{number}.png"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    config.train_data = str(root)
    opened = opening.watch(monkeypatch)
    for run in ("first", "second") if cache else ("first",):
        opened.clear()
        result = loop.train_and_evaluate(config, tmp_path / run)
        assert result["leaks"] == {"exact": 0, "near": 0, "grey": 0}
        counts = sorted(collections.Counter(opened).values())
        if cache:  # the look, and the frozen layers, once for all
            assert counts == [2 if run == "first" else 1] * 21
        else:  # an epoch of 15; 6 after it, and in the end
            assert counts == [2] * 15 + [3] * 6


def test_pictures_that_go_during_a_run_are_skipped_and_listed(
    config, tmp_path, monkeypatch, quick_compiles
):
    monkeypatch.setitem(MODELS, "tinynet", runs.TinyNet)
    config.model, config.cache, config.num_epochs = "tinynet", False, 2
    config.max_skipped_fraction = 0.0
    root = tmp_path / "pictures"
    shutil.copytree(config.train_data, root)
    config.train_data = str(root)
    make = feed.make_feed
    gone = {}

    def make_feed_and_lose_two(*arguments):
        made = make(*arguments)
        for side, index in (
            ("train", made.data.train[0, 0]),
            ("val", made.data.val[1]),
        ):
            gone[side] = made.data.names[index]
            (root / gone[side]).unlink()
        return made

    monkeypatch.setattr(loop, "make_feed", make_feed_and_lose_two)
    result = loop.train_and_evaluate(config, tmp_path / "run")
    assert result["num_skipped"] == 2 and result["num_val"] == 5
    lines = (tmp_path / "run/skipped.csv").read_text().splitlines()
    assert sorted(lines[1:]) == sorted(
        f"{name},{side},No such file or directory" for side, name in gone.items()
    )
    predictions = (tmp_path / "run/predictions.csv").read_text()
    assert len(predictions.splitlines()) == 1 + 5 and gone["val"] not in predictions


@pytest.mark.parametrize(
    ("reasons", "fraction", "message"),
    [
        (["", "bad", "", "", "bad"], 0.3, r"2 of 5 images.*1\.jpg: bad.*image_root"),
        (["", "", "", "bad", "bad"], 0.9, "no readable image is left"),
        (["bad", "bad", "bad", "", ""], 0.9, "no readable image is left"),
    ],
)
def test_too_many_or_all_unreadable_is_an_error(tmp_path, reasons, fraction, message):
    with pytest.raises(DataError, match=message):
        prepare(tmp_path, reasons, max_skipped_fraction=fraction)
