"""One network in every format is one network: narrow, and at full size.

At full size it is also run by others: onnxruntime, and PyTorch where it is installed;
tests/models/test_caffe_parity.py has OpenCV, Caffe's importer.
"""

import functools
import importlib.util
import json
import re

import jax
import numpy as np
import onnxruntime
import pytest

from jaxart.classifier import Classifier
from jaxart.data import images
from jaxart.export import onnx_model
from jaxart.models import MODELS, VGG16
from jaxart.weights import sources
from jaxart.weights.channel_order import for_caffe_input
from tests.models import caffe_networks
from tests.models.caffe_networks import relative_error
from tests.weights import formats

MEAN = VGG16.preprocessing["mean"]
FOLDED = ("torchvision", "torchvision_pth", "torchvision_legacy_pth")


def read(path, first, network):
    """A file's parameters for BGR input; `first` names the first layer."""
    source = sources.read(path, network)
    order = source.channel_order or "bgr"  # as one has to state it
    kernel, bias = for_caffe_input(*source.params[first].values(), order, MEAN)
    return source, source.params | {first: {"kernel": kernel, "bias": bias}}


ORDERS = dict.fromkeys(formats.ALL, "bgr") | dict.fromkeys(FOLDED, "torchvision")
ORDERS |= {"npz": None, "onnx": None}


def assert_one_network(params, wanted, name):
    """To the bit, but for what torchvision's own input is folded into."""
    assert params.keys() == wanted.keys(), name
    for layer, arrays in wanted.items():
        for key, array in arrays.items():
            found, where = params[layer][key], f"{name}: {layer}/{key}"
            assert (found.dtype, found.shape) == (np.float32, array.shape), where
            assert found.flags.c_contiguous, where
            if name in FOLDED and layer == "conv1_1":
                np.testing.assert_allclose(
                    found, array, rtol=1e-4, atol=1e-5, err_msg=where
                )
            else:
                np.testing.assert_array_equal(found, array, err_msg=where)


NARROW = {
    "alexnet": formats.narrow_alexnet,
    "caffenet": formats.narrow_alexnet,  # the same layers, in another order
    "vgg16": formats.narrow_vgg16,
    "vgg19": formats.narrow_vgg19,
}


@pytest.mark.parametrize(
    ("name", "network"),
    [
        (name, network)
        for network in NARROW
        for name in (formats.ALL if network.startswith("vgg") else formats.WRITERS)
    ],
)
def test_a_narrow_network(tmp_path, name, network):
    path = tmp_path / "weights"  # told by content alone
    blobs = NARROW[network]()
    formats.ALL[name](path, blobs)
    path = path if path.exists() else next(tmp_path.iterdir())  # np.save adds .npy
    source, params = read(path, next(iter(blobs)), MODELS[network]())
    assert source.channel_order == ORDERS[name]
    assert not source.is_recognised
    assert_one_network(params, formats.to_tree(blobs), name)


# --- At full size -------------------------------------------------------------------

NETWORKS = {
    "alexnet": caffe_networks.alexnet_layers(pool_first=False),
    "vgg16": caffe_networks.vgg16_layers(),
    "vgg19": caffe_networks.vgg19_layers(),
}


# Each kind of file at the size of one network: a quarter or half a gigabyte.
FORMATS_OF = {
    "alexnet": (
        *("npy npz caffemodel caffe_h5".split()),
        *("caffe_named_pth caffe_named_safetensors".split()),
    ),
    "vgg16": ("v1_caffemodel", "onnx", "keras_h5", "torchvision", "torchvision_pth"),
    "vgg19": ("caffemodel", "keras_h5", "torchvision_pth"),
}


class Whole:
    """A network with random weights, and two images' logits."""

    def __init__(self, name, folder):
        self.name, self.model, self.layers = name, MODELS[name](), NETWORKS[name]
        self.first = next(layer.name for layer in self.layers if layer.shape)
        self.blobs = caffe_networks.random_blobs(self.layers)
        self.params = formats.to_tree(self.blobs)
        facts = self.model.preprocessing
        paths = caffe_networks.write_images(folder, facts["size"])
        self.images = np.stack(
            [images.load(path, resize="antialias", **facts) for path in paths]
        )

    @functools.cached_property
    def logits(self):
        run = jax.jit(lambda p, x: self.model.apply({"params": p}, x))
        with jax.default_matmul_precision("float32"):
            logits = np.asarray(run(self.params, self.images))
        caffe_networks.assert_discriminating(logits)
        return logits


@pytest.fixture(scope="module", params=NETWORKS)
def whole(request, tmp_path_factory):
    return Whole(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.slow
@pytest.mark.xdist_group("every_format_whole")
def test_a_whole_network(whole, tmp_path):
    """Formats follow one another in one test, to have one file at a time."""
    for name in FORMATS_OF[whole.name]:
        formats.ALL[name](tmp_path / "weights", whole.blobs)
        (path,) = tmp_path.iterdir()
        _, params = read(path, whole.first, whole.model)
        path.unlink()
        assert_one_network(params, whole.params, name)


@pytest.mark.slow
@pytest.mark.xdist_group("every_format_whole")
def test_onnxruntime_runs_a_whole_network(whole, tmp_path):
    classes = tuple(str(i) for i in range(1000))
    path = tmp_path / "a.onnx"
    onnx_model.write(path, Classifier(whole.model, whole.params, classes, resize=""))
    session = onnxruntime.InferenceSession(path)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["mean"]) == list(MEAN)
    inputs = {"data": np.ascontiguousarray(whole.images.transpose(0, 3, 1, 2))}
    (found,) = session.run(None, inputs)
    del session
    assert relative_error(found, whole.logits) < 1e-4

    # What was exported is read again.
    source, again = read(path, whole.first, whole.model)
    path.unlink()
    assert source.channel_order == "bgr"
    assert_one_network(again, whole.params, "what was exported")


@pytest.mark.slow
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
