"""Our networks against OpenCV's reader of Caffe files, whole and at full size."""

import jax
import numpy as np
import pytest

from jaxart.data import images
from jaxart.models import MODELS, AlexNet, CaffeNet
from tests.models.caffe_networks import (
    alexnet_layers,
    assert_discriminating,
    random_blobs,
    relative_error,
    run_caffe,
    vgg16_layers,
    vgg19_layers,
    write_images,
)
from tests.weights.formats import to_tree

# One worker runs this file: its fixtures are hundreds of megabytes.
pytestmark = pytest.mark.xdist_group("caffe_parity")

TOLERANCE = 1e-4  # of the largest absolute value


def run_ours(model, params, paths, names):
    """The named layers' outputs, and as 'logits' the whole network's."""

    @jax.jit  # which also computes once what the slices share
    def run(params, pictures):
        variables = {"params": params}
        outputs = {name: model.apply(variables, pictures, upto=name) for name in names}
        return outputs | {"logits": model.apply(variables, pictures)}

    pictures = np.stack(
        [images.load(path, resize="antialias", **model.preprocessing) for path in paths]
    )
    with jax.default_matmul_precision("float32"):
        outputs = run(params, pictures)
    return {name: np.asarray(output) for name, output in outputs.items()}


def assert_agree(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert_discriminating(theirs["fc8"])
    assert relative_error(ours["logits"], theirs["fc8"]) < TOLERANCE
    for name, expected in theirs.items():
        assert relative_error(ours[name], expected) < TOLERANCE, name


ALEXNET_NAMES = ["norm1", "norm2", "conv5", "pool5", "relu6", "fc8"]


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    """Our parameters, and Caffe's outputs with the same weights in both orders."""
    paths = write_images(tmp_path_factory.mktemp("alexnet"), 227)
    blobs = random_blobs(alexnet_layers(pool_first=False))
    outputs = {
        kind: run_caffe(
            alexnet_layers(pool_first=kind is CaffeNet), blobs, paths, ALEXNET_NAMES
        )
        for kind in (AlexNet, CaffeNet)
    }
    return to_tree(blobs), paths, outputs


@pytest.mark.parametrize("kind", [AlexNet, CaffeNet])
def test_alexnet_and_caffenet(alexnet, kind):
    params, paths, outputs = alexnet
    ours = run_ours(kind(), params, paths, ALEXNET_NAMES)
    assert_agree(ours, outputs[kind])


@pytest.mark.parametrize("other", [CaffeNet(), AlexNet(lrn_alpha=5e-4)])
@pytest.mark.slow
def test_parity_notices_another_normalisation(alexnet, other):
    params, paths, outputs = alexnet
    logits = run_ours(other, params, paths, [])["logits"]
    assert relative_error(logits, outputs[AlexNet]["fc8"]) > 100 * TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layers"), [("vgg16", vgg16_layers()), ("vgg19", vgg19_layers())]
)
def test_vgg(tmp_path, name, layers):
    blobs = random_blobs(layers)
    names = ["pool2", "conv4_2", "pool5", "relu6", "fc8"]
    paths = write_images(tmp_path, 224)
    theirs = run_caffe(layers, blobs, paths, names)
    ours = run_ours(MODELS[name](), to_tree(blobs), paths, names)
    assert_agree(ours, theirs)
