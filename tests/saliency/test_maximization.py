"""The image that a class is, where it can be known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxart.models.convolving import convolve
from jaxart.saliency.methods.maximization import class_model

pytestmark = pytest.mark.usefixtures("quick_compiles")

SHAPE = (9, 7, 3)
WEIGHTS = jnp.asarray(np.random.default_rng(0).normal(size=(2, *SHAPE)), jnp.float32)
KEY = jax.random.key(0)
PLAIN = {"shape": SHAPE, "key": KEY, "jitter": 0, "blur": 0.0}


def linear(x):
    """Two logits w . I."""
    return jnp.einsum("bhwc,khwc->bk", x, WEIGHTS)


def network(x):
    kernel = jnp.asarray(np.random.default_rng(1).normal(size=(3, 3, 3, 4)), x.dtype)
    x = jax.nn.relu(convolve(x, kernel, 1, 1) + 0.1)
    return x.mean((1, 2))


def spot(row, column):
    """One logit: a pixel, all of its channels."""
    return lambda x: x[:, row, column].sum(-1, keepdims=True)


@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize("l2", [0.25, 2.0])
def test_converges_to_the_optimum_of_a_linear_score(target, l2):
    # The gradient w - 2 l2 I is 0 at w / (2 l2). Adam at a constant rate does not
    # settle quite there.
    found = class_model(linear, target, l2=l2, steps=2000, learning_rate=0.01, **PLAIN)
    assert found.shape == SHAPE
    expected = np.asarray(WEIGHTS[target]) / (2 * l2)
    assert np.abs(found - expected).max() < 0.01 * np.abs(expected).max()


def test_first_step_is_the_learning_rate():
    # Adam's first step is the gradient over its own magnitude.
    found = class_model(linear, 1, steps=1, learning_rate=2.0, **PLAIN)
    np.testing.assert_allclose(found, 2 * np.sign(WEIGHTS[1]), rtol=1e-4)


def test_the_score_rises():
    scores = [
        network(class_model(network, 2, shape=SHAPE, key=KEY, steps=steps)[None])[0]
        for steps in (5, 50)
    ]
    zero = network(jnp.zeros((1, *SHAPE)))[0]
    assert zero[2] < scores[0][2] < scores[1][2]


def without_bias(x):
    """Two logits of a rectified layer, whose gradient at zero is exactly 0."""
    return jax.nn.relu(linear(x)) @ jnp.array([[1.0, -1.0], [-1.0, 1.0]])


def test_without_a_gradient_at_zero_it_climbs_from_noise():
    run = functools.partial(class_model, without_bias, 1, shape=SHAPE, steps=50)
    assert not jax.grad(lambda x: without_bias(x[None])[0, 1])(jnp.zeros(SHAPE)).any()
    found = run(key=KEY)
    assert without_bias(found[None])[0, 1] > 100
    np.testing.assert_array_equal(run(key=KEY), found)
    assert (run(key=jax.random.key(1)) != found).any()


def test_with_a_gradient_at_zero_no_noise_is_added():
    found = class_model(spot(4, 3), 0, steps=3, **PLAIN)
    assert np.count_nonzero(found) == 3


def test_blur_by_hand():
    # One step makes the pixel (4, 3) 2.0; the blur spreads it as a bell.
    settings = PLAIN | {"blur": 0.8, "steps": 1, "learning_rate": 2.0}
    bell = np.exp(-0.5 * (np.arange(-50, 51) / 0.8) ** 2)
    bell /= bell.sum()
    rows, columns = bell[50 + np.arange(9) - 4], bell[50 + np.arange(7) - 3]
    found = class_model(spot(4, 3), 0, blur_every=1, **settings)
    expected = np.multiply.outer(rows, columns)[..., None] * np.full(3, 2.0)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    later = class_model(spot(4, 3), 0, blur_every=2, **settings)
    assert np.count_nonzero(later) == 3


def test_jitter_goes_as_far_as_it_says():
    # What is rolled by up to 2 and looked at in one place is seen around that place.
    model = functools.partial(
        class_model, spot(4, 3), 0, shape=SHAPE, l2=0.0, blur=0.0, jitter=2, steps=200
    )
    found = np.asarray(model(key=KEY)).any(-1)
    expected = np.zeros(SHAPE[:2], bool)
    expected[2:7, 1:6] = True
    np.testing.assert_array_equal(found, expected)


def test_same_key_same_image():
    model = functools.partial(class_model, network, 1, shape=SHAPE, steps=5)
    jitted = jax.jit(model)
    found = jitted(key=KEY)
    np.testing.assert_array_equal(jitted(key=KEY), found)
    np.testing.assert_allclose(model(key=KEY), found, rtol=1e-4, atol=1e-4)
    assert np.abs(jitted(key=jax.random.key(1)) - found).max() > 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"l2": -1.0}, r"l2=-1\.0: not below 0"),
        ({"l2": float("nan")}, "l2=nan: not below 0"),
        ({"jitter": -1}, "jitter=-1: not below 0"),
        ({"blur": -0.5}, r"blur=-0\.5: not below 0"),
        ({"steps": 0}, "steps=0: at least 1"),
        ({"blur_every": 0}, "blur_every=0: at least 1"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        class_model(linear, 0, shape=SHAPE, key=KEY, **settings)
