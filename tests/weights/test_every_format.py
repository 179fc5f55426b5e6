"""One network in every format is one network: tiny, and whole at full size.

At full size it is also run by others: OpenCV (Caffe's importer), onnxruntime, and
PyTorch where it is installed.
"""

import importlib.util
import json
import re

import jax
import numpy as np
import onnxruntime
import pytest

from jaxart.classifier import Classifier
from jaxart.data import images
from jaxart.exports import onnx_model
from jaxart.models import VGG16, AlexNet
from jaxart.weights import sources
from jaxart.weights.channel_order import for_caffe_input
from tests.models import caffe_networks
from tests.models.caffe_networks import relative_error
from tests.weights import formats

MEAN = VGG16.preprocessing["mean"]
FOLDED = ("torchvision", "torchvision_pth", "torchvision_legacy_pth")


def read(path, first):
    """A file's parameters for BGR input; `first` names the first layer."""
    source = sources.read(path)
    order = source.channel_order or "bgr"  # as one has to state it
    kernel, bias = for_caffe_input(*source.params[first].values(), order, MEAN)
    return source, source.params | {first: {"kernel": kernel, "bias": bias}}


ORDERS = dict.fromkeys(formats.ALL, "bgr") | dict.fromkeys(FOLDED, "torchvision")
ORDERS |= {"npz": None, "onnx": None}


@pytest.mark.parametrize("name", formats.ALL)
def test_a_narrow_vgg16(tmp_path, name):
    path = tmp_path / "weights"  # told by content alone
    narrow_vgg16 = formats.narrow_vgg16()
    formats.ALL[name](path, narrow_vgg16)
    path = path if path.exists() else next(tmp_path.iterdir())  # np.save adds .npy
    source, params = read(path, "conv1_1")
    assert source.channel_order == ORDERS[name]
    assert not source.is_recognised
    wanted = formats.to_tree(narrow_vgg16)
    assert params.keys() == wanted.keys()
    for layer, arrays in wanted.items():
        for key, array in arrays.items():
            found = params[layer][key]
            assert found.dtype == np.float32
            assert found.flags.c_contiguous
            if name in FOLDED and layer == "conv1_1":
                np.testing.assert_allclose(found, array, rtol=1e-4, atol=1e-5)
            else:
                np.testing.assert_array_equal(found, array)


# --- At full size -------------------------------------------------------------------

NETWORKS = {
    "alexnet": (AlexNet, caffe_networks.alexnet_layers(pool_first=False)),
    "vgg16": (VGG16, caffe_networks.vgg16_layers()),
}


# Both encodings of Caffe; a .pth, .safetensors and .h5 of whoever has the network.
FORMATS_OF = {
    AlexNet: (
        *("npy npz caffemodel v1_caffemodel onnx caffe_h5".split()),
        *("caffe_named_pth caffe_named_safetensors".split()),
    ),
    VGG16: (
        *("npy npz caffemodel v1_caffemodel onnx keras_h5".split()),
        *("torchvision torchvision_pth".split()),
    ),
}


class Whole:
    """A network with random weights, and what Caffe's importer makes of two images."""

    def __init__(self, name, folder):
        self.model, self.layers = NETWORKS[name][0](), NETWORKS[name][1]
        self.first = next(layer.name for layer in self.layers if layer.shape)
        self.blobs = caffe_networks.random_blobs(self.layers)
        size = self.model.preprocessing["size"]
        paths = caffe_networks.write_images(folder, size)
        (self.logits,) = caffe_networks.run_caffe(
            self.layers, self.blobs, paths, ["fc8"]
        ).values()
        caffe_networks.assert_discriminating(self.logits)
        facts = self.model.preprocessing
        self.images = np.stack(
            [images.load(path, resize="antialias", **facts) for path in paths]
        )
        self._apply = jax.jit(lambda p, x: self.model.apply({"params": p}, x))

    def run(self, params):
        with jax.default_matmul_precision("float32"):
            return np.asarray(self._apply(params, self.images))


@pytest.fixture(scope="module", params=NETWORKS)
def whole(request, tmp_path_factory):
    return Whole(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.xdist_group("every_format_whole")
def test_a_whole_network(whole, tmp_path):
    """Formats follow one another in one test: each file is half a gigabyte."""
    logits = whole.run(formats.to_tree(whole.blobs))
    assert relative_error(logits, whole.logits) < 1e-4
    for name in FORMATS_OF[type(whole.model)]:
        formats.ALL[name](tmp_path / "weights", whole.blobs)
        (path,) = tmp_path.iterdir()
        _, params = read(path, whole.first)
        path.unlink()
        found = whole.run(params)
        assert relative_error(found, logits) < 1e-5, name
        assert relative_error(found, whole.logits) < 1e-4, name


@pytest.mark.xdist_group("every_format_whole")
def test_onnxruntime_runs_a_whole_network(whole, tmp_path):
    params = formats.to_tree(whole.blobs)
    classes = tuple(str(i) for i in range(1000))
    path = tmp_path / "a.onnx"
    onnx_model.write(path, Classifier(whole.model, params, classes, resize=""))
    session = onnxruntime.InferenceSession(path)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["mean"]) == list(MEAN)
    inputs = {"data": np.ascontiguousarray(whole.images.transpose(0, 3, 1, 2))}
    (found,) = session.run(None, inputs)
    del session
    assert relative_error(found, whole.logits) < 1e-4
    assert relative_error(found, whole.run(params)) < 1e-4

    # What was exported is read again.
    source, again = read(path, whole.first)
    path.unlink()
    assert source.channel_order == "bgr"
    np.testing.assert_array_equal(whole.run(again), whole.run(params))


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="PyTorch is in the extra `bench`",
)
@pytest.mark.xdist_group("every_format_whole")
def test_pytorch_runs_a_whole_network(whole):
    torch = importlib.import_module("torch")
    functional = torch.nn.functional
    x = torch.tensor(whole.images.transpose(0, 3, 1, 2))
    for layer in whole.layers:
        settings = dict(re.findall(r"(\w+): (\d+)", layer.settings))
        if layer.shape:
            kernel, bias = map(torch.tensor, whole.blobs[layer.name])
        if layer.type == "Convolution":
            x = functional.conv2d(
                x,
                kernel,
                bias,
                stride=int(settings.get("stride", 1)),
                padding=int(settings.get("pad", 0)),
                groups=int(settings.get("group", 1)),
            )
        elif layer.type == "InnerProduct":
            x = functional.linear(x.flatten(1), kernel, bias)
        elif layer.type == "ReLU":
            x = functional.relu(x)
        elif layer.type == "LRN":
            x = functional.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1.0)
        elif layer.type == "Pooling":
            x = functional.max_pool2d(x, int(settings["kernel_size"]), 2)
    assert relative_error(x.numpy(), whole.logits) < 1e-4
    assert relative_error(whole.run(formats.to_tree(whole.blobs)), x.numpy()) < 1e-4
