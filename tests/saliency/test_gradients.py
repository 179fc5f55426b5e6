"""Gradient methods against Captum's numbers and closed forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxart.models.convolving import convolve
from jaxart.saliency.choices import CHANNEL_RULES
from jaxart.saliency.methods.gradients import (
    channel_map,
    deconvnet,
    gradient,
    gradient_x_input,
    guided_backprop,
    smoothgrad,
    smoothgrad_squared,
    vargrad,
)

pytestmark = pytest.mark.usefixtures("quick_compiles")

KEY = jax.random.key(7)
PLAIN = {
    "gradient": gradient,
    "gradient_x_input": gradient_x_input,
    "guided_backprop": guided_backprop,
    "deconvnet": deconvnet,
}
SAMPLING = {
    "smoothgrad": functools.partial(smoothgrad, key=KEY),
    "smoothgrad_squared": functools.partial(smoothgrad_squared, key=KEY),
    "vargrad": functools.partial(vargrad, key=KEY),
}
METHODS = PLAIN | {
    name: functools.partial(method, num_samples=5, batch_size=4)
    for name, method in SAMPLING.items()
}
every_method = pytest.mark.parametrize("name", METHODS)
every_sampling = pytest.mark.parametrize("name", SAMPLING)


def random_array(*shape, seed=0):
    values = np.random.default_rng(seed).normal(size=shape)
    return jnp.asarray(values, jnp.float32)


def random_images(n):
    return random_array(n, 6, 5, 3)


PARAMS = {
    "conv1": random_array(3, 3, 3, 4, seed=1),
    "conv2": random_array(3, 3, 4, 5, seed=2),
    "dense": random_array(2 * 2 * 5, 6, seed=3),
}


def network(x, relu=jax.nn.relu):
    """Two convolutions and a head of 6 logits: 6 x 5 pixels, then 6 x 5, then 2 x 2."""
    x = relu(convolve(x, PARAMS["conv1"], 1, 1) + 0.3)
    x = relu(convolve(x, PARAMS["conv2"], 2, 0) - 0.2)
    return x.reshape(len(x), -1) @ PARAMS["dense"]


TARGETS = (0, 5, 1)  # of three images


@functools.cache
def jitted(name):
    """A method as a function of images and targets, compiled once a shape."""
    return jax.jit(functools.partial(METHODS[name], network))


def assert_close(found, expected, tol=1e-5):
    """Equal up to `tol` of the largest value."""
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tol * scale)


# --- numbers of Captum's tests --------------------------------------------------------


def captum_network(x, relu=jax.nn.relu):
    """BasicModel_ConvNet_One_Conv of Captum's tests: rectified logits."""
    x = convolve(x, jnp.ones((3, 3, 1, 2)), 1, 0) + jnp.array([-50.0, -75.0])
    x = relu(x).transpose(0, 3, 1, 2).reshape(len(x), 8)  # PyTorch flattens C, H, W
    return relu(x @ jnp.tile(jnp.array(5 * [1.0] + 3 * [-1.0])[:, None], 4))


# By hand: the sums of the four windows are 45, 54, 81, 90, so that the first channel
# is above 0 in all but the first window, the second in the last two. A weight of -1
# counts in the gradient, and is dropped on the way back by the other two. Deconvnet
# alone passes where the activation is 0: all of channel 1, the first of channel 2.
@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (gradient, [[0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]]),
        (guided_backprop, [[0, 1, 1, 1], [1, 3, 3, 2], [1, 3, 3, 2], [1, 2, 2, 1]]),
        (deconvnet, [[2, 3, 3, 1], [3, 5, 5, 2], [3, 5, 5, 2], [1, 2, 2, 1]]),
    ],
)
def test_captums_numbers(method, expected):
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    found = jax.jit(functools.partial(method, captum_network))(x, 0)
    assert found.shape == x.shape
    np.testing.assert_array_equal(found[0, :, :, 0], expected)


def test_gradient_x_input_is_the_product():
    x = random_images(3)
    targets = jnp.array(TARGETS)
    expected = np.asarray(x) * jitted("gradient")(x, targets)
    assert_close(jitted("gradient_x_input")(x, targets), expected)


def test_gradient_by_differences():
    # Within a linear piece of the network a central difference is exact.
    x, step, logits = random_images(3), 1e-3, jax.jit(network)
    found = jitted("gradient")(x, jnp.array(TARGETS))
    for index in [(0, 0, 0, 0), (0, 2, 3, 1), (0, 4, 4, 2)]:
        ahead, behind = (
            logits(x.at[index].add(h))[0, TARGETS[0]] for h in (step, -step)
        )
        expected = float(ahead - behind) / (2 * step)
        assert float(found[index]) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("method", [gradient, guided_backprop, deconvnet])
@pytest.mark.parametrize(("g", "x"), [(2, 3), (2, 0), (2, -3), (-2, 3), (-2, -3)])
def test_what_a_relu_passes_back(method, g, x):
    def rectified(images, relu=jax.nn.relu):
        return g * relu(images[:, 0, 0, :])

    passes = {
        gradient: x > 0,
        guided_backprop: x > 0 and g > 0,
        deconvnet: g > 0,
    }
    found = method(rectified, jnp.full((1, 1, 1, 1), float(x)), 0)
    assert found.item() == g * passes[method]


# --- noise ----------------------------------------------------------------------------

WEIGHTS = random_array(6, 5, 3, seed=4)


def power(exponent):
    """One logit: the sum of WEIGHTS x^exponent."""
    return lambda x: (WEIGHTS * x**exponent).sum((1, 2, 3))[:, None]


def rescaled(x, extent):
    """Images whose maximum less minimum is `extent`."""
    return x * extent / jnp.ptp(x, axis=(1, 2, 3), keepdims=True)


def test_without_noise_there_is_only_the_gradient():
    x = random_images(2)
    expected = 3 * WEIGHTS * x**2
    settings = {"key": KEY, "noise_level": 0.0, "num_samples": 3}
    assert_close(smoothgrad(power(3), x, 0, **settings), expected)
    assert_close(smoothgrad_squared(power(3), x, 0, **settings), expected**2)
    assert_close(1 + vargrad(power(3), x, 0, **settings), np.ones(x.shape), 1e-6)


@pytest.mark.parametrize("noise_level", [0.15, 10.0])
def test_noise_does_not_matter_to_a_linear_function(noise_level):
    x = random_images(2)
    settings = {"key": KEY, "noise_level": noise_level, "num_samples": 7}
    expected = jnp.broadcast_to(WEIGHTS, x.shape)
    assert_close(smoothgrad(power(1), x, 0, **settings), expected, 1e-6)
    assert_close(smoothgrad_squared(power(1), x, 0, **settings), expected**2, 1e-6)
    assert not vargrad(power(1), x, 0, **settings).any()


def test_an_image_of_one_colour_gets_no_noise():
    # The level is a part of the range, which is 0.
    x = jnp.full((1, 6, 5, 3), 0.7)
    found = smoothgrad(power(3), x, 0, key=KEY, noise_level=1.0)
    assert_close(found[0], 3 * WEIGHTS * 0.7**2)


NUM_SAMPLES = 4000
MANY = {"key": KEY, "num_samples": NUM_SAMPLES, "noise_level": 0.1, "batch_size": 400}
SIGMA = 0.2  # a level of 0.1 of a range of 2


def assert_mean_of_samples(found, expected, deviation):
    """`found` is a mean of NUM_SAMPLES that deviate from `expected` by `deviation`.

    Each pixel has noise of its own. Of 90 the largest error is below 4.5 standard
    errors but in 6 of 10,000 draws, and the root mean square error is close to one.
    """
    errors = (found - expected) / (deviation / np.sqrt(NUM_SAMPLES))
    assert np.abs(errors).max() < 4.5
    assert 0.7 < np.sqrt((errors**2).mean()) < 1.3


def test_smoothgrad_of_a_cube():
    # The gradient 3 w (x + s n)^2 has the mean 3 w (x^2 + s^2), and the deviation
    # 3 w sqrt(4 x^2 s^2 + 2 s^4), since n^2 has the variance 2 and no part in n.
    x = rescaled(random_images(1), 2.0)
    found = smoothgrad(power(3), x, 0, **MANY)
    deviation = 3 * np.abs(WEIGHTS) * np.sqrt(4 * x**2 * SIGMA**2 + 2 * SIGMA**4)
    assert_mean_of_samples(found, 3 * WEIGHTS * (x**2 + SIGMA**2), deviation)


def test_smoothgrad_squared_of_a_square():
    # (2 w (x + s n))^2: as above, without the factor 3.
    x = rescaled(random_images(1), 2.0)
    found = smoothgrad_squared(power(2), x, 0, **MANY)
    deviation = 4 * WEIGHTS**2 * np.sqrt(4 * x**2 * SIGMA**2 + 2 * SIGMA**4)
    assert_mean_of_samples(found, 4 * WEIGHTS**2 * (x**2 + SIGMA**2), deviation)


@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_vargrad_of_a_square(mean):
    # The gradient 2 w (x + s n) has the variance v = (2 w s)^2. Found is the mean of
    # v n^2, which deviates by sqrt(2) v, but for 1 / 4000 lost to the sample's mean.
    # A term mean * 2 w s x makes the gradient `mean` times as large as its deviation:
    # the mean square less the square of the mean would lose all digits to it.
    x = rescaled(random_images(1), 2.0)
    slope = mean * 2 * SIGMA

    def score(x):
        return power(2)(x) + slope * power(1)(x)

    found = vargrad(score, x, 0, **MANY)
    variance = (2 * WEIGHTS * SIGMA) ** 2
    assert_mean_of_samples(found, variance, np.sqrt(2) * variance)


def test_noise_is_the_same_for_every_image_at_its_own_level():
    # Ranges of 1 and 10: the gradients 2 w (x + s n) deviate 10 times as far.
    x = rescaled(random_images(2), jnp.array([1.0, 10.0]).reshape(2, 1, 1, 1))
    found = smoothgrad(power(2), x, 0, key=KEY) - gradient(power(2), x, 0)
    assert_close(10 * found[0], found[1])
    found = vargrad(power(2), x, 0, key=KEY)
    assert_close(100 * found[0], found[1])


@every_sampling
def test_noise_comes_from_the_key(name):
    x = random_images(3)
    method = jax.jit(lambda key: METHODS[name](network, x, 0, key=key))
    found = method(KEY)
    np.testing.assert_array_equal(method(KEY), found)
    assert np.abs(method(jax.random.key(8)) - found).max() > 1e-3


# --- every method ---------------------------------------------------------------------


@every_method
def test_batch_equals_one_by_one(name):
    x, targets = random_images(3), jnp.array(TARGETS)
    together = jitted(name)(x, targets)
    assert together.shape == x.shape
    assert together.dtype == jnp.float32
    for i in range(3):
        one = slice(i, i + 1)
        assert_close(together[one], jitted(name)(x[one], targets[one]))


@every_method
def test_other_images_do_not_matter(name):
    x, targets = random_images(3), jnp.array(TARGETS)
    expected = jitted(name)(x, targets)
    assert np.abs(expected[1]).max() > 0
    found = jitted(name)(x.at[0].set(100.0).at[2].set(jnp.nan), targets)
    assert_close(found[1], expected[1])


@every_method
def test_one_index_eager_equals_one_each_jitted(name):
    x = random_images(3)
    found = METHODS[name](network, x, 4)
    assert_close(jitted(name)(x, jnp.array([4, 4, 4])), found)
    others = jitted(name)(x, jnp.array([4, 2, 4]))
    assert_close(others[::2], found[::2])
    assert np.abs(others[1] - found[1]).max() > 1e-2


@every_sampling
def test_batch_size_changes_nothing(name):
    x, targets = random_images(3), jnp.array(TARGETS)
    expected = jitted(name)(x, targets)  # 15 noisy images, 4 at once
    for batch_size in (1, 1000):
        method = jax.jit(
            functools.partial(METHODS[name], batch_size=batch_size), static_argnums=0
        )
        assert_close(method(network, x, targets), expected)


@every_sampling
def test_network_sees_at_most_batch_size(name):
    seen = []

    def spy(x):
        seen.append(len(x))
        return network(x)

    method = functools.partial(SAMPLING[name], spy, targets=0, batch_size=3)
    jax.eval_shape(method, random_images(2))
    # VarGrad's clean gradient runs all images at once, as `gradient` does.
    assert set(seen) == ({2, 3} if name == "vargrad" else {3})


@every_sampling
def test_memory_does_not_depend_on_the_samples(name):
    def peak(num_samples):
        f = functools.partial(
            SAMPLING[name], network, targets=0, num_samples=num_samples
        )
        compiled = jax.jit(f).lower(random_images(2)).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert 0 < peak(2500) <= 1.01 * peak(25)


QUADRATIC = ("smoothgrad_squared", "vargrad")


@every_method
def test_the_score_is_the_logit(name):
    # A softmax or its logarithm depends on the other logits, and is not linear.
    def changed(x, **relu):
        logits = 2 * network(x, **relu) + 100
        return logits.at[:, 4].add(3 * x.sum((1, 2, 3)) + 50)

    x, targets = random_images(3), jnp.array(TARGETS)
    factor = 4 if name in QUADRATIC else 2
    found = METHODS[name](changed, x, targets)
    assert_close(found, factor * jitted(name)(x, targets))


@every_sampling
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_samples": 0}, "num_samples=0: at least 1"),
        ({"batch_size": 0}, "batch_size=0: at least 1"),
        ({"noise_level": -0.1}, r"noise_level=-0\.1: not below 0"),
        ({"noise_level": float("nan")}, "noise_level=nan: not below 0"),
    ],
)
def test_wrong_settings_are_named(name, settings, message):
    with pytest.raises(ValueError, match=message):
        SAMPLING[name](network, random_images(1), 0, **settings)


# --- channels -------------------------------------------------------------------------

# Two pixels, (3, -4, 0) and (-1, -2, 2).
MAPS = {
    "max_abs": [4, 2],
    "sum_abs": [7, 5],
    "norm": [5, 3],
    "sum": [-1, -1],
    "mean": [-1 / 3, -1 / 3],
}


@pytest.mark.parametrize("rule", CHANNEL_RULES)
def test_channel_map(rule):
    attribution = jnp.array([[3.0, -4.0, 0.0], [-1.0, -2.0, 2.0]]).reshape(1, 1, 2, 3)
    found = channel_map(attribution, rule)
    assert found.shape == (1, 1, 2)
    np.testing.assert_allclose(found[0, 0], MAPS[rule], rtol=1e-6)


def test_an_unknown_channel_rule_names_the_known():
    with pytest.raises(ValueError, match="rule='max': one of max_abs, sum_abs, norm"):
        channel_map(jnp.ones((1, 1, 1, 3)), "max")
