"""The converter, end to end: public formats in, one canonical file out."""

import functools
import hashlib
import http.server
import json
import os
import re
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxart import classifier, storage
from jaxart.models import MODELS
from jaxart.weights import canonical, known_files
from jaxart.weights.merge import load
from tests import ROOT
from tests.models.caffe_files import Layer, caffemodel

REPOSITORY = ROOT
VGG16_CONVOLUTIONS = REPOSITORY.parent / "shared/data/weights/vgg16_conv.npz"


@pytest.fixture
def main(run_command):
    """Runs the job in this process: (status, stdout, stderr)."""
    return functools.partial(run_command, "convert")


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


def read_npz(path):
    with np.load(path) as arrays:
        return {
            name[:-2]: {"kernel": arrays[name], "bias": arrays[name[:-1] + "b"]}
            for name in arrays
            if name.endswith("_W")
        }


def metadata_of(model):
    names = "source source_sha256 source_channel_order mean size resize".split()
    return dict.fromkeys(names, "") | {"model": model, "class_names": "[]"}


@pytest.fixture(scope="module")
def alexnet_convolutions():
    return random_params("alexnet", with_fc=False)


@pytest.fixture
def convert(main, tmp_path):
    """Runs the converter; returns its status, output, error and file."""
    out = tmp_path / "out.safetensors"

    def run(model, src, *flags):
        return *main(f"--model={model}", f"--src={src}", f"--out={out}", *flags), out

    return run


def assert_refused(result, *words):
    status, printed, error, out = result
    assert status == 1
    assert printed == ""
    assert error.startswith("jaxart: ")
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


@pytest.mark.slow
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
    assert_refused(
        convert("vgg16", src, "--channel-order=bgr"), "names are torchvision's"
    )
    status, printed, error, out = convert("vgg16", src)
    assert (status, error) == (0, "")
    assert "names are torchvision's" in printed
    found, metadata = canonical.read(out)
    assert metadata["source_channel_order"] == "torchvision"
    # BGR in 0..255 instead of RGB in 0..1 by a deviation: blue first, smaller kernels.
    kernel = params["conv1_1"]["kernel"][:, :, ::-1]
    deviation = 255 * np.array([0.225, 0.224, 0.229])[:, None]
    np.testing.assert_allclose(
        found["conv1_1"]["kernel"], kernel / deviation, rtol=1e-6
    )
    np.testing.assert_array_equal(
        found["conv5_3"]["kernel"], params["conv5_3"]["kernel"]
    )


@pytest.mark.slow
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
    assert "Keras' VGGs are Caffe's" in printed
    jax.tree.map(np.testing.assert_array_equal, canonical.read(out)[0], params)


@pytest.mark.slow
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
    metadata = canonical.read_metadata(out)
    assert len(metadata.pop("content_blake2b")) == 128
    assert len(json.loads(metadata.pop("content_xxh3"))) == 1 + 2 * len(params)
    names = json.loads(metadata.pop("class_names"))
    places = {130: "flamingo", 236: "Doberman", 281: "tabby", 850: "teddy"}
    assert {i: names[i] for i in places} == places
    assert metadata == {
        "format": "jaxart",
        "model": "alexnet",
        "source": "bvlc_alexnet.npy",
        "source_sha256": hashlib.sha256(source).hexdigest(),
        "channel_order": "bgr",
        "source_channel_order": "bgr",
        "mean": "[103.939, 116.779, 123.68]",
        "size": "227",
        "resize": "",
        "layers": '["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]',
        "lrn_alpha": "0.0001",
    }
    norm = np.linalg.norm(params["fc6"]["kernel"].ravel())
    row = next(line for line in printed.splitlines() if line.startswith("fc6"))
    assert row.split()[:3] == ["fc6", "9216x4096", f"{norm:.4f}"]
    assert "source_channel_order: bgr" in printed
    assert "class_names: 1000, tench to toilet tissue" in printed


def test_the_old_way_to_say_caffenet(convert, tmp_path, alexnet_convolutions):
    save_npy(tmp_path / "caffenet.npy", alexnet_convolutions)
    flags = ("--norm-order=pool_norm", "--lrn-alpha=5e-4")
    status, printed, _, out = convert("alexnet", tmp_path / "caffenet.npy", *flags)
    assert status == 0
    assert "(no fully connected layers)" in printed
    params, metadata = canonical.read(out)
    assert metadata["model"] == "caffenet"
    assert canonical.model_fields(metadata) == {"lrn_alpha": 5e-4}
    status, _, _, out = convert("caffenet", tmp_path / "caffenet.npy", flags[1])
    assert status == 0
    again, metadata_again = canonical.read(out)
    assert metadata_again == metadata
    jax.tree.map(np.testing.assert_array_equal, again, params)


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


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (save_npy, "a .npy dict is Caffe's own format"),
        (save_caffemodel, "a .caffemodel is Caffe's own format"),
    ],
)
def test_caffes_own_formats_are_bgr(
    convert, tmp_path, alexnet_convolutions, save, message
):
    save(tmp_path / "a.npy", alexnet_convolutions)  # told by content alone
    result = convert("alexnet", tmp_path / "a.npy", "--channel-order=rgb")
    assert_refused(result, "a.npy", message)


@pytest.mark.slow
@pytest.mark.parametrize("save", [save_npy, save_npz])
def test_the_real_vgg16_in_either_order(convert, tmp_path, save):
    if not VGG16_CONVOLUTIONS.exists():
        pytest.skip(f"the real VGG16 convolutions are not at {VGG16_CONVOLUTIONS}")
    params = read_npz(VGG16_CONVOLUTIONS)
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
        ({"fc8": {"kernel": ONE, "bias": ONE}}, ["misshapen", "(9216, 3)"]),
        ({"fc6": {"kernel": ONE, "bias": ONE}}, ["missing", "fc8/kernel (3, 1000)"]),
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


def test_lrn_alpha_is_of_networks_with_a_norm(convert, tmp_path):
    save_npz(tmp_path / "a.npz", random_params("vgg16", with_fc=False))
    flags = ("--channel-order=rgb", "--lrn-alpha=1e-4")
    message = "--lrn-alpha: vgg16 has no response norm"
    assert_refused(convert("vgg16", tmp_path / "a.npz", *flags), message)


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


def test_help_says_where_the_files_are(main):
    status, printed, _ = main("--help")
    assert status == 0
    assert "www.cs.toronto.edu/~guerzhoy/tf_alexnet/" in printed
    assert "www.cs.toronto.edu/~frossard/vgg16/" in printed


# --- Heads, names, default places -----------------------------------------------------


def with_head(params, num_classes):
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(9216, num_classes)).astype(np.float32)
    return params | {"fc8": {"kernel": kernel, "bias": kernel[0]}}


def test_a_head_of_any_size_and_its_names(convert, tmp_path, alexnet_convolutions):
    save_npy(tmp_path / "a.npy", with_head(alexnet_convolutions, 3))
    status, printed, _, out = convert("alexnet", tmp_path / "a.npy")
    assert status == 0
    assert "class_names: not named" in printed
    assert classifier.from_weights(out).class_names == ("0", "1", "2")

    (tmp_path / "names.txt").write_text("red fox\nowl\n\nkrähe\n", "utf-8")
    flag = f"--class-names={tmp_path / 'names.txt'}"
    status, printed, _, out = convert("alexnet", tmp_path / "a.npy", flag)
    assert status == 0
    assert classifier.from_weights(out).class_names == ("red fox", "owl", "krähe")

    out.unlink()
    (tmp_path / "names.txt").write_text("fox\nowl\n")
    result = convert("alexnet", tmp_path / "a.npy", flag)
    assert_refused(result, "names.txt: 2 names for the 3 classes")


def test_out_is_what_the_configs_expect(
    main, tmp_path, monkeypatch, alexnet_convolutions
):
    monkeypatch.chdir(tmp_path)
    save_npy("a.npy", alexnet_convolutions)
    assert main("--model=alexnet", "--src=a.npy")[0] == 0
    metadata = canonical.read_metadata(Path("bvlc_alexnet.safetensors"))
    assert metadata["source"] == "a.npy"
    config = (REPOSITORY / "configs/fc8.py").read_text()
    assert 'config.weights = "bvlc_alexnet.safetensors"' in config
    config = (REPOSITORY / "configs/vgg16_fc8.py").read_text()
    assert 'config.weights = "vgg16.safetensors"' in config


def test_a_converted_file_is_not_converted_again(
    convert, tmp_path, alexnet_convolutions
):
    save_npy(tmp_path / "a.npy", alexnet_convolutions)
    *_, out = convert("alexnet", tmp_path / "a.npy")
    src = out.rename(tmp_path / "b.safetensors")
    assert_refused(convert("alexnet", src), "is a jaxart weight file already")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--src=a.npy"], "--model is missing"),
        (["--model=alexnet"], "one of the arguments --src --download --check"),
        (["--model=vgg16", "--src=a", "--check=b"], "not allowed with argument"),
        (["--model=vgg11", "--src=a"], "alexnet.*caffenet.*vgg16.*vgg19"),
        (["--model=vgg16", "--src=a", "--norm-order=pool_norm"], "--model=caffenet"),
    ],
)
def test_flags_that_make_no_sense(main, flags, message):
    status, _, error = main(*flags)
    assert status == 1 and re.search(message, error)


# --- --check --------------------------------------------------------------------------


@pytest.fixture
def check(main):
    """Checks a file; returns the status, what was printed, and the warnings."""
    return lambda path, *flags: main(f"--check={path}", *flags)


def test_a_converted_file_is_checked(convert, check, tmp_path, alexnet_convolutions):
    save_npy(tmp_path / "a.npy", alexnet_convolutions)
    _, converted, _, out = convert("alexnet", tmp_path / "a.npy")
    status, printed, error = check(out)
    assert (status, error) == (0, "")
    assert printed.splitlines()[-1] == "sound: every bit is as it was written"
    # The same table and the same facts as when it was written.
    assert printed.splitlines()[:-1] == converted.splitlines()[:-2]
    norm = np.linalg.norm(alexnet_convolutions["conv2"]["kernel"].ravel())
    assert f"conv2     5x5x48x256        {norm:>12.4f}" in printed

    content = bytearray(out.read_bytes())
    content[-1] ^= 1
    out.write_bytes(content)
    status, printed, error = check(out)
    assert (status, printed) == (1, "")
    assert error == (f"jaxart: {out}: damaged: not as it was written: conv5/kernel\n")


def test_a_converted_file_of_another_network_is_found_out(check, tmp_path):
    layer = {"kernel": np.ones((3, 3, 3, 4), np.float32), "bias": np.ones(4)}
    canonical.write(tmp_path / "a", {"conv1_1": layer}, metadata_of("vgg16"))
    status, printed, error = check(tmp_path / "a")
    assert (status, printed) == (1, "")
    assert "conv5_3/kernel (3, 3, 512, 512)" in error


@pytest.mark.slow
def test_the_real_vgg16_in_the_wrong_order_is_a_warning(check, tmp_path):
    if not VGG16_CONVOLUTIONS.exists():
        pytest.skip(f"the real VGG16 convolutions are not at {VGG16_CONVOLUTIONS}")
    flags = ("--model=vgg16", "--channel-order=")
    status, printed, error = check(VGG16_CONVOLUTIONS, flags[0], flags[1] + "bgr")
    assert (status, error) == (0, "")
    assert "its channel order is right" in printed
    status, printed, error = check(VGG16_CONVOLUTIONS, flags[0], flags[1] + "rgb")
    assert status == 1
    assert error.startswith(f"warning: {VGG16_CONVOLUTIONS}: the channel order stated ")
    assert "is rgb" in error
    assert error.endswith("the right flag is --channel-order=bgr\n")
    assert "conv5_3   3x3x512x512" in printed

    # A file that was written with the wrong order all the same.
    params = read_npz(VGG16_CONVOLUTIONS)
    params["conv1_1"]["kernel"] = params["conv1_1"]["kernel"][:, :, ::-1]
    canonical.write(tmp_path / "a.safetensors", params, metadata_of("vgg16"))
    status, _, error = check(tmp_path / "a.safetensors")
    assert status == 1
    assert "is bgr, but the first layer is the Oxford VGG16's in rgb order" in error


def test_a_source_is_checked_without_writing(
    check, tmp_path, monkeypatch, alexnet_convolutions
):
    monkeypatch.chdir(tmp_path)
    save_npy("a.npy", alexnet_convolutions)
    status, printed, error = check("a.npy", "--model=alexnet")
    assert (status, error) == (0, "")
    assert "conv5     3x3x192x256" in printed
    assert os.listdir() == ["a.npy"]
    status, _, error = check("a.npy")
    assert status == 1 and "needs --model" in error


# --- --download -----------------------------------------------------------------------


@pytest.fixture
def server(tmp_path):
    """A folder over HTTP; gives the folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(folder)
    )
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_download_convert_and_use(
    main, server, tmp_path, monkeypatch, alexnet_convolutions
):
    folder, address = server
    save_npz(folder / "known.npz", alexnet_convolutions)
    digest = hashlib.sha256((folder / "known.npz").read_bytes()).hexdigest()
    known = known_files.KnownFile(
        name="known.npz",
        model="alexnet",
        urls=("http://127.0.0.1:9/known.npz",),  # nothing listens there
        known_hash=f"sha256:{digest}",
        num_bytes=None,
        channel_order="rgb",
    )
    monkeypatch.setattr(known_files, "KNOWN_FILES", (known,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    command = ["--model=alexnet", "--download"]

    status, _, error = main(*command)
    assert status == 1 and "127.0.0.1:9" in error
    assert not Path("bvlc_alexnet.safetensors").exists()

    assert main(*command, f"--mirror={address}")[0] == 0
    params, metadata = canonical.read(Path("bvlc_alexnet.safetensors"))
    assert metadata["source"] == "known.npz"
    assert metadata["source_sha256"] == digest
    assert metadata["source_channel_order"] == "rgb"
    kernel = alexnet_convolutions["conv1"]["kernel"][:, :, ::-1]
    np.testing.assert_array_equal(params["conv1"]["kernel"], kernel)
    assert (tmp_path / "cache/jaxart/weights/known.npz").exists()

    status, _, error = main("--model=alexnet", "--download=other.npz")
    assert status == 1 and "known.npz" in error


def test_files_of_an_object_store(main, tmp_path, alexnet_convolutions, bucket):
    save_npy(tmp_path / "bvlc_alexnet.npy", alexnet_convolutions)
    bucket.put_folder(tmp_path, "weights")
    for root in (tmp_path, f"{bucket.url}/weights"):
        arguments = (f"--src={root}/bvlc_alexnet.npy", f"--out={root}/out.safetensors")
        status, _, error = main("--model=alexnet", *arguments)
        assert status == 0, error
    there = storage.path(f"{bucket.url}/weights/out.safetensors")
    files = (tmp_path / "out.safetensors", there)
    (wanted, metadata), (found, metadata_there) = map(canonical.verify, files)
    assert metadata_there == metadata
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    assert main(f"--check={bucket.url}/weights/out.safetensors")[0] == 0
