"""Merging is strict: a layer fits, was announced as fresh, or is named."""

import jax
import numpy as np
import pytest

from jaxart.weights import WeightsError, canonical
from jaxart.weights.merge import check_fit, load, merge

SHAPES = {
    "conv1": ((3, 3, 3, 4), (4,)),
    "fc6": ((8, 5), (5,)),
    "fc7": ((5, 5), (5,)),
    "fc8": ((5, 10), (10,)),
}
ALL = tuple(SHAPES)


def make(seed: int, **shapes):
    """Makes random parameters of `SHAPES`, some changed, some (None) absent."""
    rng = np.random.default_rng(seed)
    return {
        layer: {
            "kernel": rng.normal(size=kernel).astype(np.float32),
            "bias": rng.normal(size=bias).astype(np.float32),
        }
        for layer, (kernel, bias) in {
            layer: shape for layer, shape in (SHAPES | shapes).items() if shape
        }.items()
    }


def assert_sources(merged, pretrained, loaded, fresh, left_out=()):
    assert merged.loaded_layers == loaded
    assert merged.fresh_layers == fresh
    assert merged.left_out_layers == left_out
    assert tuple(merged.params) == loaded
    for layer, arrays in merged.params.items():
        for name, array in arrays.items():
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, pretrained[layer][name])


@pytest.mark.parametrize("train_layers", [(), ("fc8",), ("fc7", "fc8"), ALL], ids=str)
def test_what_fits_is_loaded(train_layers):
    wanted, pretrained = make(0), make(1)
    merged = merge(wanted, pretrained, train_layers)
    assert_sources(merged, pretrained, ALL, ())


@pytest.mark.parametrize("train_layers", [("fc8",), ("fc7", "fc8"), ()], ids=str)
def test_a_head_of_another_size_is_fresh(train_layers):
    wanted, pretrained = make(0), make(1, fc8=((5, 1000), (1000,)))
    merged = merge(wanted, pretrained, train_layers)
    assert_sources(merged, pretrained, ("conv1", "fc6", "fc7"), ("fc8",))


def test_train_layers_of_another_shape_are_fresh_whole():
    narrow = {"fc6": ((8, 3), (3,)), "fc7": ((3, 5), (5,))}
    wanted, pretrained = make(0, **narrow), make(1)
    merged = merge(wanted, pretrained, ["fc6", "fc7", "fc8"])
    assert_sources(merged, pretrained, ("conv1", "fc8"), ("fc6", "fc7"))


def test_train_layers_that_the_file_lacks_are_fresh():
    wanted, pretrained = make(0), make(1, fc6=None, fc7=None, fc8=None)
    merged = merge(wanted, pretrained, ("fc6", "fc7", "fc8"))
    assert_sources(merged, pretrained, ("conv1",), ("fc6", "fc7", "fc8"))


def test_removed_layers_are_left_out():
    wanted = make(0, fc6=None, fc7=None, fc8=((8, 10), (10,)))
    pretrained = make(1)
    merged = merge(wanted, pretrained, ("fc8",), removed_layers=("fc6", "fc7"))
    left_out = ("fc6", "fc7")
    assert_sources(merged, pretrained, ("conv1",), ("fc8",), left_out)


def test_jax_arrays_stay_bit_for_bit():
    wanted = jax.tree.map(jax.numpy.asarray, make(0, fc8=((5, 3), (3,))))
    pretrained = make(1)
    merged = merge(wanted, pretrained, ("fc8",))
    assert_sources(merged, pretrained, ("conv1", "fc6", "fc7"), ("fc8",))


def without(params, layer, name):
    return params | {layer: {k: v for k, v in params[layer].items() if k != name}}


@pytest.mark.parametrize(
    ("wanted", "pretrained", "train_layers", "message"),
    [
        (
            make(0),
            make(1, fc6=None),
            ("fc8",),
            r"missing from the file: fc6/kernel \(8, 5\), fc6/bias \(5,\)$",
        ),
        (
            make(0),
            make(1, fc8=None),
            ("fc7",),
            r"missing from the file: fc8/kernel \(5, 10\), fc8/bias \(10,\)$",
        ),
        (
            make(0, fc6=None),
            make(1),
            ("fc7", "fc8"),
            r"surplus in the file: fc6/kernel \(8, 5\), fc6/bias \(5,\)$",
        ),
        (
            make(0),
            make(1, fc7=((5, 6), (6,))),
            ("fc8",),
            r"misshapen in the file: fc7/kernel \(5, 6\) where the model has \(5, 5\), "
            r"fc7/bias \(6,\) where the model has \(5,\)$",
        ),
        (
            make(0),
            make(1, fc7=((5, 6), (5,))),
            ("fc8",),
            r"misshapen in the file: fc7/kernel \(5, 6\) where the model has \(5, 5\)$",
        ),
        (
            make(0),
            make(1, conv1=((3, 3, 1, 4), (4,)), fc6=None, norm1=((2, 2), (2,))),
            ("fc7", "fc8"),
            r"missing.*fc6/kernel.*surplus.*norm1/kernel.*misshapen.*conv1/kernel",
        ),
        (
            make(0),
            without(make(1), "fc7", "bias"),
            ("fc7",),
            r"missing from the file: fc7/bias \(5,\)$",
        ),
        (
            without(make(0), "fc7", "bias"),
            make(1),
            ("fc7",),
            r"surplus in the file: fc7/bias \(5,\)$",
        ),
    ],
)
def test_every_difference_is_named(wanted, pretrained, train_layers, message):
    with pytest.raises(WeightsError, match=message):
        merge(wanted, pretrained, train_layers)


def test_only_removed_layers_may_be_surplus():
    wanted = make(0, fc6=None, fc7=None)
    with pytest.raises(WeightsError, match="surplus.*fc6/kernel") as caught:
        merge(wanted, make(1), ALL, removed_layers=("fc7",))
    assert "fc7" not in str(caught.value)


def test_check_fit_takes_shapes_for_arrays():
    shapes = jax.eval_shape(lambda: jax.tree.map(jax.numpy.asarray, make(0)))
    assert check_fit(shapes, make(1)) is None
    with pytest.raises(WeightsError, match="misshapen.*fc8/kernel"):
        check_fit(shapes, make(1, fc8=((5, 7), (7,))))


@pytest.fixture
def weight_file(tmp_path):
    path = tmp_path / "a.safetensors"
    facts = ("source", "source_sha256", "source_channel_order", "mean", "size")
    facts += ("resize", "class_names")
    metadata = dict.fromkeys(facts, "x") | {"model": "vgg16"}
    canonical.write(path, make(1, fc8=((5, 1000), (1000,))), metadata)
    return path


def test_load_merges_a_file(weight_file):
    wanted = make(0)
    merged = load(weight_file, wanted, model="vgg16", train_layers=("fc8",))
    loaded = ("conv1", "fc6", "fc7")
    assert_sources(merged, canonical.read(weight_file)[0], loaded, ("fc8",))


def test_load_wants_the_model(weight_file):
    message = r"a\.safetensors: the weights are for vgg16, the model is alexnet"
    with pytest.raises(WeightsError, match=message):
        load(weight_file, make(0), model="alexnet", train_layers=("fc8",))


def test_load_names_the_file_that_does_not_fit(weight_file):
    wanted = make(0, fc7=((5, 6), (6,)))
    with pytest.raises(WeightsError, match=r"a\.safetensors: .*misshapen.*fc7/kernel"):
        load(weight_file, wanted, model="vgg16", train_layers=("fc8",))
