"""Perturbation methods against loops, closed forms and expectations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxart.saliency.methods.perturbation import occlusion, rise
from tests.saliency.compiling import compiled

pytestmark = pytest.mark.usefixtures("quick_compiles")

METHODS = {
    "occlusion": functools.partial(occlusion, window=3, stride=2),
    "rise": functools.partial(rise, key=jax.random.key(1), num_masks=9, grid=2),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)

WEIGHTS = np.random.default_rng(1).normal(size=(2, 6, 5, 3)).astype(np.float32)


def random_images(n):
    return np.random.default_rng(0).normal(size=(n, 6, 5, 3)).astype(np.float32)


@jax.jit
def network(x):
    return jnp.einsum("bhwc,khwc->bk", jnp.tanh(x), WEIGHTS) + 1


def assert_close(found, expected, tol=1e-5):
    np.testing.assert_allclose(found, expected, rtol=tol, atol=tol)


# --- occlusion ------------------------------------------------------------------------


@pytest.mark.parametrize("normalise", [False, True])
def test_occlusion_golden(normalise):
    # f = 3 sum(x): a 3 x 3 window's drop is 3 for each of the two ones under it. The
    # one at (1, 1) lies under the windows at rows and columns 0..1, the one at (3, 3)
    # under those at 1..2: drops [[3, 3, 0], [3, 6, 3], [0, 3, 3]], which each pixel
    # sums over the windows that cover it.
    x = np.zeros((1, 5, 5, 1), np.float32)
    x[0, (1, 3), (1, 3)] = 1
    settings = {"window": 3, "stride": 1, "normalise": normalise}
    found = compiled(occlusion, lambda x: 3 * x.sum((1, 2)), **settings)(x, 0)
    expected = np.array(
        [
            [3, 6, 6, 3, 0],
            [6, 15, 18, 12, 3],
            [6, 18, 24, 18, 6],
            [3, 12, 18, 15, 6],
            [0, 3, 6, 6, 3],
        ]
    )
    counts = np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1]) if normalise else 1
    np.testing.assert_allclose(found[0, ..., 0], expected / counts, rtol=1e-6)


@pytest.mark.parametrize(("window", "stride"), [(3, 2), (4, 3), (2, 1)])
def test_occlusion_normalised_has_no_borders(window, stride):
    # Where every square takes as much from the score, so does every pixel's mean, at
    # the border and under the squares that were drawn in.
    x = np.ones((1, 6, 5, 1), np.float32)
    settings = {"window": window, "stride": stride, "normalise": True}
    found = compiled(occlusion, lambda x: x.sum((1, 2)), **settings)(x, 0)
    np.testing.assert_allclose(found, np.full(x.shape, window**2), rtol=1e-6)


def occlusion_by_loops(x, target, starts, window, baseline):
    def score(x):
        return float(network(x[None])[0, target])

    total = np.zeros(x.shape)
    for row in starts[0]:
        for column in starts[1]:
            square = np.s_[row : row + window, column : column + window]
            hidden = x.copy()
            hidden[square] = baseline[square]
            total[square] += score(x) - score(hidden)
    return total


# On 6 x 5 pixels; the last position is flush with the border.
@pytest.mark.parametrize(
    ("window", "stride", "starts", "baseline_shape"),
    [
        (3, 2, ([0, 2, 3], [0, 2]), ()),
        (2, 2, ([0, 2, 4], [0, 2, 3]), (3,)),
        (4, 3, ([0, 2], [0, 1]), (6, 5, 3)),
    ],
)
def test_occlusion_by_loops(window, stride, starts, baseline_shape):
    x = random_images(1)
    baseline = np.random.default_rng(2).normal(size=baseline_shape).astype(np.float32)
    settings = {"window": window, "stride": stride, "baseline": jnp.asarray(baseline)}
    run = compiled(occlusion, network, **settings)
    found = run(x, 1)
    whole = np.broadcast_to(baseline, x[0].shape)
    assert_close(found[0], occlusion_by_loops(x[0], 1, starts, window, whole), 2e-5)


# --- RISE -----------------------------------------------------------------------------


def expected_rise(weights, grid, probability):
    """The expectation of RISE for the score sum(weights x) + any b, where x is ones.

    A mask is m_i = sum_k a_ik g_k with independent cells g_k of mean p and variance
    p (1 - p), and weights a_ik of sum 1 that depend on the shift. So E[m_i] = p,
    E[m_i m_j] = p^2 + p (1 - p) E[sum_k a_ik a_jk], and with the score
    sum_j w_j m_j + b

      map_i = E[(score - E[score]) m_i] / p = (1 - p) sum_j w_j E[sum_k a_ik a_jk].

    The mean over the shifts is one along rows times one along columns.
    """

    def overlap(size):
        cell = -(-size // grid)
        shape = ((grid + 1) * cell, grid)
        enlarge = np.asarray(jax.image.resize(jnp.eye(grid), shape, "linear"))
        shifted = [enlarge[s : s + size] for s in range(cell)]
        return np.mean([a @ a.T for a in shifted], axis=0)

    spread = np.einsum("hu,wv,uv->hw", *map(overlap, weights.shape), weights)
    return (1 - probability) * spread


@pytest.mark.parametrize(("grid", "probability"), [(3, 0.5), (2, 0.25)])
def test_rise_converges_to_its_expectation(grid, probability):
    weights = np.zeros((8, 5))
    weights[1, 1], weights[6, 2], weights[3, 4] = 3, -2, 1

    def score(x):
        return jnp.einsum("bhwc,hw->b", x, weights.astype(np.float32)) + 10

    run = compiled(
        rise,
        lambda x: score(x)[:, None],
        key=jax.random.key(0),
        num_masks=40_000,
        grid=grid,
        probability=probability,
        batch_size=1000,
    )
    found = run(np.ones((1, 8, 5, 1), np.float32), 0)
    expected = expected_rise(weights, grid, probability)
    # The standard error is about 0.01; the map spans more than 1.
    assert np.ptp(expected) > 1
    assert np.abs(found[0, ..., 0] - expected).max() < 0.05


def test_rise_with_all_cells_shown_is_nothing():
    settings = {"num_masks": 3, "grid": 2, "probability": 1.0}
    run = compiled(rise, network, key=jax.random.key(0), **settings)
    assert_close(run(random_images(2), 1), 0)


def test_rise_depends_on_the_key():
    run = compiled(rise, network, targets=0, num_masks=5)
    found = [run(random_images(1), key=jax.random.key(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 0.01


# --- every method ---------------------------------------------------------------------


@pytest.fixture(scope="module", params=METHODS)
def case(request):
    """A method; its jitted form, whose batches of 4 the samples do not fill."""
    method = METHODS[request.param]
    return method, compiled(method, network, batch_size=4)


BATCH = random_images(3), np.array([0, 1, 1])


def test_batch_equals_one_by_one(case):
    together = case[1](*BATCH)
    assert together.shape == BATCH[0].shape
    assert together.dtype == jnp.float32
    # Every channel is alike.
    np.testing.assert_array_equal(together[..., 0], together[..., 2])
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

    method = functools.partial(method, spy, targets=0, batch_size=3)
    jax.eval_shape(method, random_images(7))
    assert seen == {3}


def peak(method, x):
    run = jax.jit(functools.partial(method, lambda x: x.sum((1, 2)), targets=0))
    return run.lower(x).compile().memory_analysis().temp_size_in_bytes


def test_memory_does_not_depend_on_the_masks():
    few, many = (
        functools.partial(rise, key=jax.random.key(0), num_masks=n) for n in (25, 2500)
    )
    assert 0 < peak(many, random_images(2)) <= 1.01 * peak(few, random_images(2))


def test_memory_does_not_depend_on_the_positions():
    # 62 - 13 = 49: 5 x 5 positions at stride 13, 50 x 50 at stride 1.
    x = np.zeros((2, 62, 62, 3), np.float32)
    few, many = (
        functools.partial(occlusion, window=13, stride=stride) for stride in (13, 1)
    )
    assert 0 < peak(many, x) <= 1.01 * peak(few, x)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("occlusion", {"window": 6}, "window=6: from 1 to the image's 5"),
        ("occlusion", {"window": 0}, "window=0"),
        ("occlusion", {"stride": 0}, "stride=0"),
        ("occlusion", {"stride": 4}, "stride=4: from 1 to window=3"),
        ("occlusion", {"batch_size": 0}, "batch_size=0"),
        ("rise", {"num_masks": 0}, "num_masks=0"),
        ("rise", {"grid": 0}, "grid=0"),
        ("rise", {"probability": 0.0}, r"probability=0\.0"),
        ("rise", {"probability": 1.5}, r"probability=1\.5"),
        ("rise", {"batch_size": 0}, "batch_size=0"),
    ],
)
def test_wrong_settings_are_named(method, settings, message):
    with pytest.raises(ValueError, match=message):
        METHODS[method](network, jnp.asarray(random_images(1)), 0, **settings)
