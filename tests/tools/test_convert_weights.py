"""The converter, end to end: public formats in, one canonical file out."""

import hashlib
import importlib.util
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxart.models import MODELS
from jaxart.weights import canonical
from jaxart.weights.merge import load
from tests.models.caffe_files import Layer, caffemodel

REPOSITORY = Path(__file__).parents[2]
VGG16_CONVOLUTIONS = REPOSITORY.parent / "shared/data/weights/vgg16_conv.npz"


@pytest.fixture(scope="module")
def main():
    path = REPOSITORY / "tools/convert_weights.py"
    spec = importlib.util.spec_from_file_location("convert_weights", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def random_params(model: str, with_fc: bool):
    """Makes full-size parameters: a repeated thousand of random numbers."""
    size = MODELS[model].preprocessing["size"]
    images = jnp.zeros((1, size, size, 3))
    shapes = jax.eval_shape(lambda: MODELS[model]().init(jax.random.key(0), images))
    numbers = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    return {
        layer: {name: np.resize(numbers, array.shape) for name, array in arrays.items()}
        for layer, arrays in shapes["params"].items()
        if with_fc or not layer.startswith("fc")
    }


def save_npy(path, params):
    np.save(path, {name: [p["kernel"], p["bias"]] for name, p in params.items()})


def save_caffemodel(path, params):
    """Convolutions alone: what is fully connected has another order there."""
    layers = [Layer(name, "Convolution") for name in params]
    blobs = {
        name: [p["kernel"].transpose(3, 2, 0, 1), p["bias"]]
        for name, p in params.items()
    }
    path.write_bytes(caffemodel(layers, blobs))


def save_npz(path, params):
    arrays = {f"{name}_W": p["kernel"] for name, p in params.items()}
    np.savez(path, **arrays, **{f"{name}_b": p["bias"] for name, p in params.items()})


@pytest.fixture(scope="module")
def alexnet_convolutions():
    return random_params("alexnet", with_fc=False)


@pytest.fixture
def convert(main, tmp_path, capsys):
    """Runs the converter; returns its status, output, error and file."""
    out = tmp_path / "out.safetensors"

    def run(model, src, *flags):
        status = main([f"--model={model}", f"--src={src}", f"--out={out}", *flags])
        printed = capsys.readouterr()
        return status, printed.out, printed.err, out

    return run


def assert_refused(result, *words):
    status, printed, error, out = result
    assert status == 1
    assert printed == ""
    assert error.startswith("convert_weights: ")
    assert error.count("\n") == 1
    for word in words:
        assert word in error
    assert not out.exists()


def test_a_caffemodel_and_a_npy_of_it_become_one(
    convert, alexnet_convolutions, tmp_path
):
    converted = []
    for name, save in {"a.npy": save_npy, "a.bin": save_caffemodel}.items():
        save(tmp_path / name, alexnet_convolutions)
        status, _, error, out = convert("alexnet", tmp_path / name)
        assert (status, error) == (0, "")
        params, metadata = canonical.read(out)
        assert metadata["source_channel_order"] == "bgr"
        converted.append(params)
    jax.tree.map(np.testing.assert_array_equal, *converted)


def test_a_caffemodel_is_not_rgb(convert, alexnet_convolutions, tmp_path):
    save_caffemodel(tmp_path / "a.caffemodel", alexnet_convolutions)
    result = convert("alexnet", tmp_path / "a.caffemodel", "--channel-order=rgb")
    assert_refused(result, "a .caffemodel is Caffe's own format")


def test_a_torchvision_file_is_folded_and_not_flipped_again(convert, tmp_path):
    params = random_params("vgg16", with_fc=False)
    # torchvision's places of convolutions among ReLUs and pools.
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    tensors = {}
    for place, arrays in zip(places, params.values(), strict=True):
        kernel = np.ascontiguousarray(arrays["kernel"].transpose(3, 2, 0, 1))
        tensors[f"features.{place}.weight"] = kernel
        tensors[f"features.{place}.bias"] = arrays["bias"]
    src = tmp_path / "model.safetensors"
    save_file(tensors, src)
    assert_refused(convert("vgg16", src, "--channel-order=bgr"), "torchvision is RGB")
    status, printed, error, out = convert("vgg16", src)
    assert (status, error) == (0, "")
    assert "torchvision is RGB" in printed
    found, metadata = canonical.read(out)
    assert metadata["source_channel_order"] == "rgb"
    # BGR in 0..255 instead of RGB in 0..1 by a deviation: blue first, smaller kernels.
    kernel = params["conv1_1"]["kernel"][:, :, ::-1]
    deviation = 255 * np.array([0.225, 0.224, 0.229])[:, None]
    np.testing.assert_allclose(
        found["conv1_1"]["kernel"], kernel / deviation, rtol=1e-6
    )
    np.testing.assert_array_equal(
        found["conv5_3"]["kernel"], params["conv5_3"]["kernel"]
    )


def test_a_keras_file_is_told_by_its_content(convert, tmp_path):
    h5py = pytest.importorskip("h5py", reason="Keras' files are HDF5")
    params = random_params("vgg16", with_fc=False)
    src = tmp_path / "notop"
    with h5py.File(src, "w") as file:
        for layer, arrays in params.items():
            block, number = layer.removeprefix("conv").split("_")
            name = f"block{block}_conv{number}"
            file[f"{name}/{name}_W_1:0"] = arrays["kernel"]
            file[f"{name}/{name}_b_1:0"] = arrays["bias"]
    status, printed, error, out = convert("vgg16", src)
    assert (status, error) == (0, "")
    assert "Keras' VGG16 is Caffe's" in printed
    jax.tree.map(np.testing.assert_array_equal, canonical.read(out)[0], params)


def test_alexnet_whole(convert, tmp_path):
    params = random_params("alexnet", with_fc=True)
    save_npy(tmp_path / "bvlc_alexnet.npy", params)
    status, printed, error, out = convert("alexnet", tmp_path / "bvlc_alexnet.npy")
    assert (status, error) == (0, "")

    initial = jax.tree.map(np.zeros_like, params)
    merged = load(out, initial, model="alexnet", train_layers=())
    assert merged.loaded_layers == tuple(params)
    for layer, arrays in params.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(merged.params[layer][name], array)

    source = (tmp_path / "bvlc_alexnet.npy").read_bytes()
    assert canonical.read_metadata(out) == {
        "format": "jaxart",
        "model": "alexnet",
        "source": "bvlc_alexnet.npy",
        "source_sha256": hashlib.sha256(source).hexdigest(),
        "channel_order": "bgr",
        "source_channel_order": "bgr",
        "mean": "[103.939, 116.779, 123.68]",
        "size": "227",
        "layers": '["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]',
        "norm_order": "norm_pool",
        "lrn_alpha": "0.0001",
    }
    norm = np.linalg.norm(params["fc6"]["kernel"].ravel())
    row = next(line for line in printed.splitlines() if line.startswith("fc6"))
    assert row.split()[:3] == ["fc6", "9216x4096", f"{norm:.4f}"]
    assert "source_channel_order: bgr" in printed


def test_norm_flags_are_written(convert, tmp_path, alexnet_convolutions):
    save_npy(tmp_path / "caffenet.npy", alexnet_convolutions)
    flags = ("--norm-order=pool_norm", "--lrn-alpha=5e-4")
    status, printed, _, out = convert("alexnet", tmp_path / "caffenet.npy", *flags)
    assert status == 0
    assert "no fully connected layers" in printed
    metadata = canonical.read_metadata(out)
    fields = canonical.model_fields(metadata)
    assert fields == {"norm_order": "pool_norm", "lrn_alpha": 5e-4}
    MODELS[metadata["model"]](**fields)


@pytest.mark.parametrize("order", ["bgr", "rgb"])
def test_a_npz_is_turned_to_bgr(convert, tmp_path, alexnet_convolutions, order):
    save_npz(tmp_path / "a.npz", alexnet_convolutions)
    flag = f"--channel-order={order}"
    status, printed, _, out = convert("alexnet", tmp_path / "a.npz", flag)
    assert status == 0
    assert "as stated" in printed
    params, metadata = canonical.read(out)
    assert metadata["channel_order"] == "bgr"
    assert metadata["source_channel_order"] == order
    step = 1 if order == "bgr" else -1
    kernel = alexnet_convolutions["conv1"]["kernel"][:, :, ::step]
    np.testing.assert_array_equal(params["conv1"]["kernel"], kernel)
    kernel = alexnet_convolutions["conv2"]["kernel"]
    np.testing.assert_array_equal(params["conv2"]["kernel"], kernel)


def test_a_npz_needs_its_order_stated(convert, tmp_path, alexnet_convolutions):
    save_npz(tmp_path / "a.npz", alexnet_convolutions)
    words = ("--channel-order=rgb", "vgg16_weights.npz", "--channel-order=bgr")
    assert_refused(convert("alexnet", tmp_path / "a.npz"), "a.npz", *words)


def test_a_npy_is_bgr(convert, tmp_path, alexnet_convolutions):
    save_npy(tmp_path / "a.npy", alexnet_convolutions)
    result = convert("alexnet", tmp_path / "a.npy", "--channel-order=rgb")
    assert_refused(result, "a.npy", "Caffe is BGR")


@pytest.mark.parametrize("save", [save_npy, save_npz])
def test_the_real_vgg16_in_either_order(convert, tmp_path, save):
    if not VGG16_CONVOLUTIONS.exists():
        pytest.skip(f"the real VGG16 convolutions are not at {VGG16_CONVOLUTIONS}")
    with np.load(VGG16_CONVOLUTIONS) as arrays:
        params = {
            name[:-2]: {"kernel": arrays[name], "bias": arrays[name[:-1] + "b"]}
            for name in arrays
            if name.endswith("_W")
        }
    kernel = params["conv1_1"]["kernel"]
    params["conv1_1"]["kernel"] = kernel[:, :, ::-1]
    save(tmp_path / "rgb", params)
    src = next(tmp_path.glob("rgb*"))

    result = convert("vgg16", src, "--channel-order=bgr")
    assert_refused(result, "--channel-order=rgb")
    status, printed, _, out = convert("vgg16", src, "--channel-order=rgb")
    assert status == 0
    assert "its channel order is right" in printed
    found, metadata = canonical.read(out)
    assert metadata["source_channel_order"] == "rgb"
    np.testing.assert_array_equal(found["conv1_1"]["kernel"], kernel)


def change(params, **layers):
    changed = {k: v for k, v in (params | layers).items() if v is not None}
    return changed


ONE = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ({"conv3": None}, ["missing", "conv3/kernel (3, 3, 256, 384)", "conv3/bias"]),
        ({"bn1": {"kernel": ONE, "bias": ONE}}, ["surplus", "bn1/kernel (3,)"]),
        ({"conv2": {"kernel": ONE, "bias": ONE}}, ["misshapen", "(5, 5, 48, 256)"]),
        ({"fc8": {"kernel": ONE, "bias": ONE}}, ["missing", "fc6/kernel", "fc8/"]),
    ],
    ids=str,
)
def test_names_and_shapes_are_checked(
    convert, tmp_path, alexnet_convolutions, layers, words
):
    save_npy(tmp_path / "a.npy", change(alexnet_convolutions, **layers))
    assert_refused(convert("alexnet", tmp_path / "a.npy"), "a.npy", "alexnet", *words)


def test_numbers_must_be_finite(convert, tmp_path, alexnet_convolutions):
    bias = alexnet_convolutions["conv4"]["bias"].copy()
    bias[3] = np.nan
    kernel = alexnet_convolutions["conv4"]["kernel"]
    layers = change(alexnet_convolutions, conv4={"kernel": kernel, "bias": bias})
    save_npy(tmp_path / "a.npy", layers)
    assert_refused(convert("alexnet", tmp_path / "a.npy"), "not finite: conv4/bias")


def test_norm_flags_are_alexnets(convert, tmp_path):
    save_npz(tmp_path / "a.npz", random_params("vgg16", with_fc=False))
    flags = ("--channel-order=rgb", "--lrn-alpha=1e-4")
    assert_refused(convert("vgg16", tmp_path / "a.npz", *flags), "AlexNet")


class Call:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_hostile_file_is_one_line(convert, tmp_path):
    marker = tmp_path / "marker"
    np.save(tmp_path / "a.npy", {"conv1": [ONE, Call(f"touch {marker}")]})
    result = convert("alexnet", tmp_path / "a.npy")
    assert_refused(result, "a.npy", "posix.system", "nothing in it was run")
    assert not marker.exists()


def test_files_of_other_kinds(convert, tmp_path):
    (tmp_path / "a.npy").write_bytes(b"\x80\x02}.")
    assert_refused(convert("alexnet", tmp_path / "a.npy"), "no .npy, .npz, .caffemodel")
    assert_refused(convert("alexnet", tmp_path / "b.npy"), "b.npy", "No such file")


def test_help_says_where_the_files_are(main, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    printed = capsys.readouterr().out
    assert "www.cs.toronto.edu/~guerzhoy/tf_alexnet/" in printed
    assert "www.cs.toronto.edu/~frossard/vgg16/" in printed
