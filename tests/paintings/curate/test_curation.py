"""A whole data set: what is kept, what is listed, and what it depends on."""

import contextlib
import csv
import hashlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys

import imagehash
import numpy as np
import pytest
from PIL import Image

from jaxart.data import examples, files
from jaxart.data.examples import DataError
from jaxart.paintings.curate import curation, looking
from jaxart.paintings.curate.curation import Options, curate
from jaxart.passes.driver import BusyError
from jaxart.passes.folder import Folder, OtherPassError
from tests import ROOT
from tests.paintings.curate import copies


def load(path):
    with Image.open(path) as image:
        return image.convert("RGB")


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_folder_becomes_lists_that_training_reads(folder, tmp_path):
    out = tmp_path / "out"
    report = curate(folder, out, Options(val_fraction=0.34))
    assert sorted(path.name for path in out.iterdir()) == [
        *("classes.txt", "duplicates.csv", "images", "metadata.csv"),
        *("report.json", "skipped.csv", "train.txt", "val.txt"),
    ]
    train, val = (
        examples.read(out / f"{side}.txt", num_classes=3) for side in ("train", "val")
    )
    assert train.class_names == ("brush_strokes", "ink_mist", "ruled_grid")
    assert len(train.names) == report["train"] and len(val.names) == report["val"]
    assert len(train.names) + len(val.names) == report["kept"] == report["found"] == 36
    assert all(path.is_file() for path in [*train.paths, *val.paths])
    for name, counts in report["classes"].items():
        label = train.class_names.index(name)
        assert (counts["train"], counts["val"]) == (
            (train.labels == label).sum(),
            (val.labels == label).sum(),
        )
        assert counts["val_share"] == pytest.approx(1 / 3) and counts["artists"] == 6
    assert report["artists"] == 14 and report["artists_on_both_sides"] == 0
    assert report["warnings"] == []
    said = json.loads((out / "report.json").read_text())
    assert said["options"]["val_fraction"] == 0.34 and said["kept"] == 36
    assert not (tmp_path / "out.partial").exists()


def test_metadata_says_what_each_file_is(folder, tmp_path):
    out = tmp_path / "out"
    curate(folder, out, Options())
    found = rows(out / "metadata.csv")
    sides = {
        side: {
            line.split()[0] for line in (out / f"{side}.txt").read_text().splitlines()
        }
        for side in ("train", "val")
    }
    for row in found:
        content = (out / row["path"]).read_bytes()
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert content == (folder / row["source"]).read_bytes()
        assert row["phash"] == str(imagehash.phash(load(out / row["path"]), 16))
        assert row["path"] in sides[row["split"]]
        assert row["style"] == row["source"].split("/")[0]
        assert row["artist"] in row["source"] and row["title"] in ("one", "two")
    assert len(found) == len(sides["train"] | sides["val"]) == 36


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(out):
    """Each file of a data set but its report, which names the source."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name != "report.json"
    }


@pytest.mark.parametrize("split", ["artist", "stratified", "random"])
def test_the_order_of_a_list_changes_nothing(folder, tmp_path, split):
    shutil.copy(folder / "ink_mist/painter-of-all-a_one.png", folder / "copy_a.png")
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.png"))
    made = []
    for attempt in range(3):
        random.Random(attempt).shuffle(names)
        lines = [f"{n} {n.split('/')[0] if '/' in n else 'ink_mist'}\n" for n in names]
        (folder / "list.txt").write_text("".join(lines))
        options = Options(split=split, max_per_class=9)
        curate(folder / "list.txt", tmp_path / f"out{attempt}", options)
        made.append(contents(tmp_path / f"out{attempt}"))
    assert made[0] == made[1] == made[2]
    curate(folder / "list.txt", tmp_path / "seed1", Options(split=split, seed=1))
    assert contents(tmp_path / "seed1")["train.txt"] != made[0]["train.txt"]


def test_planted_copies_are_found_and_nothing_else(folder, tmp_path):
    originals = sorted(folder.rglob("*.png"))
    planted = {}
    for number, path in enumerate(originals):
        style, kind = path.parent, copies.KINDS[number % len(copies.KINDS)]
        if number % 4 == 0:  # under another label
            style = folder / (
                "ruled_grid" if style.name != "ruled_grid" else "ink_mist"
            )
        copy = style / f"copyist_{number}-x.png"
        kind(load(path)).save(copy)
        names = [p.relative_to(folder).as_posix() for p in (path, copy)]
        planted[frozenset(names)] = style != path.parent
    report = curate(folder, tmp_path / "out", Options())
    found = rows(tmp_path / "out/duplicates.csv")
    assert {frozenset((r["path_a"], r["path_b"])) for r in found} == set(planted)
    for row in found:
        other_label = planted[frozenset((row["path_a"], row["path_b"]))]
        assert row["action"] == ("drop_both" if other_label else "drop_b")
        assert (row["label_a"] != row["label_b"]) == other_label
        assert row["kind"] == "near" and 0 <= int(row["distance"]) <= 64
    assert report["two_labels"] == 2 * 9 and report["copies"] == 27
    kept = {row["source"] for row in rows(tmp_path / "out/metadata.csv")}
    assert len(kept) == report["kept"] == 27
    for names, other_label in planted.items():
        assert len(kept & names) == (0 if other_label else 1)


def test_bad_files_are_listed_and_the_rest_goes_on(folder, paint, tmp_path):
    (folder / "ink_mist/text_x.jpg").write_text("<html>not a picture</html>")
    (folder / "ink_mist/empty_x.jpg").write_bytes(b"")
    cut = paint("ink_mist/cut_x.jpg", 77, size=200)
    cut.write_bytes(cut.read_bytes()[:-500])
    report = curate(folder, tmp_path / "out", Options())
    skipped = {r["path"]: r["reason"] for r in rows(tmp_path / "out/skipped.csv")}
    assert list(skipped) == [
        f"ink_mist/{name}_x.jpg" for name in ("cut", "empty", "text")
    ]
    assert skipped["ink_mist/empty_x.jpg"] == "the file is empty"
    assert report["unreadable"] == 3 and report["kept"] == 36


def test_what_is_left_of_a_file_is_noted_and_the_picture_stays(folder, tmp_path):
    name = next(path for path in sorted(folder.rglob("*")) if path.is_file())
    with Image.open(name) as picture:
        picture.save(name, icc_profile=b"no profile")
    report = curate(folder, tmp_path / "out", Options(split="stratified"))
    (noted,) = rows(tmp_path / "out/notes.csv")
    assert noted["path"] == name.relative_to(folder).as_posix()
    assert noted["note"].startswith("its colour profile is not used")
    assert report["unreadable"] == 0


def test_nobodys_pictures_are_left_out_of_a_split_by_artist_only(
    folder, paint, tmp_path
):
    paint("ink_mist/0001.png", 101)
    paint("ink_mist/unknown-artist_x.png", 102)
    report = curate(folder, tmp_path / "artist", Options())
    assert report["unknown_artist"] == 2 and report["kept"] == 36
    assert [r["reason"] for r in rows(tmp_path / "artist/skipped.csv")] == [
        "nobody knows the artist"
    ] * 2
    report = curate(folder, tmp_path / "random", Options(split="random"))
    assert report["unknown_artist"] == 0 and report["kept"] == 38


def test_caps_and_classes(folder, tmp_path):
    options = Options(
        classes=("ink_mist", "ruled_grid"), max_per_class=5, max_per_artist=1
    )
    report = curate(folder, tmp_path / "out", options)
    assert report["found"] == 24 and report["kept"] == 10 and report["over_cap"] == 14
    assert list(report["classes"]) == ["ink_mist", "ruled_grid"]
    found = rows(tmp_path / "out/metadata.csv")
    keys = [(row["style"], row["artist"]) for row in found]
    assert len(set(keys)) == len(keys)


@pytest.fixture
def decoded(monkeypatch):
    """The digests of the files that are decoded."""
    decoded, real = [], files.decode

    def decode(content, file, *args):
        decoded.append(file.sha256)
        return real(content, file, *args)

    monkeypatch.setattr(files, "decode", decode)
    return decoded


def test_resized_pictures_are_decoded_once_and_written_small(
    folder, paint, tmp_path, decoded
):
    paint("ink_mist/tall_x.jpg", 201, size=600, quality=95)
    wide = load(paint("ink_mist/wide_x.png", 202, size=300))
    wide.crop((0, 0, 300, 200)).save(folder / "ink_mist/wide_x.png")
    out = tmp_path / "out"
    curate(folder, out, Options(resize=100, max_per_class=11))
    assert sorted(decoded) == sorted(digest(path) for path in folder.rglob("*.*"))
    found = {row["source"]: row for row in rows(out / "metadata.csv")}
    assert {str(p.relative_to(out)) for p in out.glob("images/*/*")} == {
        row["path"] for row in found.values()
    }
    for source, size in (("tall", (100, 100)), ("wide", (150, 100))):
        name = f"ink_mist/{source}_x.{'jpg' if source == 'tall' else 'png'}"
        if name in found:
            assert load(out / found[name]["path"]).size == size
    assert {"ink_mist/tall_x.jpg", "ink_mist/wide_x.png"} & set(found)
    row = found["brush_strokes/painter-of-all-a_one.png"]
    written, original = load(out / row["path"]), load(folder / row["source"])
    assert row["path"].endswith(".jpg") and written.size == (96, 96)  # never enlarged
    assert np.abs(np.asarray(written, int) - np.asarray(original, int)).mean() < 4
    content = (out / row["path"]).read_bytes()
    assert row["sha256"] == hashlib.sha256(content).hexdigest()


def test_hostile_names_stay_inside(paint, tmp_path):
    names = ["../../evil_a.png", "x y\n_b.png", ".hidden_c.png", "é" * 60 + "_d.png"]
    labels = ["../../up", "/etc", "..", "a b"]
    for number, name in enumerate(names):
        paint(f"in/deep/{name}", number)
    listing = tmp_path / "src/in/deep/list.csv"
    with open(listing, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        writer.writerows(
            (n, label) for n, label in zip(names, labels, strict=True) if "\n" not in n
        )
    before = {p for p in tmp_path.rglob("*")}
    out = tmp_path / "out"
    curate(listing, out, Options(split="random", val_fraction=0.4))
    new = {p for p in tmp_path.rglob("*")} - before
    assert all(path == out or out in path.parents for path in new)
    assert sorted(p.name for p in (out / "images").iterdir()) == ["-", "a-b", "up"]
    train = examples.read(out / "train.txt", num_classes=3)
    assert all(path.is_file() for path in train.paths)


def test_a_class_that_cannot_be_shared_out_is_warned_of(folder, paint, tmp_path):
    for title in range(6):
        paint(f"woodblock_waves/hokusai_view-{title}x.png", title, "woodblock_waves")
    report = curate(folder, tmp_path / "out", Options())
    assert report["warnings"] == [
        "woodblock_waves: 0.0% of 6 pictures are for validation, not 20.0%; it has 1 "
        "artists"
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(classes=("cubism",)), "no class cubism; there are brush_strokes, ink"),
        (Options(val_fraction=0.001, split="random"), "leaves one side empty"),
        (Options(max_per_class=0), "no picture is left: found 36"),
    ],
)
def test_what_cannot_be_done_makes_nothing_and_costs_no_second_look(
    folder, tmp_path, options, message, decoded, cache
):
    with pytest.raises(DataError, match=message):
        curate(folder, tmp_path / "out", options)
    there = ["src"] if options.classes else ["out.parts", "src"]
    assert sorted(path.name for path in tmp_path.iterdir()) == there
    forget(cache)
    curate(folder, tmp_path / "out", Options())
    assert len(decoded) == 36
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "src"]


def test_an_existing_folder_is_not_touched(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(DataError, match="out: exists; choose another folder"):
        curate(folder, out, Options())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "src"]
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("is_killed_before_its_parts_go", [True, False])
def test_the_same_command_leaves_its_whole_data_set_and_another_refuses_it(
    folder, tmp_path, monkeypatch, is_killed_before_its_parts_go
):
    out = tmp_path / "out"
    ended = contextlib.nullcontext()
    with monkeypatch.context() as patch:
        if is_killed_before_its_parts_go:
            patch.setattr(Folder, "remove", stop)
            ended = pytest.raises(KeyboardInterrupt)
        with ended:
            curate(folder, out, Options(classes=("ink_mist",)))
    assert (tmp_path / "out.parts").is_dir() == is_killed_before_its_parts_go
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    report = curate(folder, out, Options(classes=("ink_mist",)))
    assert report == curate(folder, tmp_path / "one", Options(classes=("ink_mist",)))
    for changed in ({"seed": 1}, {"classes": ()}):
        with pytest.raises(DataError, match="out: exists; choose another folder"):
            curate(folder, out, Options(**{"classes": ("ink_mist",)} | changed))
    with pytest.raises(DataError, match="out: exists; choose another folder"):
        curate(folder, out, Options(classes=("ink_mist",)), any_suffix=True)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "out", "src"]


def test_a_curated_folder_is_curated_again(folder, tmp_path):
    curate(folder, tmp_path / "out", Options(split="random"))
    listing = tmp_path / "out/train.txt"
    report = curate(listing, tmp_path / "again", Options())
    assert report["kept"] == len(listing.read_text().splitlines())
    assert report["unknown_artist"] == 0
    for a, b in itertools.combinations(rows(tmp_path / "again/metadata.csv"), 2):
        assert a["sha256"] != b["sha256"]


def stop(*arguments):
    raise KeyboardInterrupt


def forget(cache):
    """Nothing is known of any file."""
    for path in cache.iterdir():
        path.unlink()


@pytest.fixture
def mixed(folder, monkeypatch):
    """Parts of 4 files; one of 39 is no picture, and two are copies of others."""
    monkeypatch.setattr(curation, "_BATCH_SIZE", 2)
    monkeypatch.setattr(curation, "_NUM_BATCHES", 2)
    (folder / "ink_mist/text_x.jpg").write_text("<html>not a picture</html>")
    copy = folder / "ink_mist/painter-of-all-a_one.png"
    shutil.copy(copy, folder / "ink_mist/copyist-b_one.png")
    shutil.copy(copy, folder / "ruled_grid/copyist-c_one.png")
    return folder


def stop_after(patch, num_batches):
    """A pass stops as if killed when it has finished with so many batches."""
    finish, calls = looking._Looking.finish, []

    def finish_or_stop(self, *arguments):
        calls.append(arguments)
        return stop() if len(calls) > num_batches else finish(self, *arguments)

    patch.setattr(looking._Looking, "finish", finish_or_stop)


@pytest.mark.parametrize("resize", [None, 50])
def test_a_stopped_one_goes_on_and_makes_the_same(
    mixed, tmp_path, decoded, resize, monkeypatch, cache
):
    options, out = Options(resize=resize, max_per_class=9), tmp_path / "out"
    report = curate(mixed, tmp_path / "one", options)
    for num_batches in (5, 4):  # 2 parts and a half, 2 more
        with monkeypatch.context() as patch:
            stop_after(patch, num_batches)
            with pytest.raises(KeyboardInterrupt):
                curate(mixed, out, options)
        assert not out.exists()
    forget(cache)
    decoded.clear()
    assert curate(mixed, out, options) == report
    different = 39 if resize else 37  # where nothing is resized, copies are known
    assert different - 4 * 4 <= len(decoded) <= 39 - 4 * 4
    assert contents(out) == contents(tmp_path / "one")
    assert report_of(out) == report_of(tmp_path / "one")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "out", "src"]


def report_of(out):
    return json.loads((out / "report.json").read_text())


def test_what_changed_meanwhile_is_looked_at_again(mixed, paint, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 12)
        with pytest.raises(KeyboardInterrupt):
            curate(mixed, tmp_path / "out", Options())
    paint("ink_mist/text_x.jpg", 300)
    paint("ink_mist/new_x.png", 301)
    (mixed / "brush_strokes/painter-of-all-a_one.png").unlink()
    curate(mixed, tmp_path / "out", Options())
    curate(mixed, tmp_path / "one", Options())
    assert contents(tmp_path / "out") == contents(tmp_path / "one")


def test_a_second_one_is_refused_while_the_first_is_at_work(
    mixed, tmp_path, monkeypatch
):
    finish, refused = looking._Looking.finish, []

    def disturbed(self, *arguments):
        with pytest.raises(BusyError, match="out.parts: process .* is at work here"):
            curate(mixed, tmp_path / "out", Options())
        refused.append(True)
        return finish(self, *arguments)

    monkeypatch.setattr(looking._Looking, "finish", disturbed)
    assert curate(mixed, tmp_path / "out", Options())["found"] == 39
    assert len(refused) == 20


def test_parts_of_another_size_or_reader_are_refused(mixed, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        with pytest.raises(KeyboardInterrupt):
            curate(mixed, out, Options(resize=40))
    with pytest.raises(OtherPassError, match="resize=40; this run has resize=None"):
        curate(mixed, out, Options())
    with monkeypatch.context() as patch:
        patch.setattr("jaxart.data.images.READER_VERSION", 99)
        with pytest.raises(OtherPassError, match="reader=.*; this run has reader=.99"):
            curate(mixed, out, Options(resize=40))


CHILD = """
import os, signal, sys
from pathlib import Path
from jaxart.paintings.curate import curation, looking
from jaxart.data import files

finish, calls = looking._Looking.finish, []

def finish_or_die(self, *arguments):
    calls.append(arguments)
    if len(calls) > 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return finish(self, *arguments)

files.default_cache_dir = lambda: Path(sys.argv[3])
looking._Looking.finish = finish_or_die
curation._BATCH_SIZE = curation._NUM_BATCHES = 2
curation.curate(Path(sys.argv[1]), Path(sys.argv[2]), curation.Options(resize=50))
"""


@pytest.mark.slow
def test_a_killed_one_goes_on(mixed, tmp_path, cache, decoded):
    folders = [str(path) for path in (mixed, tmp_path / "out", cache)]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, *folders],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "7"},
        stderr=subprocess.PIPE,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    assert not (tmp_path / "out").exists()
    curate(mixed, tmp_path / "out", Options(resize=50))
    assert len(decoded) == 39 - 2 * 4
    curate(mixed, tmp_path / "one", Options(resize=50))
    assert contents(tmp_path / "out") == contents(tmp_path / "one")


# --- Without artists ------------------------------------------------------------------


@pytest.fixture
def nameless(paint, tmp_path):
    """Class folders of pictures by nobody knows whom."""
    for number, label in enumerate(("10", "9")):
        for seed in range(4):
            paint(f"{label}/{seed}.png", (number, seed))
    return tmp_path / "src"


def test_a_split_by_artists_says_of_which_class_they_are_missing(nameless, tmp_path):
    with pytest.raises(DataError) as error:
        curate(nameless, tmp_path / "out", Options(split="artist"))
    assert str(error.value) == (
        "nobody knows the artist of 4 of 4 pictures of 9, 4 of 4 pictures of 10. "
        "--split=artist needs artists: give --metadata, or keep these pictures with "
        "--split=stratified"
    )


def test_pictures_of_unknown_artists_are_left_out_with_a_warning(
    nameless, paint, tmp_path
):
    for seed, artist in enumerate("abcdef"):
        paint(f"10/{artist * 3}_one.png", (7, seed))
    options = Options(split="artist", val_fraction=0.5)
    report = curate(nameless, tmp_path / "out", options)
    assert report["warnings"][0].startswith(
        "left out: nobody knows the artist of 4 of 4 pictures of 9, 4 of 10 pictures "
    )
    assert report["artists_on_both_sides"] == 0 and [*report["classes"]] == ["10"]


def test_artists_on_both_sides_are_unknown_where_none_is_known(nameless, tmp_path):
    options = Options(split="stratified", val_fraction=0.5)
    report = curate(nameless, tmp_path / "out", options)
    assert report["artists_on_both_sides"] is None
    assert [*report["classes"]] == ["9", "10"]
    assert curation.summarize(report).endswith(
        "artists on both sides: unknown, for no artist is"
    )
    assert (tmp_path / "out/classes.txt").read_text() == "0 9\n1 10\n"


def test_one_artist_cannot_be_split(paint, tmp_path):
    for seed in range(4):
        paint(f"pop/klee_{seed}x.png", (0, seed))
    with pytest.raises(DataError, match=r"one side empty \(artists: 1\); --split=str"):
        curate(tmp_path / "src", tmp_path / "out", Options(split="artist"))
