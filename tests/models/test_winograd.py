import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxart.models import VGG16, VGG19, AlexNet, convolving, winograd


def draw(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def plain(x, kernel):
    return convolving._plain_convolve(x, kernel, stride=1, pad=1)


def error(got, wanted):
    """The largest difference, relative to the largest value."""
    return np.abs(np.asarray(got) - wanted).max() / np.abs(wanted).max()


def test_a_tile_by_hand():
    # One image of 2 x 2 pixels 1 2 / 3 4 and a kernel of 1 to 9. Output [0, 0] is
    # 5*1 + 6*2 + 8*3 + 9*4 = 77, since the kernel's centre lies on the first pixel.
    x = jnp.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    kernel = jnp.arange(1.0, 10).reshape(3, 3, 1, 1)
    y = winograd.convolve(jnp.tile(x, (2, 1, 1, 1)), kernel)
    np.testing.assert_array_equal(y[..., 0], [[[77, 67], [47, 37]]] * 2)


@pytest.mark.parametrize(
    "shape",
    [(4, 2, 2, 3), pytest.param((2, 6, 10, 5), marks=pytest.mark.slow), (6, 28, 28, 7)],
)
def test_it_is_a_convolution(shape):
    x, kernel = draw(*shape), draw(3, 3, shape[-1], 4, seed=1)
    wanted = plain(x, kernel)
    assert error(winograd.convolve(x, kernel), wanted) < 2e-6


def test_an_image_does_not_depend_on_its_neighbours():
    x, kernel = draw(4, 8, 8, 5), draw(3, 3, 5, 4, seed=1)
    y = winograd.convolve(x, kernel)
    turned = winograd.convolve(x[jnp.array([0, 3, 2, 1])], kernel)
    np.testing.assert_array_equal(turned, y[jnp.array([0, 3, 2, 1])])


def suits(x, kernel, stride, pad, dtype=jnp.float32):
    """What it says of arrays of these shapes."""
    shapes = [jax.ShapeDtypeStruct(shape, dtype) for shape in (x, kernel)]
    said = []
    jax.eval_shape(
        lambda *args: said.append(winograd.suits(*args, stride, pad)), *shapes
    )
    return said[0]


KERNEL = (3, 3, 256, 256)


@pytest.mark.parametrize(
    ("x", "kernel", "stride", "pad", "expected"),
    [
        ((8, 56, 56, 256), KERNEL, 1, 1, True),
        ((4, 28, 28, 512), (3, 3, 512, 512), 1, 1, True),
        ((8, 14, 14, 512), (3, 3, 512, 512), 1, 1, False),  # few places
        ((8, 112, 112, 128), (3, 3, 128, 256), 1, 1, False),  # few channels
        ((8, 29, 28, 256), KERNEL, 1, 1, False),  # half a tile
        ((7, 56, 56, 256), KERNEL, 1, 1, False),  # half a pair of images
        ((2, 56, 56, 256), KERNEL, 1, 1, False),  # few images
        ((8, 56, 56, 256), KERNEL, 2, 1, False),
        ((8, 56, 56, 256), KERNEL, 1, 0, False),
        ((8, 56, 56, 256), (5, 5, 256, 256), 1, 1, False),
    ],
)
def test_what_it_suits(x, kernel, stride, pad, expected):
    assert suits(x, kernel, stride, pad) is expected


def test_it_suits_float32_only():
    assert suits((8, 56, 56, 256), KERNEL, 1, 1)
    assert not suits((8, 56, 56, 256), KERNEL, 1, 1, dtype=jnp.bfloat16)


@pytest.mark.slow
def test_the_choice_leaves_the_gradients_as_they_are(monkeypatch):
    monkeypatch.setattr(winograd, "MIN_CHANNELS", 4)
    x, kernel = draw(4, 28, 28, 4), draw(3, 3, 4, 6, seed=1)
    assert winograd.suits(x, kernel, 1, 1)

    def score(convolve, x, kernel):
        return (convolve(x, kernel) ** 2).sum()

    ours = functools.partial(convolving.convolve, stride=1, pad=1)
    got = jax.grad(functools.partial(score, ours), (0, 1))(x, kernel)
    wanted = jax.grad(functools.partial(score, plain), (0, 1))(x, kernel)
    assert error(got[0], wanted[0]) < 2e-6
    assert error(got[1], wanted[1]) < 2e-6


def loops(model, count, platform):
    """How many loops there are in a network's program for a platform."""
    size = model.preprocessing["size"]
    images = jax.ShapeDtypeStruct((count, size, size, 3), jnp.float32)
    params = jax.eval_shape(model.init, jax.random.key(0), images)
    program = jax.jit(model.apply).trace(params, images)
    return program.lower(lowering_platforms=(platform,)).as_text().count("while(")


def test_the_vggs_take_it_on_cpu_where_images_come_together():
    assert loops(VGG16(), 8, "cpu") == 5  # conv3_2, conv3_3, conv4_1 to conv4_3
    assert loops(VGG19(), 8, "cpu") == 7  # and conv3_4, conv4_4
    assert loops(VGG16(), 1, "cpu") == 0
    assert loops(VGG16(), 8, "cuda") == 0
    assert loops(AlexNet(), 8, "cpu") == 0
