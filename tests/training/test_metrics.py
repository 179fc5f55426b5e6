"""Metrics against hand arithmetic and NumPy."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from jaxart.training.metrics import NUM_BUCKETS, Metrics, bucketed

LOGITS = jnp.array([[2.0, 0.0], [0.0, 2.0], [0.0, 0.0], [5.0, 0.0]])
LABELS = jnp.array([0, 0, 1, 1])
MASK = jnp.array([True, True, True, False])


def test_metrics_count_the_masked_in_only_and_merge_by_examples():
    metrics = Metrics.from_batch(LOGITS, LABELS, MASK)
    one_more = Metrics.from_batch(LOGITS[:1], LABELS[:1], MASK[:1])
    values = metrics.merge(one_more).compute()
    # In nats, -ln softmax: ln(1 + e^-2), ln(1 + e^2), ln 2, and the first again.
    losses = [math.log1p(math.exp(x)) for x in (-2, 2, 0, -2)]
    assert float(values["loss"]) == pytest.approx(sum(losses) / 4, rel=1e-6)
    # Right, wrong, tie (argmax takes the first: wrong), and right again.
    assert float(values["accuracy"]) == pytest.approx(2 / 4)
    np.testing.assert_array_equal(values["confusion"], [[2, 1], [1, 0]])


@pytest.mark.parametrize("shape", [(1000,), (20, 50), (3, 3, 4, 5)])
def test_buckets_equal_numpys(shape):
    # Multiples of 1/64 with a range of 30: bucket edges are exact in float32.
    rng = np.random.default_rng(0)
    values = rng.integers(0, 30 * 64 + 1, shape) / 64 - 7
    values.flat[:2] = -7, 23
    rows = np.asarray(bucketed(jnp.float32(values)))
    counts, edges = np.histogram(values, NUM_BUCKETS)
    np.testing.assert_array_equal(rows[:, 2], counts)
    np.testing.assert_allclose(rows[:, 0], edges[:-1], atol=1e-5)
    np.testing.assert_allclose(rows[:, 1], edges[1:], atol=1e-5)


def test_buckets_of_equal_values_are_one_wide_around_them():
    rows = np.asarray(bucketed(jnp.full((4, 5), 3.0)))
    assert rows[0, 0] == 2.5 and rows[-1, 1] == pytest.approx(3.5)
    assert rows[:, 2].sum() == 20
    (full,) = np.flatnonzero(rows[:, 2])
    assert rows[full, 0] <= 3.0 <= rows[full, 1]
