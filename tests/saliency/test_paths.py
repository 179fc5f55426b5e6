"""Path methods against closed forms, and against the authors' formulas in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxart.saliency.methods.paths import (
    blur_integrated_gradients,
    guided_integrated_gradients,
    integrated_gradients,
)
from tests.saliency.compiling import compiled

pytestmark = pytest.mark.usefixtures("quick_compiles")

METHODS = {
    "integrated": integrated_gradients,
    "blur": functools.partial(blur_integrated_gradients, max_sigma=3.0),
    "guided": guided_integrated_gradients,
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)

WEIGHTS = np.random.default_rng(1).normal(size=(2, 5, 4, 3)).astype(np.float32)


def random_images(n):
    return np.random.default_rng(0).normal(size=(n, 5, 4, 3)).astype(np.float32)


@jax.jit
def network(x):
    """Two smooth logits that are no polynomials; WEIGHTS are [2, H, W, C]."""
    return jnp.einsum("bhwc,khwc->bk", jnp.tanh(x + 0.3 * x**2), WEIGHTS)


def network_gradient(x, target):
    """The gradient of logit `target` at one image, by hand and in float64."""
    return WEIGHTS[target] * (1 + 0.6 * x) / np.cosh(x + 0.3 * x**2) ** 2


def pixels(*values):
    """One image, a pixel a value."""
    return np.array(values, np.float32).reshape(1, 1, -1, 1)


def per_pixel(f):
    """A network of one logit: f([B, pixels]) -> [B]."""
    return lambda x: f(x.reshape(len(x), -1))[:, None]


def assert_close(found, expected, tol=1e-5):
    np.testing.assert_allclose(found, expected, rtol=tol, atol=tol)


# --- integrated gradients -------------------------------------------------------------

# 5 x + y^2 + sin z has no mixed terms, so each value's attribution is what its own term
# gains from (0.5, 1, 1) to (1, 2, 3): 5 / 2, 4 - 1, sin 3 - sin 1.
separable = per_pixel(lambda p: 5 * p[:, 0] + p[:, 1] ** 2 + jnp.sin(p[:, 2]))
GAINS = np.array([2.5, 3.0, np.sin(3) - np.sin(1)])


def separable_error(quadrature, num_steps):
    run = compiled(
        integrated_gradients,
        separable,
        baseline=jnp.asarray(pixels(0.5, 1.0, 1.0)[0]),
        num_steps=num_steps,
        quadrature=quadrature,
    )
    found = run(pixels(1.0, 2.0, 3.0), 0)
    return np.abs(found.ravel() - GAINS)


def test_gauss_legendre_reaches_float32_in_few_steps():
    assert separable_error("gauss_legendre", 6).max() < 1e-6


def test_midpoint_is_of_second_order():
    # Midpoints h apart are off by h^2 / 24 of the change of the integrand's derivative:
    # that of cos changes by sin 3 - sin 1, and h = 2 / n. What is linear is exact.
    coarse, fine = (separable_error("midpoint", n) for n in (10, 20))
    assert coarse[:2].max() < 1e-6
    assert coarse[2] == pytest.approx(0.2**2 / 24 * abs(GAINS[2]), rel=0.01)
    assert coarse[2] / fine[2] == pytest.approx(4, rel=0.02)


def test_cube_is_exact():
    # Of x^3 from 0 the attribution is x^3. The mean of the gradient over 25 points that
    # include both ends, as the authors' code takes it, is 2% off.
    x = pixels(0.7, -1.3, 2.0)
    cube = per_pixel(lambda p: (p**3).sum(1))
    run = compiled(integrated_gradients, cube, num_steps=25)
    assert_close(run(x, 0), x**3, 1e-6)
    both_ends = np.mean(3 * np.linspace(0, 1, 25) ** 2)
    assert abs(both_ends - 1) > 0.02


def test_product_is_shared_equally():
    # x y from 0: the integral of x y alpha is x y / 2 for each.
    score = per_pixel(lambda p: p[:, 0] * p[:, 1])
    found = compiled(integrated_gradients, score, num_steps=1)(pixels(3.0, -2.0), 0)
    assert_close(found.ravel(), [-3, -3])


def test_integrated_gradients_complete():
    x, baseline = random_images(2), random_images(3)[2]
    run = compiled(integrated_gradients, network, baseline=jnp.asarray(baseline))
    found = run(x, 1)
    expected = np.asarray(network(x)) - network(baseline[None])
    assert_close(found.sum((1, 2, 3)), expected[:, 1])


# --- blur integrated gradients --------------------------------------------------------


def blur(x, sigma):
    """Gaussian blur of [H, W, C], with zeros outside, in float64 sums."""

    def matrix(size):
        offsets = np.arange(-400, 401)
        bell = np.exp(-0.5 * (offsets / sigma) ** 2)
        offset = np.subtract.outer(np.arange(size), np.arange(size))
        return bell[400 + offset] / bell.sum()

    return np.einsum("ij,jkc,lk->ilc", matrix(x.shape[0]), x, matrix(x.shape[1]))


@jax.jit
def three_scores(x):
    """A linear logit, a quadratic one and one that is no polynomial."""
    parts = jnp.stack([x, x**2, jnp.tanh(x)], axis=1)
    return (parts * WEIGHTS[0]).sum(axis=(2, 3, 4))


@pytest.mark.parametrize(("max_sigma", "tol"), [(0.7, 5e-4), (50.0, 2e-3)])
def test_blur_completes(max_sigma, tol):
    # Whatever the score, the sum telescopes to f(x) - f(blur x): what is left is the
    # midpoints' error.
    x = np.repeat(3 * random_images(1), 3, axis=0)
    run = compiled(blur_integrated_gradients, three_scores, max_sigma=max_sigma)
    found = run(x, np.arange(3))
    blurred = blur(x[0], max_sigma)[None].astype(np.float32)
    expected = (three_scores(x) - three_scores(blurred))[0]
    assert_close(found.sum((1, 2, 3)), expected, tol)


def test_blur_of_a_linear_function_is_local():
    # Of w . x every pixel has w (x - blur x), whatever the path.
    x = random_images(1)
    run = compiled(
        blur_integrated_gradients, three_scores, max_sigma=2.0, num_steps=500
    )
    assert_close(run(x, 0)[0], WEIGHTS[0] * (x[0] - blur(x[0], 2.0)), 3e-5)


def test_blur_by_the_authors_formula():
    # blur_ig.py: left ends of steps even in sigma, and a finite difference.
    x = np.asarray(random_images(1)[0], np.float64)
    num_steps, max_sigma, h = 1000, 2.0, 1e-5
    expected = np.zeros_like(x)
    for sigma in np.arange(num_steps) * max_sigma / num_steps:
        here = blur(x, max(sigma, 0.05))
        change = (blur(x, max(sigma, 0.05) + h) - here) / h
        expected -= max_sigma / num_steps * change * network_gradient(here, 1)
    run = compiled(blur_integrated_gradients, network, max_sigma=max_sigma)
    assert_close(run(random_images(1), 1)[0], expected, 1e-3)


def test_weakest_blur_does_not_show():
    x = random_images(1)
    found = compiled(blur_integrated_gradients, network, max_sigma=0.2001)(x, 0)
    assert np.abs(found).max() < 1e-4  # not NaN either


# --- guided integrated gradients ------------------------------------------------------


def guided_by_the_authors(x, baseline, gradient_of, num_steps, fraction, max_dist):
    """guided_ig.py, in terms of the values themselves and in float64."""
    way = x - baseline
    total = np.abs(way).sum()
    position, attribution = baseline.copy(), np.zeros_like(x)
    for step in range(1, num_steps + 1):
        gradient = gradient_of(position)
        key = np.abs(gradient)
        low = baseline + way * max(step / num_steps - max_dist, 0)
        high = baseline + way * min(step / num_steps + max_dist, 1)
        gamma = np.inf
        while gamma > 1:
            old = position.copy()
            behind = np.abs(position - baseline) < np.abs(low - baseline)
            position[behind] = low[behind]
            gap = np.abs(x - position).sum() - total * (1 - step / num_steps)
            if abs(gap) < 1e-9:
                gamma = 0
            else:
                key[position == high] = np.inf
                threshold = np.quantile(key, fraction, method="lower")
                chosen = (key <= threshold) & (key < np.inf)
                room = np.abs(position - high)[chosen].sum()
                gamma = gap / room if room else np.inf
                to = high if gamma > 1 else position + gamma * (high - position)
                position[chosen] = to[chosen]
            attribution += (position - old) * gradient
    return attribution


@pytest.mark.parametrize(
    ("fraction", "max_dist", "baseline"),
    [(0.25, 0.02, 0.0), (0.1, 1.0, -0.5), (0.0, 0.1, 0.5)],
)
def test_guided_by_the_authors_code(fraction, max_dist, baseline):
    settings = {"num_steps": 20, "fraction": fraction, "max_dist": max_dist}
    x = random_images(2)
    x[:, 1, 2] = baseline  # some values have nowhere to go
    run = compiled(guided_integrated_gradients, network, baseline=baseline, **settings)
    found = run(x, np.array([0, 1]))
    for target in (0, 1):
        image = np.asarray(x[target], np.float64)
        start = np.full_like(image, baseline)
        gradient_of = functools.partial(network_gradient, target=target)
        expected = guided_by_the_authors(image, start, gradient_of, **settings)
        assert_close(found[target], expected, 1e-4)


def test_guided_moves_small_gradients_first():
    # f = x y from 0 to (1, 2), without limit and one by one. At (0, 0) both gradients
    # are 0, both move. Then df/dx = y exceeds df/dy = x, so y moves on alone to 2 while
    # x waits: nearly all of the score falls to x, where the straight line gives half.
    run = compiled(
        guided_integrated_gradients,
        per_pixel(lambda p: p[:, 0] * p[:, 1]),
        num_steps=300,
        fraction=0.0,
        max_dist=1.0,
    )
    assert_close(run(pixels(1.0, 2.0), 0).ravel(), [2, 0], 0.01)


def test_guided_without_leeway_is_the_straight_line():
    # max_dist 0 keeps every value on the line: a left Riemann sum.
    x = random_images(1)
    run = compiled(guided_integrated_gradients, network, num_steps=10, max_dist=0.0)
    found = run(x, 0)
    image = np.asarray(x[0], np.float64)
    gradients = [network_gradient(image * n / 10, 0) for n in range(10)]
    assert_close(found[0], image * np.mean(gradients, axis=0))


def test_guided_completes_to_first_order():
    x = random_images(3)
    expected = np.asarray(network(x))[:, 0]  # network(0) is 0
    run = compiled(guided_integrated_gradients, network, num_steps=500)
    assert_close(run(x, 0).sum((1, 2, 3)), expected, 0.02)


def test_guided_survives_what_has_no_way_to_go():
    # An image that is the baseline; then gradients that tie, at zero.
    x = random_images(2)
    x[0] = 0
    run = compiled(guided_integrated_gradients, lambda x: network(x) * jnp.eye(2)[0])
    np.testing.assert_array_equal(run(x, np.array([0, 1])), 0)


# --- every method ---------------------------------------------------------------------


@pytest.fixture(scope="module", params=METHODS)
def case(request):
    """A method; its jitted form, whose batches of 4 the 15 steps do not fill."""
    method = functools.partial(METHODS[request.param], num_steps=5)
    return method, compiled(method, network, batch_size=4)


BATCH = random_images(3), np.array([0, 1, 1])


def test_batch_equals_one_by_one(case):
    together = case[1](*BATCH)
    assert together.shape == BATCH[0].shape
    assert together.dtype == jnp.float32
    for i in range(3):
        alone = case[1](*(argument[i : i + 1] for argument in BATCH))
        assert_close(together[i : i + 1], alone)


def test_batch_size_changes_nothing(case):
    method, run = case
    assert_close(compiled(method, network, batch_size=1)(*BATCH), run(*BATCH))


def test_jit_equals_eager(case):
    method, run = case
    arguments = map(jnp.asarray, BATCH)
    assert_close(method(network, *arguments, batch_size=1000), run(*BATCH))


@every_method
def test_network_sees_at_most_batch_size(method):
    seen = set()

    def spy(x):
        seen.add(len(x))
        return network(x)

    method = functools.partial(method, spy, targets=0, num_steps=4, batch_size=3)
    jax.eval_shape(method, random_images(7))
    assert seen == {3}


@every_method
def test_memory_does_not_depend_on_the_steps(method):
    if method is integrated_gradients:  # 2500 nodes of Gauss-Legendre take seconds
        method = functools.partial(method, quadrature="midpoint")

    def peak(num_steps):
        run = jax.jit(functools.partial(method, network, num_steps=num_steps))
        return run.lower(*BATCH).compile().memory_analysis().temp_size_in_bytes

    assert 0 < peak(2500) <= 1.01 * peak(25)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("integrated", {"quadrature": "simpson"}, "quadrature='simpson'"),
        ("integrated", {"num_steps": 0}, "num_steps=0"),
        ("blur", {"num_steps": 0}, "num_steps=0"),
        ("guided", {"num_steps": 0}, "num_steps=0"),
        ("guided", {"batch_size": 0}, "batch_size=0"),
        ("blur", {"max_sigma": 0.0}, r"max_sigma=0\.0"),
        ("blur", {"max_sigma": float("nan")}, "max_sigma=nan"),
        ("guided", {"fraction": 1.5}, r"fraction=1\.5"),
        ("guided", {"max_dist": -0.1}, r"max_dist=-0\.1"),
    ],
)
def test_wrong_settings_are_named(method, settings, message):
    with pytest.raises(ValueError, match=message):
        METHODS[method](network, jnp.asarray(random_images(1)), 0, **settings)
