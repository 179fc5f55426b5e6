"""What lists hold and share."""

import csv
import json

import pytest
from PIL import Image

from jaxart.data.examples import DataError
from jaxart.paintings.curate import inspection
from jaxart.paintings.curate.curation import Options, curate
from jaxart.paintings.curate.inspection import inspect


@pytest.fixture
def curated(folder, tmp_path):
    curate(folder, tmp_path / "data", Options(val_fraction=0.34))
    return tmp_path / "data"


def lines(listing):
    return listing.read_text().splitlines()


def add(listing, *more):
    listing.write_text("\n".join([*lines(listing), *more]))


def test_a_curated_set_shares_nothing(curated, tmp_path):
    report = inspect([curated / "train.txt", curated / "val.txt"], tmp_path / "out")
    nothing = {"exact": 0, "near": 0, "grey": 0}
    assert report["copies"] == {
        "train": nothing,
        "train and val": nothing,
        "val": nothing,
    }
    assert report["artists_on_both_sides"] == {"train and val": []}
    sides = report["lists"]
    assert sides["train"]["images"] + sides["val"]["images"] == 36
    assert sides["train"]["artists"] + sides["val"]["artists"] == 14
    for counts in report["classes"].values():
        assert counts["train"] + counts["val"] == 12 and counts["artists"] == 6
        assert counts["shorter_side"] == {"min": 96, "median": 96.0, "max": 96}
    assert json.loads((tmp_path / "out/inspection.json").read_text()) == report
    for name in report["classes"]:
        with Image.open(tmp_path / f"out/{name}.png") as sheet:
            assert sheet.format == "PNG"


def test_leaks_are_counted_and_listed(curated, tmp_path):
    train, val = lines(curated / "train.txt"), lines(curated / "val.txt")
    (train_name, label), (val_name, val_label) = train[0].split(), val[0].split()
    with Image.open(curated / train_name) as image:
        image.resize((60, 60)).save(curated / "images/smaller.png")
    add(curated / "val.txt", f"{train_name} {label}", f"images/smaller.png {label}")
    add(curated / "train.txt", f"{val_name} {1 - int(val_label)}", "images/gone.png 0")
    report = inspect([curated / "train.txt", curated / "val.txt"], tmp_path / "out")
    assert report["copies"] == {
        "train": {"exact": 0, "near": 0, "grey": 0},
        "train and val": {"exact": 2, "near": 1, "grey": 0},
        "val": {"exact": 0, "near": 1, "grey": 0},
    }
    assert len(report["artists_on_both_sides"]["train and val"]) in (1, 2)
    assert report["lists"]["train"]["unreadable"] == 1
    assert report["lists"]["val"]["unknown_artist"] == 1
    with open(tmp_path / "out/copies.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert ("train", train_name, "val", "images/smaller.png", "near") in [
        (r["list_a"], r["path_a"], r["list_b"], r["path_b"], r["kind"]) for r in rows
    ]
    two_labels = [r for r in rows if r["label_a"] != r["label_b"]]
    assert [r["path_a"] for r in two_labels] == [val_name]
    assert "train,images/gone.png" in (tmp_path / "out/unreadable.csv").read_text()


def test_one_folder_is_inspected_too(folder, tmp_path):
    report = inspect([folder], tmp_path / "out")
    assert list(report["lists"]) == ["src"]
    assert report["artists_on_both_sides"] == {}
    assert report["lists"]["src"]["images"] == 36


def test_lists_of_one_name_are_told_apart(curated, tmp_path):
    (tmp_path / "data/more").mkdir()
    other = tmp_path / "data/more/train.txt"
    other.write_text("\n".join(f"../{line}" for line in lines(curated / "val.txt")))
    report = inspect([curated / "train.txt", other], tmp_path / "out")
    assert list(report["lists"]) == [str(curated / "train.txt"), str(other)]


def test_nothing_to_see_is_an_error(tmp_path):
    (tmp_path / "list.txt").write_text("gone.png x\n")
    with pytest.raises(DataError, match="list.txt: none of its images can be read"):
        inspect([tmp_path / "list.txt"], tmp_path / "out")


def test_artists_on_both_sides_are_unknown_where_a_list_has_none(folder, tmp_path):
    (tmp_path / "other").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "other/1.png")
    (tmp_path / "other/list.txt").write_text("1.png pop\n")
    report = inspect([folder, tmp_path / "other/list.txt"], tmp_path / "out")
    assert report["artists_on_both_sides"] == {"src and list": None}
    assert "sides of src and list: unknown" in inspection.summarize(report)
    assert not inspection.shares_anything(report)
