"""Building a network from a weight file: strict, and told by the file's own facts."""

import itertools
import json

import jax
import numpy as np
import optax
import pytest

from jaxart.models import MODELS, CaffeNet
from jaxart.training import network
from jaxart.training.config import Config
from jaxart.weights import WeightsError, canonical
from tests import runs


@pytest.fixture(scope="module")
def weight_file(tmp_path_factory):
    """A CaffeNet of narrow fully connected layers and 7 classes."""
    model = CaffeNet(num_classes=7, hidden=(12, 12))
    params = jax.tree.map(np.asarray, runs.random_params(model))
    path = tmp_path_factory.mktemp("weights") / "caffenet.safetensors"
    metadata = {
        "model": "caffenet",
        "source": "made by a test",
        "source_sha256": "0" * 64,
        "source_channel_order": "bgr",
        "mean": json.dumps([103.939, 116.779, 123.68]),
        "size": "227",
        "resize": "",
        "class_names": "[]",
        "lrn_alpha": "0.0005",
    }
    canonical.write(path, params, metadata)
    return path, params


def build(path, **changes):
    fields = {"model": "caffenet", "num_classes": 7, "hidden": (12, 12)}
    fields |= {"weights": str(path)} | changes
    return network.build(Config(**fields), jax.random.key(0))


def test_parameters_and_the_facts_of_the_file_reach_the_network(weight_file):
    path, params = weight_file
    model, built = build(path)
    assert (type(model), model.lrn_alpha) == (CaffeNet, 0.0005)
    jax.tree.map(np.testing.assert_array_equal, built, params)
    described = network.describe(model)
    assert described["lrn_alpha"] == 0.0005 and described["num_classes"] == 7
    json.dumps(described)


@pytest.mark.parametrize(
    ("name", "hidden"), [("alexnet", (64, 48)), ("tinynet", ())], ids=str
)
def test_without_a_file_layers_are_drawn_as_the_modules_draw_them(
    monkeypatch, name, hidden
):
    monkeypatch.setitem(MODELS, "tinynet", runs.TinyNet)
    config = Config(model=name, num_classes=32, hidden=hidden)
    model, params = network.build(config, jax.random.key(3))
    size = model.preprocessing["size"]
    image = jax.ShapeDtypeStruct((1, size, size, 3), np.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), image)["params"]
    assert list(params) == list(shapes)
    for layer, arrays in shapes.items():
        kernel, bias = params[layer]["kernel"], params[layer]["bias"]
        assert (kernel.shape, bias.shape) == tuple(
            arrays[what].shape for what in ("kernel", "bias")
        )
        assert kernel.dtype == bias.dtype == np.float32
        assert not np.any(bias)
        fan_sum = np.prod(kernel.shape[:-2]) * sum(kernel.shape[-2:])
        limit = np.sqrt(6 / fan_sum)  # Glorot and Bengio 2010, eq. 16
        assert 0.95 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6)
        # A uniform one's mean is 0 and its variance limit^2 / 3: to 5 standard errors.
        error = 5 / np.sqrt(kernel.size)
        assert abs(kernel.mean()) < error * limit / np.sqrt(3)
        assert abs(kernel.var() / (limit**2 / 3) - 1) < error * np.sqrt(4 / 5)
    flat = [np.ravel(arrays["kernel"])[:50] for arrays in params.values()]
    flat = [numbers / np.abs(numbers).max() for numbers in flat]
    assert all(not np.allclose(a, b) for a, b in itertools.combinations(flat, 2))

    _, again = network.build(config, jax.random.key(3))
    jax.tree.map(np.testing.assert_array_equal, params, again)
    _, other = network.build(config, jax.random.key(4))
    assert not np.array_equal(params["fc8"]["kernel"], other["fc8"]["kernel"])


def test_a_head_of_another_size_is_fresh_and_the_log_says_so(weight_file, caplog):
    path, params = weight_file
    with caplog.at_level("INFO", logger="jaxart"):
        _, built = build(path, num_classes=3)
    assert "from random parameters: fc8" in caplog.text
    assert built["fc8"]["kernel"].shape == (12, 3)
    limit = np.sqrt(6 / (12 + 3))  # Glorot and Bengio 2010, eq. 16
    assert 0 < np.abs(built["fc8"]["kernel"]).max() <= limit
    assert not np.any(built["fc8"]["bias"])
    np.testing.assert_array_equal(built["fc7"]["kernel"], params["fc7"]["kernel"])


def test_layers_that_hidden_leaves_out_are_left_out(weight_file, caplog):
    path, _ = weight_file
    with caplog.at_level("INFO", logger="jaxart"):
        _, built = build(path, hidden=())
    assert set(built) == {"conv1", "conv2", "conv3", "conv4", "conv5", "fc8"}
    assert "in the file, not in this network: fc6, fc7" in caplog.text


def test_a_frozen_layer_of_another_width_is_an_error_that_names_it(weight_file):
    path, _ = weight_file
    with pytest.raises(WeightsError, match=r"fc6/kernel \(9216, 12\).*\(9216, 8\)"):
        build(path, hidden=(8, 12))
    _, built = build(path, hidden=(8, 12), train_layers=("fc6", "fc7", "fc8"))
    assert built["fc6"]["kernel"].shape == (9216, 8)


def test_weights_of_another_network_are_refused(weight_file):
    with pytest.raises(WeightsError, match="are for caffenet, the model is vgg16"):
        build(weight_file[0], model="vgg16", hidden=())


def test_the_overview_marks_what_trains(weight_file):
    _, params = weight_file
    lines = network.overview(params, ("fc7", "fc8")).splitlines()
    marked = [line.split()[1] for line in lines if "yes" in line]
    assert marked == ["fc7/bias", "fc7/kernel", "fc8/bias", "fc8/kernel"]
    trained = 12 * 12 + 12 + 12 * 7 + 7
    assert lines[-1] == f"Total: {optax.tree.size(params):,}, trained: {trained:,}"
