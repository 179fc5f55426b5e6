"""What `jaxart.load` takes: runs, weight files, and those of other formats."""

import numpy as np
import pytest

import jaxart
from jaxart.classifier import ClassifierError
from jaxart.export import weight_files
from jaxart.weights import WeightsError
from tests import runs
from tests.face.conftest import CLASSES


@pytest.fixture(scope="module")
def alexnet():
    """A small AlexNet with all of its layers."""
    model, params = runs.small_alexnet(num_classes=4, hidden=(5, 6))
    return jaxart.TrainedNetwork(model, params, CLASSES, "")


def test_a_public_file_is_known_by_its_name(alexnet, picture, tmp_path):
    weight_files.write_npy(tmp_path / "bvlc_alexnet.npy", alexnet)
    network = jaxart.load(tmp_path / "bvlc_alexnet.npy")
    assert network.class_names == ("0", "1", "2", "3")
    np.testing.assert_array_equal(network.logits(picture), alexnet.logits(picture))


def test_another_file_is_what_is_stated(alexnet, picture, tmp_path):
    file = tmp_path / "mine.npy"
    weight_files.write_npy(file, alexnet)
    (tmp_path / "names.txt").write_text("\n".join(CLASSES))
    with pytest.raises(WeightsError, match="model=None: state the network .* vgg16"):
        jaxart.load(file)
    with pytest.raises(WeightsError, match="mine.npy: for vgg16: "):
        jaxart.load(file, model="vgg16")
    with pytest.raises(WeightsError, match="--channel-order=rgb, but"):
        jaxart.load(file, model="alexnet", channel_order="rgb")
    network = jaxart.load(
        file, model="alexnet", class_names=str(tmp_path / "names.txt")
    )
    assert network.class_names == CLASSES
    np.testing.assert_array_equal(network.logits(picture), alexnet.logits(picture))


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("none", FileNotFoundError, "none: no such weight file"),
        ("vgg16.safetensors", FileNotFoundError, "--model=vgg16 --download"),
        ("empty", ClassifierError, "no run of `jaxart train`"),
    ],
)
def test_what_is_not_there_is_refused(tmp_path, name, error, says):
    (tmp_path / "empty").mkdir()
    with pytest.raises(error) as raised:
        jaxart.load(tmp_path / name)
    assert says in str(raised.value)
