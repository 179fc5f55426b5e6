"""Both sides of the data over one set of inputs, without what cannot be read."""

import csv

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxart import inputs, layout
from jaxart.data import images, pipeline
from jaxart.data.examples import DataError, Examples
from jaxart.models import AlexNet


def side(root, names, labels):
    return Examples(root, names, np.array(labels, np.int32), ("baroque", "cubism"))


def prepare(tmp_path, reasons, max_skipped_fraction=0.5, views=("whole",)):
    train = side(tmp_path / "a", ("0.jpg", "1.jpg", "2.jpg"), [0, 1, 1])
    val = side(tmp_path / "b", ("3.jpg", "4.jpg"), [1, 0])
    asked = []

    def compute_inputs(paths, views):
        asked.extend(zip(paths, views, strict=True))
        return np.arange(len(paths)), reasons

    data = inputs.prepare(
        train,
        val,
        views=views,
        compute_inputs=compute_inputs,
        max_skipped_fraction=max_skipped_fraction,
        workdir=tmp_path,
    )
    return data, asked


def test_both_sides_share_one_set_of_inputs(tmp_path):
    data, asked = prepare(tmp_path, [""] * 5)
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
    reasons = ["", "", "cut", "cut", "", "", "", "empty"]
    data, asked = prepare(tmp_path, reasons, views=("center", "whole_mirrored"))
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


def test_images_are_checked_once_however_many_views(paintings, tmp_path, monkeypatch):
    loaded, load = [], images.load

    def counting(path, **options):
        loaded.append(path.name)
        return load(path, **options)

    monkeypatch.setattr(images, "load", counting)
    paths = sorted(paintings.glob("*/0.png"))[:2]
    (tmp_path / "poem.png").write_text("a poem")
    listed = [paths[0]] * 3 + [tmp_path / "poem.png"] * 3 + [paths[1]]
    views = ["whole", "center", "top_left"] * 2 + ["whole"]
    facts = {"size": 4, "channel_order": "bgr", "mean": (1.0, 2.0, 3.0)}
    files = pipeline.ImageFiles(listed, "antialias", facts, views)
    found, reasons = inputs.whole_images(files, batch_size=2, num_workers=0)
    assert found is files
    assert sorted(loaded) == ["0.png", "0.png", "poem.png"]
    text = "not an image that Pillow reads"
    assert reasons == ["", "", "", text, text, text, ""]


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
        prepare(tmp_path, reasons, fraction)


def test_the_painted_pictures_are_written_once(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "PROCEDURAL_IMAGES_PER_STYLE", 2)
    read = {
        "num_classes": 10,
        "image_root": "",
        "val_fraction": 0.5,
        "seed": 3,
        "workdir": tmp_path,
    }
    train, val = inputs.read_examples("procedural", "", **read)
    assert len(train.names) == len(val.names) == 10
    first = train.paths[0].stat().st_mtime_ns
    again, _ = inputs.read_examples("procedural", "", **read)
    assert again.names == train.names
    assert again.paths[0].stat().st_mtime_ns == first


def test_the_features_are_the_boundarys_activations(paintings, tmp_path):
    model = AlexNet(num_classes=3, hidden=(8, 8))
    params = model.init(jax.random.key(0), jnp.zeros((1, 227, 227, 3)))["params"]
    paths = sorted(paintings.rglob("*.png"))[:3]
    files = pipeline.ImageFiles(paths, "antialias", model.preprocessing)
    found, reasons = inputs.frozen_features(
        files,
        model,
        params,
        "relu6",
        layout=layout.over_all_devices(),
        cache_dir=tmp_path,
        batch_size=2,
        num_workers=0,
    )
    assert reasons == ["", "", ""]
    indices = np.array([2, 0, 1])
    expected = model.apply(
        {"params": params}, jnp.asarray(files[indices]), upto="relu6"
    )
    np.testing.assert_allclose(found[indices], expected, rtol=1e-4, atol=1e-4)
    whole, reasons = inputs.whole_images(files, batch_size=2, num_workers=0)
    assert whole is files and reasons == ["", "", ""]


@pytest.mark.parametrize("change", ["lrn_alpha", "norm_order", "relu", "weight"])
def test_another_prefix_is_another_store(paintings, tmp_path, change):
    files = pipeline.ImageFiles(
        sorted(paintings.rglob("*.png"))[:2], "antialias", AlexNet.preprocessing
    )
    params = AlexNet(hidden=()).init(jax.random.key(0), jnp.zeros((1, 227, 227, 3)))
    params = params["params"]

    def features(model, params):
        found, _ = inputs.frozen_features(
            files,
            model,
            params,
            "pool1",
            layout=layout.over_all_devices(),
            cache_dir=tmp_path,
            batch_size=2,
            num_workers=0,
        )
        return found[np.arange(2)]

    before = features(AlexNet(hidden=()), params)
    if change == "weight":
        kernel = params["conv1"]["kernel"]
        kernel = kernel.at[0, 0, 0, 0].add(1.0)
        params = params | {"conv1": params["conv1"] | {"kernel": kernel}}
        after = features(AlexNet(hidden=()), params)
    else:
        other = {"lrn_alpha": 1.0, "norm_order": "pool_norm", "relu": jax.nn.elu}
        after = features(AlexNet(hidden=(), **{change: other[change]}), params)
    assert len(list(tmp_path.glob("*/00000.npy"))) == 2
    assert not np.array_equal(before, after)
