"""Keras' HDF5 layouts read; links, lies and damage in such a file are refused."""

import re
import sys

import h5py
import numpy as np
import pytest

from jaxart.models import VGG16, AlexNet
from jaxart.weights import WeightsError, sources
from jaxart.weights.readers import hdf5, keras_h5

LAYERS = (
    "conv1_1 conv1_2 conv2_1 conv2_2 conv3_1 conv3_2 conv3_3 conv4_1 conv4_2 conv4_3 "
    "conv5_1 conv5_2 conv5_3 fc6 fc7 fc8".split()
)


def vgg16(layers=LAYERS):
    """The parameters of a narrow VGG16 with as many of its layers as asked for."""
    rng = np.random.default_rng(0)
    params = {}
    inputs = 3
    for number, layer in enumerate(layers):
        outputs = 2 + number % 3
        if layer.startswith("conv"):
            shape = (3, 3, inputs, outputs)
        else:
            is_first = not any(name.startswith("fc") for name in params)
            shape = (49 * inputs if is_first else inputs, outputs)
        params[layer] = {
            "kernel": rng.normal(size=shape).astype(np.float32),
            "bias": rng.normal(size=outputs).astype(np.float32),
        }
        inputs = outputs
    return params


def keras_name(layer: str) -> str:
    dense = {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}
    return dense.get(layer) or re.sub(r"conv(\d)_(\d)", r"block\1_conv\2", layer)


def class_name(layer: str, params) -> str:
    """What Keras 3 calls a layer: its class, numbered from the second one on."""
    kind = "conv" if layer.startswith("conv") else "fc"
    number = [name for name in params if name.startswith(kind)].index(layer)
    return {"conv": "conv2d", "fc": "dense"}[kind] + (f"_{number}" if number else "")


# layout -> the paths of a layer's kernel and bias.
LAYOUTS = {
    "keras 1": lambda n, c: (f"{n}/{n}_W_1:0", f"{n}/{n}_b_1:0"),
    "keras 2": lambda n, c: (f"{n}/{n}/kernel:0", f"{n}/{n}/bias:0"),
    "keras 2, renamed": lambda n, c: (f"{n}/{n}_7/kernel:0", f"{n}/{n}_7/bias:0"),
    "keras 2 model": lambda n, c: (
        f"model_weights/{n}/{n}/kernel:0",
        f"model_weights/{n}/{n}/bias:0",
    ),
    "keras 3 model": lambda n, c: (
        f"model_weights/{n}/{n}/kernel",
        f"model_weights/{n}/{n}/bias",
    ),
    "nested": lambda n, c: (f"vgg16/{n}/kernel:0", f"vgg16/{n}/bias:0"),
    "keras 3": lambda n, c: (f"layers/{c}/vars/0", f"layers/{c}/vars/1"),
    "keras 3, own names": lambda n, c: (f"layers/{n}/vars/0", f"layers/{n}/vars/1"),
    "keras 2.12": lambda n, c: (
        f"_layer_checkpoint_dependencies/{c}/vars/0",
        f"_layer_checkpoint_dependencies/{c}/vars/1",
    ),
    "other names": lambda n, c: (f"{c}/{c}/kernel:0", f"{c}/{c}/bias:0"),
}


def write(path, params, layout="keras 2", **options):
    """Writes a file as Keras does, with the layers that have no weights."""
    with h5py.File(path, "w") as file:
        for layer, arrays in params.items():
            paths = LAYOUTS[layout](keras_name(layer), class_name(layer, params))
            for name, array in zip(paths, arrays.values(), strict=True):
                file.create_dataset(name, data=array, **options)
        top = next((file[n] for n in ("model_weights", "layers") if n in file), file)
        top.create_group("block1_pool")
        top.attrs["layer_names"] = [keras_name(layer).encode() for layer in params]
        if top is not file:
            file.create_group("optimizer_weights/Adam").create_dataset("m:0", data=1)
    return path


@pytest.fixture
def file(tmp_path):
    """A sound file, open to be changed."""
    with h5py.File(write(tmp_path / "a.h5", vgg16()), "a") as file:
        yield file


def assert_refused(file, message):
    file.flush()
    path = file.filename
    file.close()
    with pytest.raises(WeightsError, match=rf"a\.h5: .*{message}"):
        keras_h5.read(path, VGG16())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "layers", [LAYERS, LAYERS[:13], [*LAYERS[:13], "fc8"]], ids=["16", "13", "14"]
)
def test_reads_the_layouts(tmp_path, assert_params_equal, layout, layers):
    params = vgg16(layers)
    path = write(tmp_path / "a.h5", params, layout)
    assert hdf5.is_hdf5(path)
    assert_params_equal(keras_h5.read(path, VGG16()), params)


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": True},
        {"dtype": ">f4"},
        {"dtype": "f8"},
    ],
    ids=str,
)
def test_reads_what_hdf5_can_do_to_an_array(tmp_path, assert_params_equal, options):
    params = vgg16()
    path = write(tmp_path / "a.h5", params, **options)
    assert_params_equal(keras_h5.read(path, VGG16()), params)


def test_layers_by_name_need_not_be_all(tmp_path, assert_params_equal):
    params = vgg16(LAYERS[:15])
    path = write(tmp_path / "a.h5", params)
    assert_params_equal(keras_h5.read(path, VGG16()), params)


def test_only_keras_own_networks_are_known_to_be_bgr(tmp_path):
    vggs = write(tmp_path / "a.h5", vgg16())
    others = write(tmp_path / "b.h5", vgg16("conv1 conv2 conv3 conv4 conv5".split()))
    assert sources.read(vggs, VGG16()).channel_order == "bgr"
    source = sources.read(others, AlexNet())
    assert list(source.params) == "conv1 conv2 conv3 conv4 conv5".split()
    assert source.channel_order is None


def test_order_is_that_of_the_numbers(tmp_path, assert_params_equal):
    """The numbers go on where another network was built in the same session."""
    params = vgg16()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number, arrays in enumerate(params.values(), start=5):
            kind = "conv2d" if arrays["kernel"].ndim == 4 else "dense"
            for index, array in enumerate(arrays.values()):
                file[f"layers/{kind}_{number}/vars/{index}"] = array
    assert_params_equal(keras_h5.read(tmp_path / "a.h5", VGG16()), params)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (LAYERS[:12], "12 convolutions and 0 fully.* VGG16 has 13, and up to 3"),
        ([*LAYERS[:13], "conv5_4"], "14 convolutions"),
    ],
)
def test_other_counts_are_other_networks(tmp_path, layers, message):
    path = write(tmp_path / "a.h5", vgg16(layers), "keras 3")
    with pytest.raises(WeightsError, match=message):
        keras_h5.read(path, VGG16())


def test_refuses_other_networks_by_name(tmp_path):
    path = write(tmp_path / "a.h5", vgg16([*LAYERS[:13], "conv5_4"]))
    with pytest.raises(WeightsError, match="'block5_conv4', which Keras' VGG16"):
        keras_h5.read(path, VGG16())


def test_refuses_kernels_of_another_order(tmp_path):
    params = vgg16()
    for arrays in params.values():
        arrays["kernel"] = arrays["kernel"].T.copy()
    path = write(tmp_path / "a.h5", params)
    with pytest.raises(WeightsError, match=r"conv1_1 has a kernel .* bias of \(2,\)"):
        keras_h5.read(path, VGG16())


def test_refuses_names_without_an_order(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number, arrays in enumerate(vgg16().values()):
            for index, array in enumerate(arrays.values()):
                file[f"layers/{'ab'[number % 2]}_{number}/vars/{index}"] = array
    with pytest.raises(WeightsError, match="neither Keras' for .* nor numbered"):
        keras_h5.read(tmp_path / "a.h5", VGG16())


@pytest.mark.parametrize(
    "link",
    [
        h5py.ExternalLink("other.h5", "/kernel"),
        h5py.ExternalLink("/etc/passwd", "/"),
        h5py.SoftLink("/block1_conv2"),
        h5py.SoftLink("/nowhere"),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "place", ["fc1/fc1/kernel:0", "fc1", "model_weights", "layers", "more"]
)
def test_refuses_links(file, tmp_path, link, place):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["kernel"] = file["fc1/fc1/kernel:0"][()]
    if place in file:
        del file[place]
    file[place] = link
    assert_refused(file, "is a link to elsewhere")


def test_refuses_arrays_in_other_files(file, tmp_path):
    shape = file["fc2/fc2/kernel:0"].shape
    del file["fc2/fc2/kernel:0"]
    (tmp_path / "raw").write_bytes(bytes(4096))
    file.create_dataset(
        "fc2/fc2/kernel:0", shape, "f4", external=[(tmp_path / "raw", 0, 4096)]
    )
    assert_refused(file, "'fc2/fc2/kernel:0' is not stored as an array in this file")


def test_refuses_virtual_arrays(file):
    shape = file["fc2/fc2/kernel:0"].shape
    del file["fc2/fc2/kernel:0"]
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource("other.h5", "kernel", shape)
    file.create_virtual_dataset("fc2/fc2/kernel:0", layout)
    assert_refused(file, "'fc2/fc2/kernel:0' is not stored as an array in this file")


@pytest.mark.parametrize(
    "options",
    [
        {"shape": (10**9, 10**9), "chunks": (10, 10)},
        {"shape": (10**9, 10**9)},
        {"shape": (2, 2), "chunks": (2**14, 2**14), "maxshape": (None, None)},
        {"shape": (100, 100)},
    ],
    ids=str,
)
def test_refuses_arrays_larger_than_the_file(file, options):
    del file["fc1/fc1/kernel:0"]
    file.create_dataset("fc1/fc1/kernel:0", dtype="f4", **options)
    assert_refused(file, r"'fc1/fc1/kernel:0' says shape .* but has 0 in the file")


@pytest.mark.parametrize(
    "array", [np.arange(3), np.array([b"a"]), np.ones(3, "c8"), np.ones(2, "f4,f4")]
)
def test_refuses_arrays_of_other_things(file, array):
    del file["fc1/fc1/bias:0"]
    file["fc1/fc1/bias:0"] = array
    assert_refused(file, "'fc1/fc1/bias:0' is of .*, not of floats")


@pytest.mark.parametrize(
    "options",
    [{"compression": "gzip"}, {"compression": "lzf"}, {"shuffle": True}],
    ids=str,
)
def test_refuses_compression(file, options):
    """A bomb of gigabytes is a small chunk."""
    del file["fc1/fc1/bias:0"]
    file.create_dataset("fc1/fc1/bias:0", (10**9,), "f4", chunks=(10**8,), **options)
    assert_refused(file, "'fc1/fc1/bias:0' is compressed")


def put(file, name, content):
    if name in file:
        del file[name]
    file[name] = content


def put_one_twice(file):
    put(file, "fc1/fc1/kernel:0", np.ones((200, 200), "f4"))
    put(file, "fc2/fc2/kernel:0", file["fc1/fc1/kernel:0"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda file: put(file, "fc1/fc1/bias:0", np.dtype("f4")),
            "'fc1/fc1/bias:0' is no array",
        ),
        (
            lambda file: put(file, "layers", np.ones(3)),
            "has an array where the layers should be",
        ),
        (
            lambda file: put(file, "block1_pool/again", file["block1_pool"]),
            "more groups than a network",
        ),
        (
            lambda file: [file.create_group(f"fc1/{i}") for i in range(5000)],
            "more groups than a network",
        ),
        (put_one_twice, "lie over one another"),
        (
            lambda file: put(file, "fc1/fc1_2/kernel:0", np.ones((2, 2))),
            "'fc1' has two arrays kernel",
        ),
        (
            lambda file: put(file, "fc1/fc1/gamma:0", np.ones(3)),
            "holds 'fc1/fc1/gamma:0', which is neither",
        ),
        (lambda file: file.pop("fc1/fc1/bias:0"), "fc6 has only one of kernel and"),
    ],
)
def test_names_what_it_does_not_read(file, change, message):
    change(file)
    assert_refused(file, message)


def test_says_that_h5py_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(WeightsError, match=r"a\.h5: .*pip install .jaxart.hdf5"):
        keras_h5.read(tmp_path / "a.h5", VGG16())
