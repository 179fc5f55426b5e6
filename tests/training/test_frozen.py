"""The frozen part: its activations, and what names them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxart import storage
from jaxart.data import features, pipeline
from jaxart.devices import layout
from jaxart.training.frozen import Frozen
from tests import runs


def features_of(files, model, params, boundary, cache_dir):
    part = Frozen(model, params, boundary)
    found, reasons = features.compute(
        part.forward(layout.over_all_devices()),
        files,
        list(map(storage.version, files.paths)),
        prefix=part.describe(),
        cache_dir=cache_dir,
        batch_size=2,
    )
    assert reasons == [""] * len(files.paths)
    return found[np.arange(len(files.paths))]


def test_the_features_are_the_boundarys_activations(paintings, tmp_path):
    model = runs.TinyNet(num_classes=3, hidden=(8, 8))
    params = runs.random_params(model)
    paths = sorted(paintings.glob("ruled_grid/*.png"))[2::-1]
    files = pipeline.ImageFiles(paths, "antialias", model.preprocessing)
    loaded = jnp.asarray(files[np.arange(3)])
    expected = model.apply({"params": params}, loaded, upto="relu6")
    found = features_of(files, model, params, "relu6", tmp_path)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("change", ["relu", "weight"])
def test_another_prefix_is_another_store(paintings, tmp_path, change):
    model = runs.TinyNet(num_classes=3, hidden=())
    params = runs.random_params(model)
    files = pipeline.ImageFiles(
        sorted(paintings.glob("ruled_grid/*.png"))[:2], "crop", model.preprocessing
    )
    before = features_of(files, model, params, "pool1", tmp_path)
    if change == "weight":
        kernel = params["conv1"]["kernel"].at[0, 0, 0, 0].add(1.0)
        params = params | {"conv1": params["conv1"] | {"kernel": kernel}}
    else:
        model = runs.TinyNet(num_classes=3, hidden=(), relu=jax.nn.elu)
    after = features_of(files, model, params, "pool1", tmp_path)
    assert len(list(tmp_path.glob("*/*.npy"))) == 2
    assert not np.array_equal(before, after)


def test_what_a_layer_computes_is_part_of_its_name():
    names = [
        str(Frozen(*runs.small_alexnet(**fields), "norm1").describe()["layers"])
        for fields in (
            {},
            {"lrn_alpha": 1.0},
            {"relu": jax.nn.elu},
        )
    ]
    assert len(set(names)) == 3
