"""Weight files of a classifier: Caffe's dict in a .npy, and ours."""

import hashlib

import jax
import numpy as np

from jaxart import classifier
from jaxart.classifier import Classifier
from jaxart.export import weight_files
from jaxart.weights import canonical
from jaxart.weights.readers import caffe_npy
from tests import runs

CLASSES = ("red fox", "owl", "Teddy")


def assert_trees_equal(found, wanted):
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


def test_a_npy_file_is_as_caffes_users_have_it(tiny, tmp_path):
    network = tiny("")
    path = tmp_path / "tiny.NPY"
    weight_files.write_npy(path, network)
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.NPY"]
    assert_trees_equal(caffe_npy.read(path), network.params)

    found = np.load(path, allow_pickle=True).item()
    assert list(found) == ["conv1", "conv5", "fc6", "fc8"]
    kernel, bias = found["fc6"]
    np.testing.assert_array_equal(kernel, network.params["fc6"]["kernel"])
    np.testing.assert_array_equal(bias, network.params["fc6"]["bias"])
    assert {type(kernel), type(bias)} == {np.ndarray}
    assert (kernel.shape, kernel.dtype) == ((128, 6), np.float32)


def test_a_run_becomes_a_file_that_says_the_same(tmp_path):
    model, params = runs.small_alexnet(lrn_alpha=5e-4)
    (tmp_path / "my run").mkdir()
    (tmp_path / "my run" / "config.json").write_bytes(b"{}")
    network = Classifier(model, params, CLASSES, "crop", tmp_path / "my run")
    file = tmp_path / "a.safetensors"
    weight_files.write_safetensors(file, network)
    metadata = canonical.read_metadata(file)
    assert metadata["source"] == "the run my run"
    assert metadata["source_sha256"] == hashlib.sha256(b"{}").hexdigest()

    found = classifier.from_weights(file)
    wanted = network._replace(params=None, source=file)
    assert found._replace(params=None) == wanted
    assert_trees_equal(found.params, params)
