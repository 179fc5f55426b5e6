"""torchvision's VGG16 reads, and is folded for our input; other networks are named."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxart.models import VGG16, VGG19
from jaxart.models.layers import trainable
from jaxart.weights import WeightsError
from jaxart.weights.channel_order import for_caffe_input
from jaxart.weights.readers import state_dict, torchvision
from tests.weights import torch_files

CONVOLUTIONS = {
    "conv1_1": 0,
    "conv1_2": 2,
    "conv2_1": 5,
    "conv2_2": 7,
    "conv3_1": 10,
    "conv3_2": 12,
    "conv3_3": 14,
    "conv4_1": 17,
    "conv4_2": 19,
    "conv4_3": 21,
    "conv5_1": 24,
    "conv5_2": 26,
    "conv5_3": 28,
}
VGG19_PLACES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
DENSE = {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}
TIMM = {
    "classifier.0": "pre_logits.fc1",
    "classifier.3": "pre_logits.fc2",
    "classifier.6": "head.fc",
}
MEAN = np.array([0.485, 0.456, 0.406])  # RGB
STD = np.array([0.229, 0.224, 0.225])
CAFFE_MEAN = np.array([103.939, 116.779, 123.68])  # BGR


@pytest.fixture
def state():
    """The state_dict of a narrow torchvision VGG16."""
    rng = np.random.default_rng(0)
    state = {}
    inputs = 3
    for number, index in enumerate(CONVOLUTIONS.values()):
        outputs = 4 + number % 3
        state[f"features.{index}.weight"] = rng.normal(size=(outputs, inputs, 3, 3))
        state[f"features.{index}.bias"] = rng.normal(size=outputs)
        inputs = outputs
    inputs *= 49
    for outputs, module in zip((6, 5, 3), DENSE.values(), strict=True):
        state[f"{module}.weight"] = rng.normal(size=(outputs, inputs))
        state[f"{module}.bias"] = rng.normal(size=outputs)
        inputs = outputs
    return {name: array.astype(np.float32) for name, array in state.items()}


def as_timm(state):
    """The same network with convolutions for its first two dense layers."""
    renamed = {}
    for name, array in state.items():
        module, _, parameter = name.rpartition(".")
        if name == "classifier.0.weight":
            array = array.reshape(len(array), -1, 7, 7)
        if name == "classifier.3.weight":
            array = array[:, :, None, None]
        renamed[f"{TIMM.get(module, module)}.{parameter}"] = np.ascontiguousarray(array)
    return renamed


def write_state(path, state):
    if path.suffix == ".pth":
        return torch_files.write_zip(path, torch_files.state_dict(state))
    save_file(state, path)
    return path


def read(path):
    return torchvision.to_params(path, state_dict.read(path), VGG16())


def convolve(image, kernel_oihw, bias, padding):
    """The first layer as PyTorch defines it, tap by tap: (C, H, W) -> (O, H, W)."""
    _, height, width = image.shape
    padded = np.pad(image, [(0, 0), (1, 1), (1, 1)]) if padding else image
    rows, columns = (height, width) if padding else (height - 2, width - 2)
    out = np.zeros((len(kernel_oihw), rows, columns)) + bias[:, None, None]
    for i in range(3):
        for j in range(3):
            patch = padded[:, i : i + rows, j : j + columns]
            out += np.tensordot(kernel_oihw[:, :, i, j].astype(np.float64), patch, 1)
    return out


def both_first_layers(path, state, padding):
    """The first layer's output by torchvision's convention and by ours."""
    pixels = np.random.default_rng(1).integers(0, 256, size=(3, 20, 24))  # RGB
    theirs = convolve(
        (pixels / 255 - MEAN[:, None, None]) / STD[:, None, None],
        state["features.0.weight"],
        state["features.0.bias"],
        padding,
    )
    first = read(path)["conv1_1"]
    kernel, bias = for_caffe_input(
        first["kernel"], first["bias"], "torchvision", VGG16.preprocessing["mean"]
    )
    ours = convolve(
        pixels[::-1] - CAFFE_MEAN[:, None, None],
        kernel.transpose(3, 2, 0, 1),
        bias,
        padding,
    )
    return theirs, ours


@pytest.mark.parametrize("timm", [False, True], ids=["torchvision", "timm"])
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_reads_every_layer(tmp_path, state, name, timm):
    path = write_state(tmp_path / name, as_timm(state) if timm else state)
    params = read(path)
    assert list(params) == [*CONVOLUTIONS, *DENSE]
    for arrays in params.values():
        assert list(arrays) == ["kernel", "bias"]
        assert all(array.dtype == np.float32 for array in arrays.values())
        assert all(array.flags.c_contiguous for array in arrays.values())
    for layer, index in CONVOLUTIONS.items():
        weight = state[f"features.{index}.weight"]
        for i, j in ((0, 0), (0, 2), (1, 2)):
            np.testing.assert_array_equal(
                params[layer]["kernel"][i, j], weight[:, :, i, j].T
            )
        np.testing.assert_array_equal(
            params[layer]["bias"], state[f"features.{index}.bias"]
        )


@pytest.mark.parametrize("timm", [False, True], ids=["torchvision", "timm"])
def test_dense_layers_compute_the_same(tmp_path, state, timm):
    """PyTorch flattens (C, H, W), we flatten (H, W, C)."""
    path = write_state(tmp_path / "a.pth", as_timm(state) if timm else state)
    params = read(path)
    channels = len(state["features.28.bias"])
    features = np.random.default_rng(1).normal(size=(channels, 7, 7))
    theirs, ours = features.ravel(), features.transpose(1, 2, 0).ravel()
    for layer, module in DENSE.items():
        theirs = state[f"{module}.weight"] @ theirs + state[f"{module}.bias"]
        ours = ours @ params[layer]["kernel"] + params[layer]["bias"]
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_first_layer_is_the_same_inside(tmp_path, state):
    path = write_state(tmp_path / "a.pth", state)
    theirs, ours = both_first_layers(path, state, padding=False)
    assert np.abs(theirs).max() > 10
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_first_layer_differs_little_at_the_border(tmp_path, state):
    """There the image goes on in Caffe's mean colour instead of torchvision's."""
    path = write_state(tmp_path / "a.pth", state)
    theirs, ours = both_first_layers(path, state, padding=True)
    difference = ours - theirs
    np.testing.assert_allclose(difference[:, 1:-1, 1:-1], 0, rtol=0, atol=1e-5)

    # What the padding is in torchvision's units, in our convention and in theirs.
    shift = (CAFFE_MEAN[::-1] / 255 - MEAN) / STD
    assert np.abs(shift).max() < 0.009
    taps = np.einsum("oihw,i->ohw", state["features.0.weight"].astype(float), shift)
    np.testing.assert_allclose(
        difference[:, 0, 1:-1], taps[:, 0].sum(1)[:, None] + np.zeros(22), atol=1e-5
    )
    np.testing.assert_allclose(
        difference[:, -1, -1], taps[:, 2].sum(1) + taps[:, :2, 2].sum(1), atol=1e-5
    )
    assert 0 < np.abs(difference).max() < 0.003 * np.abs(theirs).max()


def test_vgg19_has_its_own_places(tmp_path):
    path = write_state(tmp_path / "a.pth", network(VGG19_PLACES))
    params = torchvision.to_params(path, state_dict.read(path), VGG19())
    assert tuple(params) == trainable(VGG19().convolutions())


def test_the_means_are_the_model_s():
    assert VGG16.preprocessing["mean"] == tuple(CAFFE_MEAN)


def test_convolutions_alone(tmp_path, state):
    state = {name: a for name, a in state.items() if name.startswith("features")}
    path = write_state(tmp_path / "a.pth", state)
    assert list(read(path)) == list(CONVOLUTIONS)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_reads_other_floats(tmp_path, state, name, dtype):
    state = {name: array.astype(dtype) for name, array in state.items()}
    params = read(write_state(tmp_path / name, state))
    np.testing.assert_array_equal(
        params["fc8"]["bias"], state["classifier.6.bias"].astype(np.float32)
    )


def network(indices, **more):
    return {
        f"features.{index}.{name}": np.ones(shape, np.float32)
        for index in indices
        for name, shape in (("weight", (2, 2, 3, 3)), ("bias", (2,)))
    } | more


OTHER_NETWORKS = {
    "alexnet, .*64 filters .*no groups, no response norm": network(
        (3, 6, 8, 10), **{"features.0.weight": np.ones((64, 3, 11, 11), np.float32)}
    ),
    r"batch norm \(vgg16_bn": network(
        (0, 1, 3),
        **{
            "features.1.running_mean": np.ones(2, np.float32),
            "features.1.num_batches_tracked": np.array([5]),
        },
    ),
    r"holds 'features\.(3|11|13)\.": network((0, 3, 6, 8, 11, 13, 16, 18)),
    r"holds 'features\.(15|20|22)\.": network((0, 2, 5, 7, 10, 12, 15, 17, 20, 22)),
    r"holds 'features.16\.\w+', which torchvision's VGG16": network(VGG19_PLACES),
    "holds 'conv1.weight', which torchvision's VGG16 does not have": {
        "conv1.weight": np.ones((64, 3, 7, 7), np.float32)
    },
    "holds 'conv1/kernel', which torchvision's VGG16 does not have": {
        "conv1/kernel": np.ones((7, 7, 3, 64), np.float32)
    },
    "holds 'weight'": {"weight": np.ones(3, np.float32)},
}


@pytest.mark.parametrize("message", OTHER_NETWORKS)
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_refuses_other_networks_by_name(tmp_path, name, message):
    path = write_state(tmp_path / name, OTHER_NETWORKS[message])
    with pytest.raises(WeightsError, match=rf"{name}: .*{message}"):
        read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features.2.bias": None}, "conv1_2 has weight, not weight and bias"),
        ({"features.2.weight": np.ones((7, 4, 3, 3))}, "'conv1_2' has a kernel of sha"),
        ({"features.2.weight": np.ones((5, 4, 3))}, "'conv1_2' has a kernel of shape"),
        ({"features.0.weight": np.ones((4, 3, 3, 3), int)}, "conv1_1 is of int64"),
        ({"classifier.0.weight": np.ones((6, 49))}, "'fc6': 49 inputs are no square"),
        ({"head.fc.bias": np.ones(3)}, "has fc8.bias under two names"),
        ({"features.2.gamma": np.ones(3)}, "holds 'features.2.gamma'"),
    ],
)
def test_names_what_does_not_fit(tmp_path, state, change, message):
    state = {name: a for name, a in (state | change).items() if a is not None}
    with pytest.raises(WeightsError, match=rf"a\.pth: .*{message}"):
        read(write_state(tmp_path / "a.pth", state))
