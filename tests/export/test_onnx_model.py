"""ONNX models: ONNX Runtime gives our logits, and the file says how to ask for them."""

import sys

import numpy as np
import onnx
import onnxruntime
import pytest

from jaxart.classifier import Classifier
from jaxart.export import onnx_model
from jaxart.models import MODELS, VGG16, AlexNet, CaffeNet
from jaxart.weights import WeightsError
from tests import runs
from tests.export.preparing import onnx_facts, prepare


class SmallAlexNet(AlexNet):
    """AlexNet on images for which pool5 is 2 x 2."""

    preprocessing = AlexNet.preprocessing | {"size": 99}


class SmallCaffeNet(CaffeNet):
    """The same of CaffeNet."""

    preprocessing = SmallAlexNet.preprocessing


class SmallVGG16(VGG16):
    """VGG16 on images for which pool5 is 2 x 2."""

    preprocessing = VGG16.preprocessing | {"size": 64}
    blocks = ((2, 4), (2, 5), (3, 6), (3, 7), (3, 8))


class SmallVGG19(SmallVGG16):
    """The same of VGG19."""

    blocks = ((2, 4), (2, 5), (4, 6), (4, 7), (4, 8))


@pytest.fixture
def networks(monkeypatch, quick_compiles):
    """Makes a classifier of three classes of a small network."""
    for kind in (SmallAlexNet, SmallCaffeNet, SmallVGG16, SmallVGG19):
        name = kind.__name__.removeprefix("Small").lower()
        monkeypatch.setitem(MODELS, name, kind)

    def make(name, **fields):
        model = MODELS[name](num_classes=3, **fields)
        return Classifier(model, runs.random_params(model), ("a", "b", "c"), "crop")

    return make


def open_session(network, path):
    onnx_model.write(path, network)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        # An alpha that makes the norm matter: Caffe's changes the logits by little.
        ("alexnet", {"hidden": (), "lrn_alpha": 0.5}),
        ("caffenet", {"hidden": (9,), "lrn_alpha": 0.5}),
        ("vgg16", {"hidden": ()}),
        ("vgg19", {"hidden": (9, 10)}),
    ],
)
def test_onnx_runtime_gives_our_logits(networks, answer, close, tmp_path, name, fields):
    network = networks(name, **fields)
    session = open_session(network, tmp_path / "model.onnx")
    size = network.model.preprocessing["size"]
    rng = np.random.default_rng(1)
    images = rng.uniform(-120, 140, (3, size, size, 3)).astype(np.float32)
    wanted = answer(network, images)
    for batch in (images[:1], images):
        (found,) = session.run(None, {"data": batch.transpose(0, 3, 1, 2)})
        close(found, wanted[: len(batch)])


def test_a_model_is_sound_and_has_caffes_names(networks, tmp_path):
    session = open_session(networks("alexnet", hidden=(9,)), tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert (model.ir_version, model.opset_import[0].version) == (7, 13)
    assert [node.name for node in model.graph.node] == [
        *("conv1 relu1 norm1 pool1 conv2 relu2 norm2 pool2 conv3 relu3".split()),
        *("conv4 relu4 conv5 relu5 pool5 flatten fc6 relu6 fc8".split()),
    ]
    shapes = {array.name: tuple(array.dims) for array in model.graph.initializer}
    assert list(shapes)[:2] == ["conv1.weight", "conv1.bias"]
    assert shapes["conv2.weight"] == (256, 48, 5, 5)
    assert shapes["fc6.weight"] == (9, 1024)
    (data,), (fc8,) = session.get_inputs(), session.get_outputs()
    assert (data.name, data.shape) == ("data", ["N", 3, 99, 99])
    assert (fc8.name, fc8.shape) == ("fc8", ["N", 3])
    assert "short side to 256" in model.doc_string


@pytest.mark.parametrize(
    ("resize", "tolerance"),
    # Cropping after the resize rounds some pixels the other way.
    [("", 1e-5), ("antialias", 1e-5), ("tf1_bilinear", 1e-5), ("crop", 2e-3)],
)
def test_the_metadata_suffice_to_use_a_model(
    tiny, picture, answer, close, tmp_path, resize, tolerance
):
    network = tiny(resize)
    session = open_session(network, tmp_path / "model.onnx")
    facts = onnx_facts(session)
    (found,) = session.run(None, {"data": prepare(picture, facts)})
    close(found, answer(network, picture), tolerance)
    assert facts["model"] == "tinynet"
    assert facts["resize"] == (resize or "antialias")
    assert facts["class_names"] == list(network.class_names)
    assert (
        "B, G, R; subtract the mean 103.939, 116.779, 123.68"
        in (facts["preprocessing"])
    )


def test_without_the_package_an_error_says_what_to_install(tiny, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(WeightsError, match=r"pip install 'jaxart\[onnx\]'"):
        onnx_model.write(tmp_path / "model.onnx", tiny(""))
    assert not list(tmp_path.iterdir())
