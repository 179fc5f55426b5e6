"""Class activation maps against Captum's numbers and the papers' formulas in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxart.models.convolving import convolve
from jaxart.saliency.methods.cam import (
    enlarge,
    grad_cam,
    grad_cam_plus_plus,
    guided_grad_cam,
    layer_cam,
)
from jaxart.saliency.methods.gradients import guided_backprop

pytestmark = pytest.mark.usefixtures("quick_compiles")


def random_array(*shape, seed=0):
    values = np.random.default_rng(seed).normal(size=shape)
    return jnp.asarray(values, jnp.float32)


def random_images(n):
    return random_array(n, 8, 6, 2)


KERNEL = random_array(3, 3, 2, 4, seed=1)
HIDDEN = random_array(6 * 4 * 4, 10, seed=2)
HIDDEN = HIDDEN.at[:20].set(0)  # features on which no logit depends: gradient 0
OUTPUT = random_array(10, 3, seed=5)


def features(x, relu=jax.nn.relu):
    """8 x 6 pixels -> 6 x 4 positions of 4 features."""
    return relu(convolve(x, KERNEL, 1, 0) + 0.2)


def head(x, relu=jax.nn.relu):
    return relu(x.reshape(len(x), -1) @ HIDDEN + 0.1) @ OUTPUT


def network(x, relu=jax.nn.relu):
    return head(features(x, relu), relu)


def assert_close(found, expected, tol=1e-5):
    """Equal up to `tol` of the largest value."""
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tol * scale)


# --- numbers of Captum's tests --------------------------------------------------------


def test_captums_numbers():
    # BasicModel_ConvNet_One_Conv at its first ReLU. The features are [[0, 4], [31, 40]]
    # and [[0, 0], [6, 15]], the mean gradients (1 + 1 + 1 + 1) / 4 = 1 and
    # (1 - 1 - 1 - 1) / 4 = -0.5: 31 - 3 = 28, and 40 - 7.5 = 32.5.
    def one_convolution(x):
        x = convolve(x, jnp.ones((3, 3, 1, 2)), 1, 0) + jnp.array([-50.0, -75.0])
        return jax.nn.relu(x)

    def dense(x):
        x = x.transpose(0, 3, 1, 2).reshape(len(x), 8)  # PyTorch flattens C, H, W
        return jax.nn.relu(x @ jnp.tile(jnp.array(5 * [1.0] + 3 * [-1.0])[:, None], 4))

    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    found = grad_cam(one_convolution, dense, x, 0)
    np.testing.assert_array_equal(found, [[[0, 4], [28, 32.5]]])


# --- the papers' formulas -------------------------------------------------------------


def at_layer(x, target):
    """Features, the logit, and its gradient: by hand, in float64."""
    a = np.asarray(features(x), np.float64)
    hidden = np.asarray(HIDDEN, np.float64)
    output = np.asarray(OUTPUT, np.float64)[:, target]
    before = a.reshape(len(a), -1) @ hidden + 0.1
    score = np.maximum(before, 0) @ output
    gradients = ((before > 0) * output) @ hidden.T
    return a, score, gradients.reshape(a.shape)


def grad_cam_by_the_paper(a, score, g):
    """Eq. 1 and 2 of Selvaraju et al."""
    positions = a.shape[1] * a.shape[2]
    weights = np.einsum("bijk->bk", g) / positions
    return np.maximum(np.einsum("bk,bijk->bij", weights, a), 0)


def grad_cam_plus_plus_by_the_paper(a, score, g):
    """Eq. 19, 5 and 6 of Chattopadhyay et al., with Y = exp(S), less the factor Y."""
    y = np.exp(score)[:, None, None, None]
    first, second, third = y * g, y * g**2, y * g**3
    below = 2 * second + np.einsum("bijk->bk", a)[:, None, None] * third
    alpha = np.divide(second, below, out=np.zeros_like(g), where=below != 0)
    weights = np.einsum("bijk->bk", alpha * np.maximum(first, 0)) / y[:, 0, 0]
    return np.maximum(np.einsum("bk,bijk->bij", weights, a), 0)


def layer_cam_by_the_paper(a, score, g):
    """Eq. 5 to 7 of Jiang et al."""
    return np.maximum(np.einsum("bijk,bijk->bij", np.maximum(g, 0), a), 0)


MAPS = {
    grad_cam: grad_cam_by_the_paper,
    grad_cam_plus_plus: grad_cam_plus_plus_by_the_paper,
    layer_cam: layer_cam_by_the_paper,
}


@functools.cache
def jitted(method):
    """A map as a function of images and targets, compiled once a shape."""
    return jax.jit(functools.partial(method, features, head))


every_map = pytest.mark.parametrize("method", MAPS)


@every_map
@pytest.mark.parametrize("target", [0, 1, 2])
def test_by_the_papers_formula(method, target):
    x = random_images(3)
    a, score, g = at_layer(x, target)
    assert (g == 0).any() and (g < 0).any() and (g > 0).any()
    expected = MAPS[method](a, score, g)
    assert expected.max() > 0
    found = jitted(method)(x, target)
    assert found.shape == (3, 6, 4)
    assert found.dtype == jnp.float32
    assert_close(found, expected)


@pytest.mark.parametrize("scale", [1e-25, 1e15])
def test_grad_cam_plus_plus_at_extreme_gradients(scale):
    # Of gradients of 1e-25 the square is 0 in float32, of 1e15 the cube is infinite.
    x = random_images(1)
    a, _, g = at_layer(x, 0)
    expected = grad_cam_plus_plus_by_the_paper(a, np.zeros(1), scale * g)
    found = grad_cam_plus_plus(features, lambda a: scale * head(a), x, 0)
    assert_close(found, expected)


@every_map
def test_features_without_gradient_give_no_map(method):
    def blind(a):
        return 0 * head(a)

    assert not method(features, blind, random_images(2), 0).any()


@every_map
def test_what_speaks_against_the_target_is_left_out(method):
    # Two features: one speaks for the target where it is, the other against it.
    a = jnp.zeros((1, 3, 3, 2)).at[0, 0, 0, 0].set(2.0).at[0, 2, 2, 1].set(2.0)

    def mixed(a):
        return (a @ jnp.array([[1.0], [-1.0]])).sum((1, 2))

    found = method(lambda x: x, mixed, a, 0)
    assert found[0, 0, 0] > 0
    assert np.count_nonzero(found) == 1


# --- guided Grad-CAM ------------------------------------------------------------------


def test_guided_grad_cam_is_the_product():
    x, targets = random_images(2), jnp.array([2, 0])
    found = guided_grad_cam(network, features, head, x, targets)
    maps = jax.image.resize(grad_cam(features, head, x, targets), (2, 8, 6), "bilinear")
    expected = np.asarray(guided_backprop(network, x, targets)) * maps[..., None]
    assert np.abs(expected).max() > 0
    assert_close(found, expected)


# --- enlarging ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(14, 14), (224, 224), (9, 20)])
def test_enlarging_keeps_a_constant(size):
    found = enlarge(jnp.full((2, 7, 7), 3.5), size)
    assert found.shape == (2, *size)
    np.testing.assert_allclose(found, 3.5, rtol=1e-6)


def test_enlarging_twice_by_hand():
    # Cells lie at their centres: at 4 / 2 they are 0.5 and 2.5 of 0 ... 3, so that the
    # new ones are at -1/4, 1/4, 3/4, 5/4 of the way; beyond the ends nothing changes.
    found = enlarge(jnp.array([[[0.0, 4.0], [8.0, 12.0]]]), (4, 4))
    expected = np.add.outer([0, 2, 6, 8], [0, 1, 3, 4])
    np.testing.assert_allclose(found[0], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [(28, 28), (35, 21)])
def test_enlarging_keeps_centres(size):
    # A cell's centre of mass (r + 1/2) / 7 stays where it is in the picture.
    for row, column in [(3, 3), (1, 5), (2, 4)]:
        found = enlarge(jnp.zeros((1, 7, 7)).at[0, row, column].set(1.0), size)[0]
        rows, columns = ((np.arange(n) + 0.5) / n for n in size)
        assert found.sum(1) @ rows / found.sum() == pytest.approx((row + 0.5) / 7)
        centre = found.sum(0) @ columns / found.sum()
        assert centre == pytest.approx((column + 0.5) / 7)


def test_enlarging_commutes_with_mirroring():
    maps = random_array(2, 7, 5)
    found = enlarge(maps[:, ::-1, ::-1], (30, 31))
    assert_close(found, enlarge(maps, (30, 31))[:, ::-1, ::-1])


# --- every method ---------------------------------------------------------------------

METHODS = {
    "grad_cam": functools.partial(grad_cam, features),
    "grad_cam_plus_plus": functools.partial(grad_cam_plus_plus, features),
    "layer_cam": functools.partial(layer_cam, features),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@pytest.mark.parametrize(
    "method",
    [
        *(functools.partial(method, head) for method in METHODS.values()),
        functools.partial(guided_grad_cam, network, features, head),
    ],
    ids=[*METHODS, "guided_grad_cam"],
)
def test_batch_targets_and_jit(method):
    x, targets = random_images(3), jnp.array([0, 2, 1])
    together = method(x, targets)
    assert_close(jax.jit(method)(x, targets), together)
    for i, target in enumerate([0, 2, 1]):
        one = method(x[i : i + 1], target)
        assert np.abs(one).max() > 0
        assert_close(together[i : i + 1], one)
    # The other images do not matter, whatever they are.
    found = method(x.at[0].set(100.0).at[2].set(jnp.nan), targets)
    assert_close(found[1], together[1])


@every_method
def test_the_score_is_the_logit(method):
    # A softmax or its logarithm depends on the other logits.
    x = random_images(2)
    expected = method(head, x, 1)
    found = method(lambda a: head(a).at[:, 0].add(3 * a.sum((1, 2, 3)) + 50), x, 1)
    assert_close(found, expected)
    assert_close(method(lambda a: head(a) + 100, x, 1), expected)


@pytest.mark.parametrize("method", ["grad_cam", "layer_cam"])
def test_twice_the_logit_is_twice_the_map(method):
    x = random_images(2)
    found = METHODS[method](lambda a: 2 * head(a), x, 1)
    assert_close(found, 2 * METHODS[method](head, x, 1))
