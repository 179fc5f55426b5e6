"""The canonical file: what goes in comes out; what is not one is refused."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxart.models import MODELS, VGG19, CaffeNet
from jaxart.weights import WeightsError, canonical

METADATA = {
    "model": "vgg16",
    "source": "vgg16_weights.npz",
    "source_sha256": "0" * 64,
    "source_channel_order": "rgb",
    "mean": "[103.939, 116.779, 123.68]",
    "size": "224",
    "resize": "",
    "class_names": "[]",
}


@pytest.fixture
def params():
    rng = np.random.default_rng(0)
    return {
        layer: {
            "kernel": rng.normal(size=(3, 3, 3, 4)).astype(np.float32),
            "bias": rng.normal(size=4).astype(np.float32),
        }
        for layer in ("conv2", "conv10", "conv1")
    }


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.safetensors"


def test_round_trip(path, params, assert_params_equal):
    canonical.write(path, params, METADATA)
    found, metadata = canonical.read(path)
    assert_params_equal(found, params)
    assert metadata == canonical.read_metadata(path)
    assert len(metadata.pop("content_blake2b")) == 128
    checksums = json.loads(metadata.pop("content_xxh3"))
    assert set(checksums) == {"metadata", *load_file(path)}
    assert metadata == METADATA | {
        "format": "jaxart",
        "channel_order": "bgr",
        "layers": '["conv2", "conv10", "conv1"]',
    }


def test_the_file_is_as_readable_as_any_other(path, params):
    canonical.write(path, params, METADATA)
    (path.parent / "other").touch()
    assert path.stat().st_mode == (path.parent / "other").stat().st_mode


def test_names_are_flat_for_other_readers(path, params):
    canonical.write(path, params, METADATA)
    assert set(load_file(path)) == {
        f"{layer}/{name}" for layer in params for name in ("kernel", "bias")
    }


def test_the_order_of_a_layers_arrays_does_not_matter(path, params):
    turned = {layer: dict(reversed(a.items())) for layer, a in params.items()}
    canonical.write(path, turned, METADATA)
    canonical.verify(path)


def test_writes_arrays_of_any_layout_as_float32(path, params, assert_params_equal):
    changed = {
        layer: {name: np.asfortranarray(a, np.float64) for name, a in arrays.items()}
        for layer, arrays in params.items()
    }
    canonical.write(path, changed, METADATA)
    assert_params_equal(canonical.read(path)[0], params)


def test_model_fields(path, params):
    for model in (CaffeNet(lrn_alpha=5e-4), VGG19()):
        canonical.write(path, params, METADATA | canonical.model_metadata(model))
        metadata = canonical.read_metadata(path)
        assert MODELS[metadata["model"]](**canonical.model_fields(metadata)) == model


def test_a_file_of_when_caffenet_was_an_alexnet(path, params, assert_params_equal):
    old = METADATA | {"model": "alexnet", "norm_order": "pool_norm", "lrn_alpha": "1.0"}
    canonical.write(path, params, old)
    found, metadata = canonical.verify(path)
    assert_params_equal(found, params)
    assert metadata["model"] == "caffenet" and "norm_order" not in metadata


def test_a_network_that_is_not_known(path, params):
    canonical.write(path, params, METADATA | {"model": "resnet"})
    with pytest.raises(WeightsError, match="for 'resnet'; the networks are alexnet, "):
        canonical.read(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_bad_write_leaves_the_old_file(path, params, value):
    canonical.write(path, params, METADATA)
    before = path.read_bytes()
    params["conv10"]["bias"][2] = value
    with pytest.raises(WeightsError, match=r"a\.safetensors: not finite: conv10/bias$"):
        canonical.write(path, params, METADATA)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_nothing_beside(path, params):
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        canonical.write(path, params, METADATA)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("key", METADATA)
def test_write_needs_every_fact(path, params, key):
    metadata = {name: value for name, value in METADATA.items() if name != key}
    with pytest.raises(WeightsError, match=key):
        canonical.write(path, params, metadata)
    assert not path.exists()


def test_alexnet_needs_its_norm(path, params):
    with pytest.raises(WeightsError, match="lrn_alpha"):
        canonical.write(path, params, METADATA | {"model": "alexnet"})


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}], ids=str)
def test_a_safetensors_of_another_kind_names_the_converter(path, params, metadata):
    save_file({"conv1/kernel": np.ones(3)}, path, metadata)
    command = r"a\.safetensors.*jaxart convert --model="
    with pytest.raises(WeightsError, match=command):
        canonical.read(path)


def rewrite(path, tensors=None, **metadata):
    """Changes a canonical file of an earlier version, which has no fast checksums."""
    old = canonical.read_metadata(path)
    del old["content_xxh3"]
    save_file(load_file(path) | (tensors or {}), path, old | metadata)


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({"conv1/bias": np.full(4, np.nan, np.float32)}, {}, "not finite: conv1/bias"),
        ({"conv1/bias": np.ones(4)}, {}, "conv1/bias is float64, not float32"),
        ({"conv3/bias": np.ones(4, np.float32)}, {}, "not those of the layers"),
        ({}, {"layers": '["conv1", "conv2"]'}, "not those of the layers"),
        ({}, {"layers": '["conv1", "conv3"]'}, "conv3"),
        ({}, {"layers": "conv1"}, "cannot be read"),
        ({}, {"layers": "3"}, "cannot be read"),
        ({}, {"channel_order": "rgb"}, "not a jaxart weight file"),
        ({}, {"format": "other"}, "not a jaxart weight file"),
    ],
)
def test_refuses_a_file_that_is_not_sound(path, params, tensors, metadata, message):
    canonical.write(path, params, METADATA)
    rewrite(path, tensors, **metadata)
    with pytest.raises(WeightsError, match=rf"a\.safetensors: .*{message}"):
        canonical.read(path)


def test_every_truncation_is_refused(path, params):
    canonical.write(path, params, METADATA)
    whole = path.read_bytes()
    for end in range(0, len(whole), 101):
        path.write_bytes(whole[:end])
        with pytest.raises(WeightsError, match=r"a\.safetensors"):
            canonical.read(path)


def test_every_bit_of_the_content_is_verified(path, params, assert_params_equal):
    canonical.write(path, params, METADATA)
    assert_params_equal(canonical.verify(path)[0], params)
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    for position in (start, start + 50, len(whole) - 1, whole.index(b"103.939")):
        changed = bytearray(whole)
        changed[position] ^= 1
        path.write_bytes(changed)
        for read in (canonical.read, canonical.verify):
            with pytest.raises(WeightsError, match="a.safetensors: damaged: not as it"):
                read(path)


def test_what_is_damaged_is_named(path, params):
    canonical.write(path, params, METADATA)
    whole = bytearray(path.read_bytes())
    where = whole.index(params["conv10"]["kernel"].tobytes())
    whole[where + 100] ^= 8
    path.write_bytes(whole)
    named = "a.safetensors: damaged: not as it was written: conv10/kernel$"
    with pytest.raises(WeightsError, match=named):
        canonical.read(path)


def test_a_file_of_an_earlier_version_is_verified_by_its_slow_hash(path, params):
    canonical.write(path, params, METADATA)
    changed = params["conv1"]["bias"] + 1
    rewrite(path, {"conv1/bias": changed})
    np.testing.assert_array_equal(canonical.read(path)[0]["conv1"]["bias"], changed)
    with pytest.raises(WeightsError, match="damaged: its content is not what was"):
        canonical.verify(path)


def test_a_missing_file_is_missing(path):
    with pytest.raises(FileNotFoundError, match=r"a\.safetensors"):
        canonical.read(path)


def test_a_known_file_that_is_missing_has_one_command(tmp_path):
    path = tmp_path / "vgg16.safetensors"
    command = "jaxart convert --model=vgg16 --download"
    with pytest.raises(FileNotFoundError, match=f"{command} --out={path}$"):
        canonical.read(path)


def test_layers_are_json(path, params):
    canonical.write(path, params, METADATA)
    assert json.loads(canonical.read_metadata(path)["layers"]) == list(params)
