"""Every pair of an image and a sample counts once, whatever the batch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxart.saliency.methods.batching import sum_samples

pytestmark = pytest.mark.usefixtures("quick_compiles")


SIZES = [
    # images, samples, batch
    (3, 7, 1),
    (3, 7, 5),  # 21 pairs: the last batch holds 1
    (3, 7, 7),
    (3, 7, 20),
    (3, 7, 21),
    (3, 7, 22),
    (3, 7, 1000),
    (1, 5, 2),
    (5, 1, 2),
    (1, 1, 1),
    (1, 1, 8),
]


@pytest.mark.parametrize(("num_images", "num_samples", "batch_size"), SIZES)
def test_every_pair_counts_once(num_images, num_samples, batch_size):
    def count(images, samples):
        # A column a sample. What fills the last batch has none: NaN shows a leak.
        seen = jax.nn.one_hot(samples, num_samples)
        return jnp.where(samples[:, None] < num_samples, seen, jnp.nan)

    count_all = functools.partial(
        sum_samples,
        count,
        num_images=num_images,
        num_samples=num_samples,
        batch_size=batch_size,
    )
    for found in (count_all(), jax.jit(count_all)()):
        np.testing.assert_array_equal(found, np.ones((num_images, num_samples)))


@pytest.mark.parametrize(("num_images", "num_samples", "batch_size"), SIZES)
def test_sums_of_any_tree(num_images, num_samples, batch_size):
    scales = jnp.arange(1.0, num_images + 1)

    def evaluate(images, samples):
        row = scales[images] * samples
        grid = row[:, None, None] * jnp.ones((2, 3))
        return {"row": row, "pair": (grid, images + samples)}

    found = sum_samples(
        evaluate,
        num_images=num_images,
        num_samples=num_samples,
        batch_size=batch_size,
    )
    i, s = np.mgrid[:num_images, :num_samples]
    row = ((i + 1) * s).sum(1)
    np.testing.assert_array_equal(found["row"], row)
    grid, integers = found["pair"]
    np.testing.assert_array_equal(grid, row[:, None, None] * np.ones((2, 3)))
    np.testing.assert_array_equal(integers, (i + s).sum(1))
    assert integers.dtype == jnp.int32
    assert grid.dtype == jnp.float32


@pytest.mark.parametrize(
    ("batch_size", "seen"), [(1, 1), (4, 4), (6, 6), (7, 6), (10**9, 6)]
)
def test_no_more_at_once_than_there_are(batch_size, seen):
    sizes = set()

    def spy(images, samples):
        sizes.add((images.shape, samples.shape))
        return 1.0 * images

    sum_samples(spy, num_images=2, num_samples=3, batch_size=batch_size)
    assert sizes == {((seen,), (seen,))}


@pytest.mark.parametrize("name", ["num_samples", "batch_size"])
@pytest.mark.parametrize("value", [0, -1])
def test_wrong_settings_are_named(name, value):
    settings = {"num_images": 2, "num_samples": 3, "batch_size": 4, name: value}
    with pytest.raises(ValueError, match=f"^{name}={value}: at least 1$"):
        sum_samples(lambda images, samples: 1.0 * images, **settings)
