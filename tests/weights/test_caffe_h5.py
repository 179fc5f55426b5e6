"""Caffe's HDF5 snapshots read; what Caffe does not write is refused."""

import sys

import h5py
import numpy as np
import pytest

from jaxart import models
from jaxart.weights import WeightsError
from jaxart.weights.readers import caffe_h5, keras_h5

ALEXNET = "conv1 conv2 conv3 conv4 conv5".split()
VGG16 = (
    "conv1_1 conv1_2 conv2_1 conv2_2 conv3_1 conv3_2 conv3_3 conv4_1 conv4_2 conv4_3 "
    "conv5_1 conv5_2 conv5_3".split()
)
HEADS = "fc6 fc7 fc8".split()
NETWORKS = [[*ALEXNET, *HEADS], [*VGG16, *HEADS], VGG16, [*ALEXNET, "fc8"]]


def read(path, arrays):
    """Reads a file as the network's whose layers the arrays are."""
    is_vgg16 = "conv1_1" in arrays
    return caffe_h5.read(path, models.VGG16() if is_vgg16 else models.AlexNet())


def blobs(layers):
    """Kernels OIHW and (out, in), biases; the last map is 3 x 3."""
    rng = np.random.default_rng(0)
    arrays = {}
    inputs = 3
    for number, layer in enumerate(layers):
        outputs = 2 * (2 + number % 3)
        if layer.startswith("conv"):
            shape = (
                outputs,
                inputs // (2 if layer in "conv2 conv4 conv5" else 1),
                3,
                2,
            )
        else:
            is_first = not any(name.startswith("fc") for name in arrays)
            shape = (outputs, 9 * inputs if is_first else inputs)
        arrays[layer] = [rng.normal(size=n).astype("f4") for n in (shape, outputs)]
        inputs = outputs
    return arrays


def ours(arrays):
    params = {}
    filters = None
    for layer, (kernel, bias) in arrays.items():
        if kernel.ndim == 4:
            kernel, filters = np.einsum("oihw->hwio", kernel), len(bias)
        elif filters:
            maps = kernel.reshape(len(bias), filters, 3, 3)
            kernel, filters = np.einsum("oihw->hwio", maps).reshape(-1, len(bias)), None
        else:
            kernel = kernel.T
        params[layer] = {"kernel": kernel, "bias": bias}
    return params


def write(path, arrays, group="data", **options):
    """Writes a file as Net::ToHDF5 does, with the layers that have no weights."""
    with h5py.File(path, "a") as file:
        for layer, pair in arrays.items():
            for number, array in enumerate(pair):
                name = f"{group}/{layer}/{number}"
                file.create_dataset(name, data=array, **options)
        for layer in ("data", "relu1", "pool5", "prob"):
            file.create_group(f"{group}/{layer}")
    return path


@pytest.fixture
def file(tmp_path):
    """A sound file, open to be changed."""
    arrays = blobs([*ALEXNET, *HEADS])
    with h5py.File(write(tmp_path / "a.h5", arrays), "a") as file:
        yield file


def assert_refused(file, message):
    file.flush()
    path = file.filename
    file.close()
    with pytest.raises(WeightsError, match=rf"a\.h5: .*{message}"):
        read(path, ALEXNET)


@pytest.mark.parametrize("layers", NETWORKS, ids=len)
@pytest.mark.parametrize("options", [{}, {"dtype": "f8"}, {"chunks": True}], ids=str)
def test_reads_both_networks(tmp_path, assert_params_equal, layers, options):
    arrays = blobs(layers)
    path = write(tmp_path / "a.h5", arrays, **options)
    assert caffe_h5.is_caffe_h5(path)
    assert_params_equal(read(path, arrays), ours(arrays))


def test_the_order_in_the_file_does_not_matter(tmp_path, assert_params_equal):
    arrays = blobs([*VGG16, *HEADS])
    with h5py.File(tmp_path / "a.h5", "w", track_order=True) as file:
        for layer in ["fc8", "fc6", *reversed(VGG16), "fc7"]:
            group = file.require_group("data").create_group(layer, track_order=True)
            group["1"], group["0"] = reversed(arrays[layer])
    assert_params_equal(read(tmp_path / "a.h5", arrays), ours(arrays))


def test_gradients_beside_the_weights_are_not_read(tmp_path, assert_params_equal):
    """Of `snapshot_diff: true`."""
    arrays = blobs([*ALEXNET, *HEADS])
    path = write(tmp_path / "a.h5", arrays)
    gradients = {layer: [0 * a for a in pair] for layer, pair in arrays.items()}
    write(path, gradients, "diff")
    assert caffe_h5.is_caffe_h5(path)
    assert_params_equal(read(path, arrays), ours(arrays))


def test_the_readers_of_hdf5_refuse_each_others_files(file, tmp_path):
    file.close()
    with pytest.raises(WeightsError, match=r"'data/fc8/0', which is neither .* Keras"):
        keras_h5.read(tmp_path / "a.h5", models.AlexNet())
    with h5py.File(tmp_path / "b.h5", "w") as keras:
        keras["conv2d/conv2d/kernel:0"] = np.ones((3, 3, 3, 2))
        # As an input layer of that name is there.
        keras.create_group("data")
    assert not caffe_h5.is_caffe_h5(tmp_path / "b.h5")
    with pytest.raises(WeightsError, match=r"b\.h5: no \.caffemodel\.h5"):
        read(tmp_path / "b.h5", ALEXNET)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("fc6/1"), "'data/fc6/1' is missing"),
        (lambda data: data.move("conv2", "norm2"), "'data/norm2/0' is missing, or is"),
        (lambda data: data.move("fc8", "fc8_new"), "'data/fc8_new/0' is missing, or"),
        (lambda data: data.move("fc8/0", "fc8/2"), "'data/fc8/0' is missing"),
        (lambda data: data.copy("fc8/0", "fc8/2"), "'data/fc8/2' is missing, or is no"),
        (lambda data: data.copy("fc8/0", "3"), "'data/3' is missing, or is no kernel"),
        (lambda data: data.copy("fc8", "fc7/a"), "'data/fc7/a/0' is missing, or is no"),
    ],
)
def test_names_what_is_not_the_networks(file, change, message):
    change(file["data"])
    assert_refused(file, message)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        (
            "fc7/0",
            (8, 4, 1, 1),
            r"'fc7' has a kernel of shape \(8, 4, 1, 1\) and a bias",
        ),
        ("conv1/0", (4, 18), r"'conv1' has a kernel of shape \(4, 18\) and a bias"),
        ("conv1/1", (1, 1, 1, 4), r"'conv1' has .* a bias of \(1, 1, 1, 4\)"),
        ("conv1/1", (5,), r"'conv1' has .* a bias of \(5,\)"),
        ("conv1/0", (), r"'conv1' has a kernel of shape \(\)"),
        ("fc6/0", (8, 13), "13 inputs are no square map of 6 channels"),
    ],
)
def test_refuses_other_shapes(file, name, shape, message):
    del file["data"][name]
    file["data"][name] = np.ones(shape, "f4")
    assert_refused(file, message)


@pytest.mark.parametrize("place", ["data", "data/fc6", "data/fc6/0", "data/more"])
def test_refuses_links(file, tmp_path, place):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        file.copy("data", other)
    if place in file:
        del file[place]
    file[place] = h5py.ExternalLink("other.h5", "/data")
    assert_refused(file, "is a link to elsewhere")


def test_long_names_hide_nothing(file):
    """A message has the first letters of a name; two of them are still two arrays."""
    for end in "ab":
        name = "data/" + "x" * 200 + end
        file.create_dataset(f"{name}/0", (10**9, 10**9), "f4")
    del file["data/fc6/0"]
    file["data/fc6/0"] = np.ones((6, 54), "f4")
    assert_refused(file, "but has 0 in the file")


@pytest.mark.parametrize("name", ["data/again", "data/fc6/again"])
def test_refuses_a_group_within_itself(file, name):
    file[name] = file["data"]
    assert_refused(file, "more groups than a network")


def test_refuses_an_array_for_the_layers(file):
    """Data for Caffe's HDF5Data layer are called so."""
    del file["data"]
    file["data"] = np.ones(3)
    assert_refused(file, "has an array where the layers should be")


def test_says_that_h5py_is_missing(file, tmp_path, monkeypatch):
    file.close()
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert not caffe_h5.is_caffe_h5(tmp_path / "a.h5")
    with pytest.raises(WeightsError, match=r"a\.h5: .*pip install .jaxart.hdf5"):
        read(tmp_path / "a.h5", ALEXNET)
