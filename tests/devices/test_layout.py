"""What moves between devices, and what lies where."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from jaxart.devices import layout
from tests import ROOT

PARAMS = {
    "conv1": {"kernel": np.ones((3, 3, 3, 4)), "bias": np.ones(4)},
    "fc6": {"kernel": np.ones((8, 6)), "bias": np.ones(6)},
    "fc8": {"kernel": np.ones((6, 3)), "bias": np.ones(3)},
}


pytestmark = pytest.mark.xdist_group("layout")


def layout_of(*shape):
    """A layout over as many devices, though there is one."""
    devices = np.array(jax.devices() * np.prod(shape)).reshape(shape)
    return layout.Layout(jax.sharding.Mesh(devices, (layout.DATA, layout.MODEL)))


@pytest.fixture(scope="module")
def seen():
    """What a process with eight devices sees."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.eight_devices"],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# Kernels and biases, 4 bytes a number: fc7 256 x 256, fc8 256 x 10; all of AlexNet.
TWO = 4 * (256 * 256 + 256 + 256 * 10 + 10)
EVERY = TWO + 4 * (2_334_080 + 9216 * 256 + 256)


@pytest.mark.parametrize(
    ("run", "trained"),
    [
        ("alexnet fc7+fc8", TWO),
        ("alexnet fc7+fc8 cached", TWO),
        ("alexnet fc7+fc8 in parts", TWO),
        ("alexnet every layer", EVERY),
        ("vgg16 fc8", 4 * (25088 * 10 + 10)),
    ],
)
@pytest.mark.slow
def test_a_step_moves_the_trained_gradients_once_and_nothing_else(seen, run, trained):
    found = seen["moved"][run]
    assert found["trained"] == trained
    assert set(found["moved"]) == {"all-reduce"}
    # Beside them: the count of examples, and sums of loss and accuracy.
    assert trained < found["moved"]["all-reduce"] <= trained + 64


@pytest.mark.slow
def test_split_kernels_train_as_whole_ones(seen):
    whole, *split = seen["trained"]
    assert whole["piece"] == [9216, 32]
    for number, one in zip((2, 4), split, strict=True):
        assert one["piece"] == [9216, 32 // number]
        np.testing.assert_allclose(one["loss"], whole["loss"], rtol=1e-5)
        for a, b in zip(one["kernels"], whole["kernels"], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)
        assert one["counted"] == 9216 * 32
    assert [one["traces"] for one in seen["trained"]] == [1, 1, 1]


def test_one_device_has_everything_whole():
    where = layout.over_all_devices()
    placed = where.put(PARAMS)
    for x in jax.tree.leaves(placed):
        assert x.sharding.is_fully_replicated
    np.testing.assert_array_equal(placed["fc6"]["kernel"], PARAMS["fc6"]["kernel"])
    assert where.own_rows(12) == slice(0, 12)
    where.check_split({"conv1": {}})


def test_a_model_axis_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="model_axis=3 does not divide .* 1 device"):
        layout.over_all_devices(3)
    two = layout_of(1, 4)
    with pytest.raises(ValueError, match="model_axis=4 does not divide fc6's width 6"):
        two.check_split(PARAMS)
    with pytest.raises(ValueError, match="no fc6 to split; its layers are conv1"):
        two.check_split({"conv1": {}})


@pytest.mark.parametrize(
    ("accumulate_steps", "message"),
    [
        (1, "batch_size=12 does not divide by 8 devices"),
        (2, "batch_size=12 in 2 parts does not"),
    ],
)
def test_a_batch_size_that_the_devices_do_not_divide_is_refused(
    accumulate_steps, message
):
    eight = layout_of(8, 1)
    with pytest.raises(ValueError, match=message):
        eight.check_batch_size(12, accumulate_steps)
    eight.check_batch_size(16, accumulate_steps)
