"""Runs over folders and lists, with a network that costs nothing."""

import csv
import errno
import functools
import itertools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxart import storage
from jaxart.classifier import Classifier, ClassifierError
from jaxart.data import images, listing
from jaxart.passes.folder import OtherPassError
from jaxart.saliency import catalogue, pictures, render, run, work
from jaxart.saliency.choices import SCALES
from jaxart.saliency.options import Options
from jaxart.saliency.question import Question
from jaxart.storage.results import DamagedError
from tests import runs
from tests.saliency import page_data
from tests.saliency.conftest import CLASSES


def explain(classifier, source, out, batch_size=4, part_size=None, **changed):
    """Grad-CAM of every image, raw maps only, unless told otherwise."""
    asked = {
        **{"method": "grad_cam", "settings": {"layer": "relu5"}, "channel_rule": ""},
        "target": "predicted",
    }
    for name in ("method", "settings", "channel_rule", "target", "against"):
        asked |= {name: changed.pop(name)} if name in changed else {}
    options = {
        **{"questions": (Question(**asked),), "resize": "antialias", "save": ("npy",)},
        **{"scale": "image", "percentile": 99.0, "colormap": "auto", "seed": 0},
    }
    return run.explain_images(
        classifier,
        listing.read(source),
        out,
        Options(**options | changed),
        batch_size=batch_size,
        part_size=part_size,
    )


def maps_of(out):
    return {
        path.relative_to(out / "npy").as_posix(): np.load(path)
        for path in sorted((out / "npy").rglob("*.npy"))
    }


def assert_maps_equal(found, wanted, rtol=0.0):
    assert found.keys() == wanted.keys() and found
    for name in wanted:
        assert found[name].dtype == np.float32
        largest = np.abs(wanted[name]).max()
        error = np.abs(found[name] - wanted[name]).max()
        assert error <= rtol * largest, name


def skipped_of(out):
    with open(out / "skipped.csv", encoding="utf-8", newline="") as file:
        return {row["path"]: row["reason"] for row in csv.DictReader(file)}


def files_of(out):
    return {
        path.relative_to(out).as_posix(): path.stat().st_mtime_ns
        for path in out.rglob("*")
        if path.is_file()
    }


# --- The whole ------------------------------------------------------------------------


def load(path, resize="antialias"):
    preprocessing = runs.TinyNet.preprocessing
    return jnp.asarray(images.load(path, resize=resize, **preprocessing))


def grad_cam(classifier, images, targets):
    """Logits and maps, from the network's two halves."""
    variables = {"params": classifier.params}

    def head(features):
        return classifier.model.apply(variables, features, after="relu5")

    @jax.jit
    def explained(images, targets):
        features = classifier.model.apply(variables, images, upto="relu5")
        rows = jnp.arange(len(targets))
        gradient = jax.grad(lambda x: head(x)[rows, targets].sum())(features)
        weights = gradient.mean(axis=(1, 2), keepdims=True)
        small = jax.nn.relu((weights * features).sum(-1))
        return head(features), jax.image.resize(small, (len(rows), 16, 16), "bilinear")

    return explained(jnp.stack(images), jnp.array(targets))


def test_a_folder_becomes_maps_pictures_record_and_page(
    command, tiny, tiny_run, folder, tmp_path, entries, caplog
):
    out = tmp_path / "out"
    arguments = [
        *(f"--workdir={tiny_run}", f"--images={folder}", f"--out={out}"),
        *("--method=grad_cam", "--save=overlay,heatmap,npy,sheet", "--batch_size=4"),
    ]
    done = command(*arguments)
    assert done.status == 0, done.stderr
    assert done.stdout == f"10 images: {out / 'index.html'}\n"

    found = entries(out)
    names = [entry["path"] for entry in found]
    assert names == list(listing.read(folder).names)
    assert {"0.png", "b/1.png", "b/c d/2.png"} < set(names)
    inputs = [load(folder / name) for name in names]
    direct = grad_cam(tiny, inputs, [entry["target"] for entry in found])
    for entry, logits, wanted in zip(found, *map(np.asarray, direct), strict=True):
        with Image.open(folder / entry["path"]) as picture:
            size = picture.size
        assert entry["size"] == list(size)
        shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        order = np.argsort(-logits)
        assert entry["predicted"] == entry["target"] == order[0]
        assert entry["predicted_name"] == entry["target_name"] == CLASSES[order[0]]
        assert entry["logit"] == entry["target_logit"]
        assert entry["logit"] == pytest.approx(logits.max(), rel=1e-4)
        assert entry["probability"] == pytest.approx(shares.max(), rel=1e-4)
        assert [one["index"] for one in entry["top5"]] == order.tolist()
        assert "label" not in entry  # no folder is named like a class
        assert (entry["method"], entry["settings"]) == ("grad_cam", {"layer": "relu5"})

        files = entry["files"]
        assert set(files) == {
            *("overlay", "heatmap", "npy", "thumbnail", "picture", "map")
        }
        assert files["heatmap"] == f"heatmap/{entry['path']}.png"
        for kind in ("overlay", "heatmap"):
            with Image.open(out / files[kind]) as picture:
                assert picture.size == size
        values = np.load(out / files["npy"])
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-6)
        assert entry["map"] == {
            "min": float(values.min()),
            "max": float(values.max()),
            "sum": pytest.approx(float(values.sum(dtype=np.float64))),
            "limit": pytest.approx(float(np.percentile(values, 99))),
        }
    assert sum(np.load(out / entry["files"]["npy"]).max() > 0 for entry in found) > 5

    report = json.loads((out / "run.json").read_text())
    assert report["counts"] == {
        **{"found": 10, "done_before": 0, "done_now": 10, "skipped": 0}
    }
    assert report["list"]["batch_size"] == 4
    assert report["options"]["settings"] == [{"layer": "relu5"}]
    assert report["options"]["resize"] == "antialias"  # the run's own
    assert report["network"]["num_classes"] == 4
    assert report["seconds"] > 0 and report["images_per_second"] > 0
    assert report["peak_memory_bytes"] > 50e6
    assert skipped_of(out) == {}
    assert (out / "index.html").is_file()
    assert [row[0] for row in page_data.read(out)["rows"]] == names
    assert [path.name for path in (out / "sheet").iterdir()] == ["0001.jpg"]
    assert not [name for name in files_of(out) if ".tmp" in name]

    # The same command again has nothing to do, and touches no file.
    before = files_of(out)
    caplog.set_level("INFO", "jaxart")
    again = command(*arguments)
    assert again.status == 0
    assert again.stdout == done.stdout
    assert "All 10 images are done already" in caplog.text
    assert files_of(out) == before


def test_an_output_folder_inside_the_images_is_not_explained(
    command, tiny_run, folder, tmp_path, entries
):
    pictures = tmp_path / "pictures"
    for name in ("0.png", "b/1.png"):
        (pictures / name).parent.mkdir(exist_ok=True, parents=True)
        (pictures / name).write_bytes((folder / name).read_bytes())
    out = pictures / "out"
    for _ in range(2):
        done = command(
            *(f"--workdir={tiny_run}", f"--images={pictures}", f"--out={out}"),
            "--method=grad_cam",
        )
        assert done.status == 0, done.stderr
        assert [entry["path"] for entry in entries(out)] == ["0.png", "b/1.png"]


def test_a_signed_method_is_drawn_with_its_zero_in_the_middle(tiny, folder, tmp_path):
    explain(
        *(tiny, folder / "0.png", tmp_path),
        **{"method": "gradient_x_input", "settings": {}, "channel_rule": "sum"},
        save=("npy", "heatmap"),
    )
    values = np.load(tmp_path / "npy" / "0.png.npy")
    assert values.min() < 0 < values.max()
    limit = render.magnitude(values, 99.0)
    levels = np.array(Image.open(tmp_path / "heatmap" / "0.png.png"))
    levels = np.array(Image.fromarray(levels).resize((16, 16)))
    wanted = np.clip(128 + 127 * values / limit, 1, 255)
    assert np.corrcoef(levels.ravel(), wanted.ravel())[0, 1] > 0.8
    assert levels.min() < 128 < levels.max()


# --- Targets --------------------------------------------------------------------------


def favour(classifier, target, bias=1000.0):
    """The classifier, sure of one class."""
    params = jax.tree.map(lambda x: x, classifier.params)
    params["fc8"]["bias"] = params["fc8"]["bias"].at[target].set(bias)
    return classifier._replace(params=params)


def test_index_name_and_prediction_are_one_target(tiny, folder, tmp_path, entries):
    sure = favour(tiny, 1)
    maps = {}
    for target in ("predicted", "1", "OWL", "Teddy"):
        out = tmp_path / target
        explain(sure, folder, out, target=target)
        maps[target] = maps_of(out)
        for entry in entries(out):
            assert entry["predicted"] == 1
            assert entry["target"] == (2 if target == "Teddy" else 1)
            assert entry["target_name"] == ("Teddy" if target == "Teddy" else "owl")
            if target != "Teddy":
                assert entry["target_logit"] == entry["logit"]
            else:
                assert entry["target_logit"] < entry["logit"]
    for target in ("1", "OWL"):
        assert_maps_equal(maps[target], maps["predicted"])
    difference = [
        np.abs(maps["Teddy"][name] - maps["1"][name]).max() for name in maps["1"]
    ]
    assert max(difference) > 0


def test_labels_of_a_list_are_targets(tiny, folder, tmp_path, entries):
    source = tmp_path / "list.csv"
    source.write_text(
        "path,label\n0.png,red fox\nb/1.png,3\nb/c d/2.png,teddy\n3.png,owl\n"
    )
    found = listing.read(source, folder)
    asked = Question("grad_cam", {"layer": "relu5"}, "", "label")
    options = Options(
        **{"questions": (asked,), "resize": "antialias", "save": ("npy",)},
        **{"scale": "image", "percentile": 99.0, "colormap": "auto", "seed": 0},
    )
    out = tmp_path / "out"
    run.explain_images(tiny, found, out, options, batch_size=3)
    said = [(entry["target"], entry["label"]) for entry in entries(out)]
    assert said == [(0, 0), (3, 3), (2, 2), (1, 1)]
    inputs = [load(folder / name) for name in found.names]
    _, maps = grad_cam(tiny, inputs, [0, 3, 2, 1])
    for entry, wanted in zip(entries(out), maps, strict=True):
        assert entry["label_name"] == entry["target_name"] == CLASSES[entry["label"]]
        values = np.load(out / entry["files"]["npy"])
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-6)


def test_folders_called_by_numbers_are_targets_of_a_run_of_them(tiny, tmp_path):
    network = tiny._replace(class_names=("1500", "1600", "1700", "1800"))
    images = listing.Listing(tmp_path, ("1600/x.png",), ("1600",), are_names=True)
    asked = Question("grad_cam", {"layer": "relu5"}, "", "label")
    assert run.find_items(images, network, [asked]) == [("1600/x.png", 1, (1,))]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("b/1.png", "target=label: b/1.png: it has no label: give a list with `path"),
        ("b/1.png fox", "target=label: b/1.png: no class is called 'fox': one of"),
        ("b/1.png 4", "target=label: b/1.png: class 4: the indices are 0 to 3"),
    ],
)
def test_a_label_that_is_missing_or_no_class_names_its_image(
    tiny, folder, tmp_path, line, message
):
    source = tmp_path / "list.txt"
    source.write_text(f"{folder}/0.png owl\n{line}\n")
    with pytest.raises(ClassifierError) as error:
        explain(tiny, source, tmp_path / "out", target="label")
    assert str(error.value).startswith(message)
    assert not (tmp_path / "out").exists()
    explain(tiny, folder / "0.png", tmp_path / "out")  # asked for by no one: no error


def test_class_folders_are_labels_if_they_are_classes(tiny, paint, tmp_path, entries):
    for name in ("owl", "teddy", "misc"):
        (tmp_path / "in" / name).mkdir(parents=True)
        paint(0).save(tmp_path / "in" / name / "a.png")
    explain(tiny, tmp_path / "in", tmp_path / "out")
    labels = [entry.get("label_name") for entry in entries(tmp_path / "out")]
    assert labels == [None, "owl", "Teddy"]


# --- Going on -------------------------------------------------------------------------


def contents(out):
    """Every file's bytes, but for run.json, which holds times."""
    return {
        name: (out / name).read_bytes() for name in files_of(out) if name != "run.json"
    }


class Stopped(BaseException):
    """Ends a run at once, as a kill would."""


@pytest.fixture
def stop_at(monkeypatch):
    """Ends runs when they write the files of an image, the n-th from now."""

    def set_up(number):
        left = itertools.count(number, -1)

        def stop(self, *args):
            if next(left) == 0:
                raise Stopped
            return write(self, *args)

        monkeypatch.setattr(work.Explaining, "_write", stop)

    write = work.Explaining._write
    yield set_up
    monkeypatch.undo()


@pytest.mark.parametrize("scale", SCALES)
def test_a_stopped_run_goes_on_part_by_part_and_ends_as_if_undisturbed(
    tiny, folder, tmp_path, stop_at, scale
):
    folder = shutil.copytree(folder, tmp_path / "in")
    for name in ("bad.png", "b/bad.png"):
        (folder / name).write_text("no image")
    settings = {"batch_size": 2, "save": ("npy", "overlay", "sheet"), "scale": scale}
    out, whole = tmp_path / "out", tmp_path / "whole"
    explain(tiny, folder, whole, **settings)
    for number in (5, 4):  # in the second part, and in the third
        stop_at(number)
        with pytest.raises(Stopped):
            explain(tiny, folder, out, part_size=4, **settings)
        assert not (out / "run.json").exists()
    stop_at(-1)
    report = explain(tiny, folder, out, part_size=4, **settings)
    counts = report["counts"]
    assert counts["found"] == 12 and counts["skipped"] == 2
    assert counts["done_before"] + counts["done_now"] == 10
    assert counts["done_now"] <= 4
    assert contents(out) == contents(whole)  # which had parts of 8
    assert sorted(skipped_of(out)) == ["b/bad.png", "bad.png"]


def test_items_may_be_lists_as_a_cluster_gets_them(tiny, folder, tmp_path, monkeypatch):
    explain(tiny, folder, tmp_path / "tuples")
    cut = run.folder.cut

    def cut_lists(items, part_size):
        return cut(json.loads(json.dumps(items)), part_size)

    monkeypatch.setattr(run.folder, "cut", cut_lists)
    explain(tiny, folder, tmp_path / "lists")
    manifest = (tmp_path / "tuples" / "manifest.jsonl").read_bytes()
    assert (tmp_path / "lists" / "manifest.jsonl").read_bytes() == manifest
    assert b'"map"' in manifest


@pytest.mark.parametrize("damage", ["zeroed", "cut", "empty"])
def test_a_damaged_part_is_explained_anew(
    tiny, folder, tmp_path, stop_at, caplog, damage
):
    stop_at(4)  # in the second part
    with pytest.raises(Stopped):
        explain(tiny, folder, tmp_path / "out", batch_size=2, part_size=4)
    stop_at(-1)
    path = next((tmp_path / "out/parts").glob("000000-*.json"))
    content = path.read_bytes()
    damaged = {"zeroed": bytes(len(content)), "cut": content[:-9], "empty": b""}
    path.write_bytes(damaged[damage])
    caplog.clear()
    explain(tiny, folder, tmp_path / "out", batch_size=2, part_size=4)
    assert caplog.text.count(f"{path}: damaged: ") == 1
    explain(tiny, folder, tmp_path / "fresh", batch_size=2, part_size=4)
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_a_picture_that_was_replaced_under_its_name_is_explained_anew(
    tiny, folder, tmp_path, stop_at
):
    source = shutil.copytree(folder, tmp_path / "in")
    names = listing.read(source).names
    run_ = functools.partial(explain, tiny, source, batch_size=2, part_size=2)

    def check(out):
        run_(tmp_path / out)
        run_(tmp_path / f"{out}-fresh")
        assert contents(tmp_path / out) == contents(tmp_path / f"{out}-fresh")

    stop_at(6)
    with pytest.raises(Stopped):
        run_(tmp_path / "stopped")
    stop_at(-1)
    run_(tmp_path / "finished")
    (source / names[1]).write_bytes((folder / names[4]).read_bytes())
    check("stopped")
    check("finished")
    (source / names[3]).write_text("no picture any more")  # its files go
    check("finished")
    (source / names[3]).write_bytes((folder / names[3]).read_bytes())
    check("finished")


@pytest.mark.parametrize("is_finished", [True, False])
@pytest.mark.parametrize("went", ["before", "before it is read", "before it is drawn"])
def test_a_picture_that_went_is_explained_when_it_is_back(
    tiny, folder, tmp_path, stop_at, monkeypatch, is_finished, went
):
    source, out = shutil.copytree(folder, tmp_path / "in"), tmp_path / "out"
    name = listing.read(source).names[1]
    content = (source / name).read_bytes()
    names = [f"in/{name}\n" for name in listing.read(source).names]
    (tmp_path / "list.txt").write_text("".join(names))
    settings = {"batch_size": 2, "part_size": 2}
    run_ = functools.partial(explain, tiny, tmp_path / "list.txt", **settings)
    step = {"before it is drawn": "finish"}.get(went, "load")
    if went == "before":
        (source / name).unlink()

    def lose(self, *args):
        (source / name).unlink(missing_ok=True)
        return real(self, *args)

    real = getattr(work.Explaining, step)
    with monkeypatch.context() as patch:
        patch.setattr(work.Explaining, step, lose)
        if is_finished:
            run_(out)
            (reason,) = skipped_of(out).values()
            assert reason == "No such file or directory"
            assert run_(out)["counts"]["done_now"] == 0
        else:
            stop_at(5)
            with pytest.raises(Stopped):
                run_(out)
            stop_at(-1)
    (source / name).write_bytes(content)
    assert run_(out)["counts"]["skipped"] == 0
    run_(tmp_path / "fresh")
    assert contents(out) == contents(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("field", "old", "new"),
    [
        ("target", "['predicted']", "owl"),
        ("save", r"\['npy'\]", ("npy", "heatmap")),
        ("percentile", "99.0", 90.0),
        ("scale", "'image'", "common"),
        ("settings", "[{'layer': 'relu5'}]", {"layer": "pool1"}),
        ("resize", "'antialias'", "crop"),
    ],
)
def test_other_options_into_the_same_folder_are_refused(
    tiny, folder, tmp_path, field, old, new
):
    explain(tiny, folder / "0.png", tmp_path / "out")
    before = files_of(tmp_path / "out")
    shown = json.loads(json.dumps(new))
    if field in ("target", "settings"):  # of each map
        shown = [shown]
    with pytest.raises(OtherPassError) as error:
        explain(tiny, folder / "0.png", tmp_path / "out", **{field: new})
    assert str(error.value) == (
        f"{tmp_path / 'out'} was made with {field}={old.replace(chr(92), '')}; this "
        f"run has {field}={shown!r}. Choose another --out, or remove what is there."
    )
    assert files_of(tmp_path / "out") == before


def test_another_network_into_the_same_folder_is_refused(tiny, folder, tmp_path):
    explain(tiny, folder / "0.png", tmp_path / "out")
    with pytest.raises(OtherPassError, match="made with params_blake2b='.*Choose"):
        explain(favour(tiny, 0), folder / "0.png", tmp_path / "out")


def test_another_list_into_the_same_folder_is_refused(tiny, folder, tmp_path):
    explain(tiny, folder / "0.png", tmp_path / "out")
    with pytest.raises(OtherPassError, match="made with images='.*Choose"):
        explain(tiny, folder, tmp_path / "out")
    with pytest.raises(OtherPassError, match="made with batch_size=4; this run has"):
        explain(tiny, folder / "0.png", tmp_path / "out", batch_size=2)


def test_a_training_runs_folder_is_no_place_for_maps(tiny, tiny_run, folder):
    before = files_of(tiny_run)
    with pytest.raises(ValueError, match=r"run is a run of `jaxart train`, whose"):
        explain(tiny, folder, tiny_run)
    assert files_of(tiny_run) == before


# --- Numbers --------------------------------------------------------------------------


def test_a_map_does_not_depend_on_its_batch(tiny, folder, tmp_path):
    paths = [str(folder / name) for name in listing.read(folder).names[:5]]
    (tmp_path / "list.txt").write_text("\n".join(paths))
    for size in (2, 5, 8):
        explain(tiny, tmp_path / "list.txt", tmp_path / f"{size}", batch_size=size)
    for size in (2, 8):
        found, wanted = (maps_of(tmp_path / f"{n}") for n in (size, 5))
        assert_maps_equal(found, wanted, rtol=1e-5)


class ZeroMean(runs.TinyNet):
    """Without a mean and without biases, a map doubles with its picture."""

    preprocessing = runs.TinyNet.preprocessing | {"mean": (0.0, 0.0, 0.0)}


@pytest.fixture(scope="module")
def homogeneous():
    model = ZeroMean(num_classes=4, hidden=(6,))
    params = runs.random_params(model)
    params = jax.tree.map(lambda x: x * 0 if x.ndim == 1 else x, params)
    return Classifier(model, params, CLASSES, "antialias")


@pytest.mark.parametrize("percentile", [100.0, 50.0])
def test_a_common_scale_draws_every_map_with_one_limit(
    homogeneous, tmp_path, percentile
):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 128, (16, 16, 3), np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "a.png")
    Image.fromarray(2 * pixels).save(tmp_path / "in" / "b.png")
    report = explain(
        *(homogeneous, tmp_path / "in", tmp_path / "out"),
        **{"scale": "common", "save": ("heatmap",), "percentile": percentile},
    )
    once, twice = maps_of(tmp_path / "out").values()
    assert once.max() > 0
    np.testing.assert_array_equal(twice, 2 * once)
    limit = np.percentile(once, percentile)
    # The larger of two limits, or what lies between them.
    limit *= 2 if percentile == 100 else 1.5
    assert report["common_limit"] == {"grad_cam": pytest.approx(limit, rel=1e-6)}
    saved = json.loads((tmp_path / "out" / "run.json").read_text())
    assert saved["common_limit"] == report["common_limit"]
    for name, values in (("a", once), ("b", twice)):
        with Image.open(tmp_path / "out" / "heatmap" / f"{name}.png.png") as image:
            assert image.mode == "P"
            levels = np.array(image, int)
        wanted = np.clip(255 * values / limit, 0, 255)
        assert np.abs(levels - wanted).max() <= 0.51
        if percentile == 100:
            assert levels.max() == (255 if name == "b" else 128)
    assert (tmp_path / "out" / "gallery" / "map" / "a.png.jpg").is_file()


@pytest.fixture
def unfinished(homogeneous, folder, tmp_path, monkeypatch):
    """Goes on with maps on a common scale, of which all parts are done."""
    go_on = functools.partial(
        explain,
        *(homogeneous, folder, tmp_path / "out"),
        **{"scale": "common", "save": ("heatmap", "sheet"), "part_size": 4},
    )

    def fail(*arguments):
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(run.whole, "write", fail)
        with pytest.raises(Stopped):
            go_on()
    return go_on


def test_names_in_stored_records_are_not_believed(unfinished, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(out, tmp_path / "good")
    (tmp_path / "evil.jpg").write_bytes(b"mine")
    for path in sorted((out / "parts").glob("0*.json")):
        said = json.loads(path.read_bytes().split(b"\n")[0])
        for record in said["records"]:
            for one in (record, *record["maps"]):
                one["files"] = dict.fromkeys(one["files"], "../evil.jpg")
        text = json.dumps(said)
        path.write_text(f"{text}\n{storage.checksum(text.encode())}\n")
    before = set(tmp_path.iterdir())
    unfinished()
    assert (tmp_path / "evil.jpg").read_bytes() == b"mine"
    assert set(tmp_path.iterdir()) == before
    drawn = contents(out)
    shutil.rmtree(out)
    (tmp_path / "good").rename(out)
    unfinished()
    whole = contents(out)
    del drawn["manifest.jsonl"], whole["manifest.jsonl"]  # as the parts say
    assert drawn == whole


@pytest.mark.parametrize("damage", ["zeroed", "flipped", "cut", "empty"])
def test_a_damaged_raw_map_is_named(unfinished, tmp_path, damage):
    path = tmp_path / "out" / "npy" / "0.png.npy"
    content = bytearray(path.read_bytes())
    flipped = content.copy()
    flipped[-2] ^= 1
    damaged = {
        "zeroed": content[:128] + bytes(len(content) - 128),
        "flipped": flipped,
        "cut": content[:200],
        "empty": b"",
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(DamagedError, match=f"^{path}: damaged: .*Remove the folder"):
        unfinished()
    shutil.rmtree(tmp_path / "out" / "parts")
    counts = unfinished()["counts"]
    assert counts["done_now"] == counts["found"]


def test_a_broken_report_is_named(tiny, folder, tmp_path):
    explain(tiny, folder, tmp_path / "out")
    (tmp_path / "out" / "run.json").write_text("{")
    with pytest.raises(
        DamagedError, match=r"out/run\.json: damaged: .*Remove the file"
    ):
        explain(tiny, folder, tmp_path / "out")


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("method", "rule", "level"), [("grad_cam", "", 0), ("gradient_x_input", "sum", 128)]
)
def test_black_images_give_zeros_that_are_drawn(
    homogeneous, tmp_path, entries, method, rule, level, scale
):
    for i, size in enumerate([(1, 1), (30, 20)]):
        Image.new("RGB", size).save(tmp_path / f"{i}.png")
    explain(
        *(homogeneous, tmp_path, tmp_path / "out"),
        **{"method": method, "channel_rule": rule, "scale": scale},
        settings={"layer": "relu5"} if method == "grad_cam" else {},
        save=("npy", "heatmap", "overlay", "sheet"),
    )
    for i, entry in enumerate(entries(tmp_path / "out")):
        assert entry["map"] == {"min": 0, "max": 0, "sum": 0, "limit": 0}
        assert entry["probability"] == 0.25
        with Image.open(tmp_path / "out" / "heatmap" / f"{i}.png.png") as image:
            assert (np.array(image) == level).all()
        with Image.open(tmp_path / "out" / "overlay" / f"{i}.png.jpg") as image:
            assert np.array(image).max() <= 4


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (104, 117, 124)])
def test_constant_images_give_finite_maps(tiny, tmp_path, entries, color):
    Image.new("RGB", (9, 7), color).save(tmp_path / "a.png")
    explain(tiny, tmp_path / "a.png", tmp_path / "out", save=("npy", "overlay"))
    (entry,) = entries(tmp_path / "out")
    assert all(np.isfinite(value) for value in entry["map"].values())


def test_a_network_of_nan_gives_skips_with_the_reason(tiny, folder, tmp_path):
    params = jax.tree.map(lambda x: x, tiny.params)
    params["fc8"]["bias"] = params["fc8"]["bias"].at[1].set(jnp.nan)
    report = explain(tiny._replace(params=params), folder, tmp_path / "out")
    assert report["counts"]["skipped"] == 10 and report["counts"]["done_now"] == 0
    reasons = set(skipped_of(tmp_path / "out").values())
    assert reasons == {"the network's logits are not finite"}
    assert (tmp_path / "out" / "manifest.jsonl").read_bytes() == b""
    assert not (tmp_path / "out" / "npy").exists()


def test_a_map_that_is_not_finite_is_a_skip_with_the_reason(
    homogeneous, folder, tmp_path
):
    # Black is 0, so that the logits are finite; the gradient overflows.
    params = jax.tree.map(jnp.ones_like, homogeneous.params)
    params["conv1"]["kernel"] *= 1e38
    Image.new("RGB", (9, 9)).save(tmp_path / "black.png")
    report = explain(
        *(homogeneous._replace(params=params), tmp_path / "black.png"),
        *(tmp_path / "out",),
        **{"method": "gradient", "settings": {}, "channel_rule": "max_abs"},
    )
    assert report["counts"]["skipped"] == 1
    reasons = skipped_of(tmp_path / "out")
    assert reasons == {"black.png": "the map holds NaN or infinity"}
    assert not (tmp_path / "out" / "npy").exists()


def test_a_picture_longer_than_a_jpeg_may_be_is_drawn_smaller(tiny, tmp_path, entries):
    Image.new("RGB", (70_000, 10), "red").save(tmp_path / "long.png")
    out = tmp_path / "out"
    explain(tiny, tmp_path / "long.png", out, save=("overlay", "heatmap"))
    (entry,) = entries(out)
    assert entry["size"] == [70_000, 10]
    assert entry["note"] == ("drawn smaller, at 65,500 x 9 pixels: no JPEG is longer")
    for kind in ("overlay", "heatmap"):
        with Image.open(out / entry["files"][kind]) as image:
            assert image.size == (65_500, 9)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("encoder error -2"), "encoder error -2"),
        (IndexError("3"), "IndexError: 3"),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "File name too long"),
        (OSError(errno.ENOSPC, "No space left on device"), None),
        (MemoryError(), None),
    ],
)
def test_an_error_of_one_picture_is_a_skip_and_of_the_machine_the_end(
    tiny, folder, tmp_path, monkeypatch, error, reason
):
    draw, sound = pictures.draw_picture, []

    def fail_once(picture, paths):
        if not sound:
            sound.append(picture)
            raise error
        draw(picture, paths)

    monkeypatch.setattr(pictures, "draw_picture", fail_once)
    out = tmp_path / "out"
    if reason is None:
        with pytest.raises(type(error)):
            explain(tiny, folder, out)
        return
    counts = explain(tiny, folder, out)["counts"]
    assert counts["skipped"] == 1 and counts["done_now"] == 9
    (said,) = skipped_of(out).values()
    assert reason in said


# --- Odd names ------------------------------------------------------------------------


def test_a_picture_of_which_something_is_left_is_noted(tiny, tmp_path, entries):
    pixels = np.random.default_rng(0).integers(0, 99, (8, 8, 3), np.uint8)
    picture = Image.fromarray(pixels)
    (tmp_path / "in").mkdir()
    picture.save(tmp_path / "in/a.png", icc_profile=b"no profile")
    picture.save(tmp_path / "in/b.png")
    explain(tiny, tmp_path / "in", tmp_path / "out")
    odd, sound = entries(tmp_path / "out")
    assert odd["note"].startswith("its colour profile is not used")
    assert "note" not in sound


def test_names_of_every_kind_have_their_files(tiny, paint, tmp_path, entries):
    names = (
        *("a b#?%.png", "été/日本.png", "a.png", "a.jpg", "-x.png", "line\nbreak.png"),
        *("latin-\udce9.png", "'\"<&>.png", "a.png.png"),
    )
    for i, name in enumerate(names):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        paint(i).save(tmp_path / "in" / name)
    save = ("npy", "heatmap", "overlay", "sheet")
    report = explain(tiny, tmp_path / "in", tmp_path / "out", save=save)
    assert report["counts"]["done_now"] == len(names)
    found = entries(tmp_path / "out")
    assert {entry["path"] for entry in found} == set(names)
    files = [file for entry in found for file in entry["files"].values()]
    assert len(set(files)) == 6 * len(names)
    assert all((tmp_path / "out" / file).is_file() for file in files)
    assert explain(tiny, tmp_path / "in", tmp_path / "out", save=save)["counts"] == {
        **{"found": 9, "done_before": 9, "done_now": 0, "skipped": 0}
    }


# With its suffix and that of the temporary file it would be longer than may be.
def test_a_name_as_long_as_a_name_may_be_does_not_stop_the_run(tiny, paint, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "m" * 251 + ".png", "z.png"):
        paint(0).save(tmp_path / "in" / name)
    report = explain(
        tiny, tmp_path / "in", tmp_path / "out", save=("npy", "heatmap", "overlay")
    )
    assert report["counts"]["done_now"] >= 2
    assert report["counts"]["done_now"] + report["counts"]["skipped"] == 3


def test_an_image_listed_under_two_names_is_no_error(tiny, paint, tmp_path):
    for i in range(3):
        paint(i, 700, 500).save(tmp_path / f"{i}.jpg")
    lines = [f"{dots}{i}.jpg" for i in range(3) for dots in ("", "./", "././", "x/../")]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    (tmp_path / "x").mkdir()
    save = ("npy", "heatmap", "overlay")
    out = tmp_path / "out"
    report = explain(tiny, tmp_path / "list.txt", out, batch_size=12, save=save)
    assert report["counts"]["skipped"] == 0
    assert len(maps_of(out)) == 3


# --- What cannot be asked for ---------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": ""}, "--images is missing"),
        ({"out": ""}, "--out is missing"),
        ({"weights": "a.safetensors"}, "one of --weights and --workdir says which"),
        ({"workdir": ""}, "one of --weights and --workdir says which network"),
        ({"workdir": "none"}, "jaxart: none: no run of `jaxart train` (config.json is"),
        ({"images": "none"}, "jaxart: none: no such folder, image or list file"),
        (
            {"colormap": "virids"},
            "jaxart: 'virids': no such colour table. Did you mean ",
        ),
        (
            {"save": "npy,heatmaps"},
            "jaxart: save='heatmaps': one of overlay, heatmap, npy, sheet",
        ),
        (
            {"num_samples": "3"},
            "jaxart: grad_cam has no setting num_samples; its settings: layer",
        ),
        ({"layer": "fc6"}, "jaxart: layer='fc6': one with a place for each feature"),
        ({"method": "gradcam"}, "jaxart: method='gradcam': did you mean 'grad_cam'?"),
        (
            {"target": "dog"},
            "jaxart: no class is called 'dog': one of red fox, owl, Teddy, sphynx?",
        ),
        ({"target": "7"}, "jaxart: class 7: the indices are 0 to 3"),
        ({"target": "label"}, "jaxart: target=label: 0.png: it has no label"),
        ({"percentile": "0"}, "percentile=0.0: above 0 and at most 100"),
        ({"percentile": "101"}, "--percentile: '101' is not a number from 0 to 100"),
        ({"percentile": "nan"}, "--percentile: 'nan' is not a number from 0 to 100"),
        (
            {"channel_rule": "sum"},
            "grad_cam gives maps: no channel_rule applies",
        ),
        # Before run.json is written: --num_samples=5 would be refused afterwards.
        (
            {"method": "smoothgrad", "num_samples": "0"},
            "--num_samples: '0' is not a whole number from 1 on",
        ),
    ],
    ids=lambda value: (
        "-".join(map("=".join, value.items())) if isinstance(value, dict) else ""
    ),
)
def test_mistakes_are_a_sentence_and_write_nothing(
    command, tiny_run, folder, tmp_path, changed, message
):
    given = {
        **{"workdir": str(tiny_run), "images": str(folder), "method": "grad_cam"},
        "out": str(tmp_path / "out"),
        **changed,
    }
    done = command(*(f"--{name}={value}" for name, value in given.items() if value))
    assert done.status == 1
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_methods_are_listed_without_a_network(command):
    done = command("--list_methods")
    assert done.status == 0
    assert done.stdout == catalogue.table() + "\n"


# --- Several maps of an image ---------------------------------------------------------


def test_several_maps_are_those_of_single_runs(
    command, tiny_run, folder, tmp_path, monkeypatch
):
    source = tmp_path / "list.csv"
    names = ["0.png", "b/1.png", "3.png", "b/4.png", "6.png"]
    rows = [f"{name},{CLASSES[i % 4]}" for i, name in enumerate(names)]
    source.write_text("\n".join(["path,label", *rows]))

    def run_into(out, *more):
        done = command(
            *(f"--workdir={tiny_run}", f"--images={source}", f"--image_root={folder}"),
            *(f"--out={tmp_path / out}", "--save=npy,heatmap,sheet", "--batch_size=4"),
            *more,
        )
        assert done.status == 0, done.stderr
        lines = (tmp_path / out / "manifest.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    decoded, read = [], images.read

    def counted(path, *more):
        decoded.append(str(path))
        return read(path, *more)

    with monkeypatch.context() as patch:
        patch.setattr(images, "read", counted)
        together = run_into(
            "all", "--method=gradient,grad_cam", "--target=predicted,label,owl"
        )
    pictures = [str(folder / name) for name in names]
    # Once for the network's input, and once at full size for all drawings.
    assert sorted(path for path in decoded if path in pictures) == sorted(2 * pictures)

    asked = itertools.product(("gradient", "grad_cam"), ("predicted", "label", "owl"))
    for number, (method, target) in enumerate(asked):
        words = (f"--method={method}", f"--target={target}")
        alone = run_into(f"{method}-{target}", *words)
        for one, of_all in zip(alone, together, strict=True):
            (wanted,), found = one["maps"], of_all["maps"][number]
            assert {**found, "files": 0} == {**wanted, "files": 0}
            assert found["asked"] == target
            folder_name = f"{method}-{target}"
            assert found["files"]["npy"] == f"npy/{folder_name}/{one['path']}.npy"
            for kind in ("npy", "heatmap", "map"):
                saved = tmp_path / folder_name / wanted["files"][kind]
                there = tmp_path / "all" / found["files"][kind]
                assert there.read_bytes() == saved.read_bytes()
            assert {**of_all, "maps": 0} == {**one, "maps": 0}


def test_a_target_against_another_class(tiny, folder, tmp_path):
    """By the sum over channels the map of a difference is the difference of maps."""

    def read(out, **asked):
        how = {"method": "gradient", "settings": {}, "channel_rule": "sum"}
        explain(tiny, folder, tmp_path / out, **how, **asked)
        lines = (tmp_path / out / "manifest.jsonl").read_text().splitlines()
        maps = [json.loads(line)["maps"][0] for line in lines]
        return maps, maps_of(tmp_path / out)

    _, owl = read("owl", target="owl")
    _, fox = read("fox", target="red fox")
    said, both = read("both", target="owl", against="red fox")
    wanted = {name: owl[name] - fox[name] for name in owl}
    assert_maps_equal(both, wanted, rtol=1e-4)
    assert {(one["target"], one["against"], one["against_name"]) for one in said} == {
        (1, 0, "red fox")
    }
    said, _ = read("other", target="owl", against="best_other")
    assert all(one["against"] != 1 for one in said)
    said, _ = read("predicted", against="best_other")
    assert all(one["target_logit"] >= one["against_logit"] for one in said)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--method=gradient,rise --num_samples=3",
            "none of gradient, rise has a",
        ),
        ("--method=gradient,gradcam", "did you mean 'grad_cam'?"),
        ("--method=grad_cam,layer_cam --channel_rule=sum", "no channel_rule applies"),
        ("--method=gradient,gradient", "'gradient' with target='predicted' is asked"),
        ("--target=owl,dog", "no class is called 'dog'"),
        ("--target=owl --against=owl", "against='owl' is the target itself"),
        ("--against=dog", "no class is called 'dog'"),
        ("--score=log_probability --against=owl", "leave score out"),
        ("--score=probability", "invalid choice: 'probability'"),
        ("--method=", "--method is missing"),
        ("--target=", "--target is missing"),
    ],
)
def test_questions_without_an_answer_are_refused(
    command, tiny_run, folder, tmp_path, words, message
):
    here = (f"--workdir={tiny_run}", f"--images={folder}", f"--out={tmp_path / 'out'}")
    done = command(*here, *words.split())
    assert (done.status, done.stdout) == (1, "")
    assert message in done.stderr and not (tmp_path / "out").exists()
