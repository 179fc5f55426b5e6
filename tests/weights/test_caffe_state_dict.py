"""Caffe's networks under PyTorch's names: what they compute stays the same."""

import numpy as np
import pytest

from jaxart.weights import WeightsError
from jaxart.weights.readers import caffe_state_dict, state_dict
from tests.weights.torch_files import state_dict as torch_state_dict
from tests.weights.torch_files import write_zip

SHAPES = {
    "alexnet": {
        "conv1": (4, 3, 11, 11),
        "conv2": (6, 2, 5, 5),  # two groups
        "fc6": (7, 6 * 6 * 6),
        "fc7": (5, 7),
        "fc8": (3, 5),
    },
    "vgg16": {
        "conv1_1": (4, 3, 3, 3),
        "conv5_3": (2, 4, 3, 3),
        "fc6": (6, 2 * 7 * 7),
        "fc7": (5, 6),
        "fc8": (3, 5),
    },
}


def state_of(model, dtype=np.float32):
    rng = np.random.default_rng(0)
    state = {}
    for layer, shape in SHAPES[model].items():
        state[f"{layer}.weight"] = rng.normal(size=shape).astype(dtype)
        state[f"{layer}.bias"] = rng.normal(size=shape[0]).astype(dtype)
    return state


def wanted(state):
    params = {}
    for layer in dict.fromkeys(name.split(".")[0] for name in state):
        weight = state[f"{layer}.weight"].astype(np.float32)
        if layer == "fc6":
            channels = next(
                state[f"{c}.bias"]
                for c in ("conv5_3", "conv2")
                if (f"{c}.bias" in state)
            ).size
            side = round((weight.shape[1] / channels) ** 0.5)
            weight = weight.reshape(len(weight), channels, side, side)
            kernel = np.einsum("ochw->hwco", weight).reshape(-1, len(weight))
        else:
            kernel = weight.T if weight.ndim == 2 else np.einsum("oihw->hwio", weight)
        bias = state[f"{layer}.bias"].astype(np.float32)
        params[layer] = {"kernel": kernel, "bias": bias}
    return params


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("model", SHAPES)
def test_reads_every_layer(tmp_path, assert_params_equal, model, prefix, dtype):
    state = state_of(model, dtype)
    named = {prefix + name: array for name, array in state.items()}
    path = write_zip(tmp_path / "a.pth", torch_state_dict(named))
    arrays = state_dict.read(path)
    assert caffe_state_dict.names_caffe_layers(arrays)
    params = caffe_state_dict.to_params(path, arrays)
    assert_params_equal(params, wanted(state))
    assert all(a.flags.writeable for pair in params.values() for a in pair.values())


def test_fc6_reads_a_map_of_ours():
    state = state_of("vgg16")
    features = np.random.default_rng(1).normal(size=(2, 7, 7)).astype(np.float32)
    fc6 = caffe_state_dict.to_params("a.pth", state)["fc6"]
    np.testing.assert_allclose(
        features.transpose(1, 2, 0).ravel() @ fc6["kernel"] + fc6["bias"],
        state["fc6.weight"] @ features.ravel() + state["fc6.bias"],
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("names", "is_caffe"),
    [
        (["conv1.weight", "conv1.bias", "fc8-oxford.weight"], True),
        (["module.conv1_1.weight", "module.fc6.bias"], True),
        (["module.conv1_1.weight", "fc6.bias"], False),
        (["features.0.weight", "classifier.6.bias"], False),
        (["conv1.weight", "bn1.weight", "fc.weight"], False),
        (["conv1/kernel", "conv1/bias"], False),
        (["conv1.weight", "conv1.running_mean"], False),
    ],
)
def test_knows_caffe_s_names(names, is_caffe):
    arrays = dict.fromkeys(names, np.ones(3))
    assert caffe_state_dict.names_caffe_layers(arrays) is is_caffe


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv1.bias": None}, "conv1 has weight, not weight and bias"),
        ({"conv1.weight": None}, "conv1 has bias, not weight and bias"),
        (
            {"conv1.bias": np.ones(5)},
            r"layer 'conv1' has a kernel of shape \(4, 3, 11, 11\)",
        ),
        ({"conv1.weight": np.ones((4, 3, 3))}, "layer 'conv1' has a kernel of shape"),
        (
            {"conv1.weight": np.ones((4, 0, 3, 3))},
            "layer 'conv1' has a kernel of shape",
        ),
        ({"conv1.weight": np.ones((4, 3, 3, 3), int)}, "conv1 is of int64"),
        ({"conv1.bias": np.ones(4, bool)}, "conv1 is of float32 and bool"),
        (
            {"fc6.weight": np.ones((7, 217))},
            "layer 'fc6': 217 inputs are no square map of 6",
        ),
        (
            {"fc6.weight": np.ones((7, 5))},
            "layer 'fc6': 5 inputs are no square map of 6",
        ),
    ],
)
def test_names_what_does_not_fit(change, message):
    state = state_of("alexnet") | change
    state = {name: array for name, array in state.items() if array is not None}
    with pytest.raises(WeightsError, match=rf"a\.pth: {message}"):
        caffe_state_dict.to_params("a.pth", state)
