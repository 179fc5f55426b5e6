"""Each layer against plain NumPy loops, and the slices of a small network."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxart.models import VGG16, AlexNet, CaffeNet
from jaxart.models.layers import (
    Convolution,
    InnerProduct,
    LocalResponseNorm,
    MaxPool,
    convolve,
    frozen_boundary,
    select,
    trainable,
)

# One worker runs this file: its fixtures are a whole, if small, network.
pytestmark = pytest.mark.xdist_group("layers")

NAMES = (
    *("conv1", "relu1", "norm1", "pool1", "conv2", "relu2", "norm2", "pool2"),
    *("conv3", "relu3", "conv4", "relu4", "conv5", "relu5", "pool5"),
    *("fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8"),
)


def random_array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


# --- local response normalisation ---------------------------------------------------


def lrn_by_loops(x, size, alpha, beta, k):
    """Caffe's lrn_layer.cpp: the window starts (size - 1) / 2 channels before."""
    y = np.zeros_like(x)
    channels = x.shape[-1]
    for c in range(channels):
        start = c - (size - 1) // 2
        window = [i for i in range(start, start + size) if 0 <= i < channels]
        total = sum(x[..., i] ** 2 for i in window)
        y[..., c] = x[..., c] / (k + alpha / size * total) ** beta
    return y


@pytest.mark.parametrize("size", [1, 3, 5, 9])  # 9: wider than the 7 channels
@pytest.mark.parametrize(
    ("alpha", "beta", "k"), [(1e-4, 0.75, 1.0), (0.5, 0.75, 1.0), (2.0, 0.5, 2.0)]
)
def test_local_response_norm(size, alpha, beta, k):
    x = 30 * random_array(2, 2, 3, 7)
    layer = LocalResponseNorm(size=size, alpha=alpha, beta=beta, k=k)
    found = layer.apply({}, jnp.asarray(x))
    assert_close(found, lrn_by_loops(x, size, alpha, beta, k))


def test_local_response_norm_by_hand():
    # The middle channel of 1, 2, 3 at size 3: 2 / (1 + 3 / 3 * 14)^0.75 = 2 / 15^0.75.
    x = jnp.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
    found = LocalResponseNorm(size=3, alpha=3.0).apply({}, x)
    assert_close(found[0, 0, 0, 1], 2 / 15**0.75)


# --- convolution --------------------------------------------------------------------


def convolve_by_loops(x, kernel, bias, stride, pad, groups):
    x = np.pad(x, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    n, _, c_group, features = kernel.shape
    side = (x.shape[1] - n) // stride + 1
    y = np.zeros((len(x), side, side, features), np.float32)
    for i, j, o in np.ndindex(y.shape[1:]):
        group = o // (features // groups)
        rows = slice(i * stride, i * stride + n)
        columns = slice(j * stride, j * stride + n)
        channels = slice(group * c_group, (group + 1) * c_group)
        patch = x[:, rows, columns, channels]
        y[:, i, j, o] = (patch * kernel[..., o]).sum(axis=(1, 2, 3)) + bias[o]
    return y


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("kernel_size", "stride", "pad"),
    [(1, 1, 0), (3, 1, 1), (3, 2, 0), (5, 1, 2), (4, 3, 2)],
)
def test_convolution(kernel_size, stride, pad, groups):
    x = random_array(2, 9, 9, 4)
    kernel = random_array(kernel_size, kernel_size, 4 // groups, 6, seed=1)
    bias = random_array(6, seed=2)
    layer = Convolution(6, kernel_size, stride=stride, pad=pad, groups=groups)
    params = {"kernel": kernel, "bias": bias}
    found = layer.apply({"params": params}, jnp.asarray(x))
    assert_close(found, convolve_by_loops(x, kernel, bias, stride, pad, groups))
    initial = jax.eval_shape(layer.init, jax.random.key(0), x)["params"]
    assert jax.tree.map(jnp.shape, initial) == jax.tree.map(np.shape, params)


# --- inner product ------------------------------------------------------------------


def test_inner_product_flattens_rows_then_columns_then_channels():
    x = random_array(2, 3, 4, 5)
    kernel, bias = random_array(60, 7, seed=1), random_array(7, seed=2)
    expected = np.tile(bias, (2, 1))
    for row, column, channel in np.ndindex(3, 4, 5):
        weights = kernel[(row * 4 + column) * 5 + channel]
        expected += np.outer(x[:, row, column, channel], weights)
    params = {"params": {"kernel": kernel, "bias": bias}}
    assert_close(InnerProduct(7).apply(params, jnp.asarray(x)), expected)


# --- max pooling --------------------------------------------------------------------


def max_pool_by_loops(x, window, stride):
    b, h, w, c = x.shape
    y = np.zeros((b, (h - window) // stride + 1, (w - window) // stride + 1, c))
    for i, j in np.ndindex(y.shape[1:3]):
        rows = slice(i * stride, i * stride + window)
        columns = slice(j * stride, j * stride + window)
        y[:, i, j] = x[:, rows, columns].max(axis=(1, 2))
    return y


@pytest.mark.parametrize(
    ("window", "stride", "h", "w"),
    [
        (3, 2, 7, 9),  # whole windows, as at 227
        (3, 2, 8, 6),  # the last row and column are left over
        (2, 2, 6, 4),
        (2, 2, 7, 5),  # odd
        (3, 3, 10, 11),
    ],
)
def test_max_pool(window, stride, h, w):
    x = random_array(2, h, w, 3) - 5  # all negative: no zero may come in as padding
    found = MaxPool(window, stride).apply({}, jnp.asarray(x))
    np.testing.assert_array_equal(
        found, max_pool_by_loops(x, window, stride).astype(np.float32)
    )


def distinct_values(*shape: int) -> jax.Array:
    values = np.random.default_rng(0).permutation(np.prod(shape))
    return jnp.asarray(values.reshape(shape), jnp.float32)


def gradients_of_max_pool(x, window, stride):
    """With respect to `x`, ours and that of XLA's own windows, and what comes in."""

    def through(pool):
        return jax.vjp(pool, x)[1](incoming)[0]

    shape = MaxPool(window, stride).apply({}, x).shape
    incoming = jnp.asarray(random_array(*shape))
    ours = through(lambda x: MaxPool(window, stride).apply({}, x))
    xla = through(lambda x: nn.max_pool(x, (window,) * 2, (stride,) * 2))
    return ours, xla, incoming


@pytest.mark.parametrize(
    ("window", "stride", "h", "w"),
    [(2, 2, 6, 4), (2, 2, 7, 5), (3, 2, 7, 9), (3, 2, 8, 6)],
)
def test_gradient_of_max_pool(window, stride, h, w):
    x = distinct_values(2, h, w, 3)
    ours, xla, incoming = gradients_of_max_pool(x, window, stride)
    assert_close(ours, xla)
    # Values lie at least 1 apart: a step of 0.25 moves no maximum elsewhere, so that
    # the central difference is exact but for rounding.
    for index in [(0, 0, 0, 0), (0, 3, 2, 1), (1, 5, 3, 2), (1, h - 1, w - 1, 0)]:
        ahead = MaxPool(window, stride).apply({}, x.at[index].add(0.25))
        behind = MaxPool(window, stride).apply({}, x.at[index].add(-0.25))
        assert_close(ours[index], (incoming * (ahead - behind)).sum() / 0.5)


def test_of_equal_values_the_first_gets_the_gradient():
    # As in Caffe, whose loop takes a value only where it is larger than those before.
    x = jnp.array([[1.0, 2, 5, 0], [2, 2, 5, 5]]).reshape(1, 2, 4, 1)
    _, backward = jax.vjp(lambda x: MaxPool(2, 2).apply({}, x), x)
    (found,) = backward(jnp.array([3.0, 4.0]).reshape(1, 1, 2, 1))
    np.testing.assert_array_equal(found[0, :, :, 0], [[0, 3, 4, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 2)])
def test_gradient_of_max_pool_where_many_values_are_equal(window, stride):
    x = jnp.asarray(np.random.default_rng(0).integers(0, 3, (2, 9, 9, 3)), jnp.float32)
    ours, xla, _ = gradients_of_max_pool(x, window, stride)
    assert_close(ours, xla)


# --- a small network ----------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    """AlexNet, its parameters and an image.

    67 pixels are the fewest that leave pool5 one: 67, 15, 7, 3, 1.
    """
    model = AlexNet(num_classes=5, hidden=(8, 8))
    images = 100 * jnp.asarray(random_array(2, 67, 67, 3))

    def draw(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        fan_in = max(1, np.prod(leaf.shape[:-1]))
        return jnp.asarray(random_array(*leaf.shape) / np.sqrt(fan_in), jnp.float32)

    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    return model, jax.tree.map(draw, shapes), images


@pytest.fixture(scope="module")
def activations(small):
    """Every layer's output, from running one layer at a time."""
    model, variables, x = small
    outputs = {}
    for before, name in itertools.pairwise((None, *NAMES)):
        x = model.apply(variables, x, after=before, upto=name)
        outputs[name] = x
    return outputs


@pytest.fixture(scope="module")
def logits(small):
    model, variables, images = small
    return model.apply(variables, images)


def test_layer_names(small):
    assert tuple(small[0].layers()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_slices_compose(small, activations, logits, name):
    model, variables, images = small
    activation = model.apply(variables, images, upto=name)
    assert_close(activation, activations[name])
    if name == "fc8":
        assert_close(activation, logits)
    else:
        assert_close(model.apply(variables, activation, after=name), logits)


def test_small_network_answers_by_its_image(logits):
    assert logits.shape == (2, 5)
    assert jnp.abs(logits[0] - logits[1]).max() > 1e-2


def test_a_slice_makes_only_its_own_parameters(small):
    model, variables, _ = small
    init = functools.partial(model.init, after="drop6")
    found = jax.eval_shape(init, jax.random.key(0), jnp.ones((1, 8)))
    assert found["params"].keys() == {"fc7", "fc8"}
    expected = {name: variables["params"][name] for name in ("fc7", "fc8")}
    shapes = jax.tree.map(jnp.shape, found["params"])
    assert shapes == jax.tree.map(jnp.shape, expected)


@pytest.mark.parametrize(
    ("after", "upto", "first", "last", "count"),
    [
        (None, None, "conv1", "fc8", 22),
        ("conv1", None, "relu1", "fc8", 21),
        (None, "conv1", "conv1", "conv1", 1),
        ("pool5", "drop6", "fc6", "drop6", 3),
        ("drop7", "fc8", "fc8", "fc8", 1),
    ],
)
def test_select(small, after, upto, first, last, count):
    layers = small[0].layers()
    names = list(select(layers, after, upto))
    assert (names[0], names[-1], len(names)) == (first, last, count)
    assert names == [name for name in layers if name in names]


@pytest.mark.parametrize("argument", ["after", "upto"])
@pytest.mark.parametrize("name", ["fc9", "conv", "Conv1", ""])
def test_unknown_layer_names_the_layers(small, argument, name):
    model, variables, images = small
    with pytest.raises(ValueError) as error:
        model.apply(variables, images, **{argument: name})
    assert f"no layer {name!r}" in str(error.value)
    assert ", ".join(NAMES) in str(error.value)


@pytest.mark.parametrize(
    ("after", "upto"),
    [("fc8", None), ("fc8", "fc8"), ("conv2", "conv2"), ("conv2", "relu1")],
)
def test_empty_slice(small, after, upto):
    model, variables, images = small
    with pytest.raises(ValueError, match=f"after '{after}' and up to {upto!r}"):
        model.apply(variables, images, after=after, upto=upto)


# --- what trains and what is frozen -------------------------------------------------

CONVOLUTIONS = ("conv1", "conv2", "conv3", "conv4", "conv5")


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        ((8, 8), (*CONVOLUTIONS, "fc6", "fc7", "fc8")),
        ((8,), (*CONVOLUTIONS, "fc6", "fc8")),
        ((), (*CONVOLUTIONS, "fc8")),
    ],
)
def test_trainable(hidden, expected):
    assert trainable(AlexNet(hidden=hidden).layers()) == expected


@pytest.mark.parametrize(
    ("model", "train_layers", "boundary"),
    [
        # Dropout is active on frozen layers too: drop6 ends the constant part.
        (AlexNet(), ("fc8",), "relu6"),
        (AlexNet(), ("fc7", "fc8"), "relu6"),
        (AlexNet(), ("fc6",), "pool5"),
        (AlexNet(), ("conv5",), "relu4"),
        (AlexNet(), ("conv5", "fc8"), "relu4"),
        (AlexNet(), ("conv1",), None),
        # Dropout that drops nothing is not random: drop7 comes before fc8.
        (AlexNet(dropout_rate=0.0), ("fc8",), "drop7"),
        (AlexNet(dropout_rate=0.0), ("fc7", "fc8"), "drop6"),
        (AlexNet(hidden=(8,)), ("fc8",), "relu6"),
        (AlexNet(hidden=()), ("fc8",), "pool5"),
        (CaffeNet(), ("conv3",), "norm2"),
        (AlexNet(), ("conv3",), "pool2"),
        (VGG16(), ("fc8",), "relu6"),
        (VGG16(), ("conv5_1", "fc8"), "pool4"),
        (VGG16(), ("conv1_1",), None),
        (VGG16(hidden=()), ("fc8",), "pool5"),
    ],
)
def test_frozen_boundary(model, train_layers, boundary):
    assert frozen_boundary(model.layers(), train_layers) == boundary


# --- the rectifier ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "conv", "relu"),
    [(AlexNet(), "conv1", "relu1"), (VGG16(), "conv3_2", "relu3_2")],
)
def test_derivative_of_relu_is_zero_at_zero(model, conv, relu):
    x = jnp.array([-1.0, 0.0, 1.0]).reshape(1, 1, 1, 3)
    y, backward = jax.vjp(lambda x: model.apply({}, x, after=conv, upto=relu), x)
    np.testing.assert_array_equal(y.ravel(), [0, 0, 1])
    np.testing.assert_array_equal(backward(jnp.ones_like(x))[0].ravel(), [0, 0, 1])


def test_another_relu_keeps_the_parameters(small, activations):
    model, variables, images = small
    other = model.clone(relu=jnp.negative)
    shapes = jax.eval_shape(other.init, jax.random.key(0), images)
    assert jax.tree.structure(shapes) == jax.tree.structure(variables)
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, variables)
    for conv, relu in [("conv1", "relu1"), ("conv5", "relu5"), ("fc7", "relu7")]:
        found = other.apply(variables, activations[conv], after=conv, upto=relu)
        np.testing.assert_array_equal(found, -activations[conv])


# --- dropout ------------------------------------------------------------------------


def test_dropout_does_nothing_at_inference(activations):
    np.testing.assert_array_equal(activations["drop6"], activations["relu6"])
    np.testing.assert_array_equal(activations["drop7"], activations["relu7"])


def test_dropout_drops_half_and_doubles_the_rest():
    # Of 10,000 values 5000 stay on average, with a standard deviation of 50.
    x = jnp.ones((10, 1000))
    keys = jax.random.split(jax.random.key(0), 10)
    slice_ = {"after": "relu6", "upto": "drop6"}
    found = AlexNet().apply({}, x, dropout_keys=keys, **slice_)
    assert set(np.unique(found)) == {0, 2}
    assert abs(int((found == 2).sum()) - 5000) < 250


def test_dropout_depends_on_its_key_alone(small, activations):
    model, variables, images = small

    def run(seed: int, x=images, **slice_):
        keys = jax.random.split(jax.random.key(seed), len(x))
        return model.apply(variables, x, dropout_keys=keys, **slice_)

    np.testing.assert_array_equal(run(0), run(0))
    assert not np.array_equal(run(0), run(1))
    # The same mask, whether the whole network runs or only what follows the boundary.
    boundary = frozen_boundary(model.layers(), ("fc7", "fc8"))
    cached = activations[boundary]
    for name in ("drop6", "drop7", "fc8"):
        assert_close(run(0, upto=name), run(0, cached, after=boundary, upto=name))
    ones = jnp.ones((2, 8))
    masks = [run(0, ones, after=f"relu{n}", upto=f"drop{n}") for n in (6, 7)]
    assert not np.array_equal(*masks)  # drop6 and drop7 draw apart
    assert not np.array_equal(*masks[0])  # and so do two examples


def test_dropout_of_an_example_does_not_depend_on_the_batch_around_it():
    x = jax.random.normal(jax.random.key(1), (6, 50))
    keys = jax.random.split(jax.random.key(0), 6)

    def run(rows):
        slice_ = {"after": "relu6", "upto": "drop6"}
        return AlexNet().apply({}, x[rows], dropout_keys=keys[rows], **slice_)

    order = jnp.array([4, 1, 5])
    np.testing.assert_array_equal(run(order), run(jnp.arange(6))[order])


# --- the gradients of a convolution ---------------------------------------------------


def plain_convolve(x, kernel, stride, pad):
    return jax.lax.conv_general_dilated(
        *(x, kernel, (stride, stride), [(pad, pad)] * 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def convolution_case(stride, pad, kernel_size, channels):
    """Images, a kernel and what comes back from above."""
    c, features = channels
    x = jnp.asarray(random_array(2, 9, 7, c))
    kernel = jnp.asarray(random_array(kernel_size, kernel_size, c, features, seed=1))
    shape = jax.eval_shape(lambda *a: plain_convolve(*a, stride, pad), x, kernel).shape
    return x, kernel, jnp.asarray(random_array(*shape, seed=2))


def assert_equal_to_rounding(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for ours, theirs in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        error = np.abs(ours - theirs).max()
        assert error <= 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize(
    "pad", [0, 1, 2]
)  # 1 and 2 are more than a kernel of 1 reaches
@pytest.mark.parametrize(
    ("stride", "channels"),
    [(1, (3, 5)), (1, (4, 1)), (2, (3, 5)), (4, (1, 4)), (2, (6, 3))],
)
def test_gradients_of_convolve(quick_compiles, stride, pad, kernel_size, channels):
    x, kernel, incoming = convolution_case(stride, pad, kernel_size, channels)

    @functools.partial(jax.jit, static_argnums=0)
    def run(f, x, kernel, incoming):
        y, backward = jax.vjp(lambda x, k: f(x, k, stride, pad), x, kernel)
        return y, backward(incoming)

    found, expected = (run(f, x, kernel, incoming) for f in (convolve, plain_convolve))
    assert_equal_to_rounding(found, expected)


SOME_CONVOLUTIONS = [(1, 1, 3, (6, 5)), (1, 0, 5, (3, 2)), (2, 1, 3, (3, 5))]


@pytest.mark.parametrize("case", SOME_CONVOLUTIONS)
def test_second_derivatives_of_convolve(quick_compiles, case):
    x, kernel, _ = convolution_case(*case)

    @functools.partial(jax.jit, static_argnums=0)
    def second(f, x, kernel):
        def score(x, kernel):
            return jnp.sin(f(x, kernel, *case[:2])).sum()

        def slope(x, kernel):
            gradients = jax.grad(score, (0, 1))(x, kernel)
            return sum((gradient**2).sum() for gradient in gradients)

        return jax.grad(slope, (0, 1))(x, kernel)

    found, expected = (second(f, x, kernel) for f in (convolve, plain_convolve))
    assert_equal_to_rounding(found, expected)


@pytest.mark.parametrize("case", SOME_CONVOLUTIONS)
def test_gradients_of_convolve_in_a_loop(quick_compiles, case):
    x, kernel, incoming = convolution_case(*case)

    def gradients(f, i):
        def score(x, kernel):
            return (incoming * f(x, kernel, *case[:2])).sum()

        return jax.grad(score, (0, 1))((i + 1) * x, (i + 2) * kernel)

    @jax.jit
    def in_a_loop():
        def add(i, sums):
            return jax.tree.map(jnp.add, sums, gradients(convolve, i))

        zeros = jax.tree.map(jnp.zeros_like, (x, kernel))
        return jax.lax.fori_loop(0, 3, add, zeros)

    # The gradient for one is linear in the other: factors 2 + 3 + 4 and 1 + 2 + 3.
    x_gradient, kernel_gradient = gradients(plain_convolve, 0)
    expected = (x_gradient / 2 * 9, kernel_gradient * 6)
    assert_equal_to_rounding(in_a_loop(), expected)


# --- bfloat16 -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_in_bfloat16(small):
    """The small network with the same float32 parameters."""
    model, variables, images = small
    return model.clone(compute_dtype="bfloat16"), variables, images


@pytest.mark.slow
def test_bfloat16_activations_and_float32_logits(small_in_bfloat16, activations):
    model, variables, x = small_in_bfloat16
    for before, name in itertools.pairwise((None, *NAMES)):
        x = model.apply(variables, x, after=before, upto=name)
        assert x.dtype == (jnp.float32 if name == "fc8" else jnp.bfloat16), name
        # 8 bits of mantissa round by 0.4 %, once or twice in each of eight layers.
        error = np.abs(x.astype(jnp.float32) - activations[name]).max()
        assert 0 < error < 0.05 * np.abs(activations[name]).max(), name


def test_slices_compose_in_bfloat16(small_in_bfloat16):
    # So what the frozen layers say may be kept, in half the space.
    model, variables, images = small_in_bfloat16
    kept = model.apply(variables, images, upto="relu6")
    np.testing.assert_array_equal(
        model.apply(variables, kept, after="relu6"), model.apply(variables, images)
    )


def test_parameters_and_their_gradients_stay_float32(small_in_bfloat16):
    model, variables, images = small_in_bfloat16
    made = jax.eval_shape(model.init, jax.random.key(0), images)
    gradients = jax.eval_shape(
        jax.grad(lambda variables: model.apply(variables, images).sum()), variables
    )
    for tree in (made, gradients):
        assert {x.dtype for x in jax.tree.leaves(tree)} == {np.dtype(np.float32)}
