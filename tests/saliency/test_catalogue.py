"""The methods by name: their settings, and that a name runs what it names."""

import functools
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxart.models import VGG16, AlexNet
from jaxart.saliency import catalogue, methods
from jaxart.saliency.catalogue import METHODS, bind, complete_settings, find, table
from jaxart.saliency.choices import CHANNEL_RULES

pytestmark = pytest.mark.usefixtures("quick_compiles")

NOT_ATTRIBUTIONS = {"channel_map", "class_model"}


def test_every_method_has_its_own_name_here():
    assert set(METHODS) == set(methods.__all__) - NOT_ATTRIBUTIONS
    for name, method in METHODS.items():
        assert method.function is getattr(methods, name)
    functions = [method.function for method in METHODS.values()]
    assert len(set(functions)) == len(functions)


def test_methods_that_give_maps_have_no_channel_rule():
    maps = {name for name, method in METHODS.items() if not method.channel_rule}
    assert maps == {"grad_cam", "grad_cam_plus_plus", "layer_cam"}
    assert {method.channel_rule for method in METHODS.values()} <= {"", *CHANNEL_RULES}
    assert set(catalogue.SIGNED_RULES) < set(CHANNEL_RULES)


@pytest.mark.parametrize("name", METHODS)
def test_every_argument_is_provided_set_or_has_a_default(name):
    method = METHODS[name]
    known = {*catalogue._PROVIDED, *method.settings, "images", "targets"}
    assert set(inspect.signature(method.function).parameters) <= known
    assert None not in method.settings.values()
    assert inspect.Parameter.empty not in method.settings.values()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gradient", {}),
        ("guided_backprop", {}),
        ("smoothgrad", {"num_samples": 25, "noise_level": 0.15}),
        (
            "integrated_gradients",
            {"num_steps": 50, "quadrature": "gauss_legendre", "baseline": "mean"},
        ),
        ("grad_cam", {"layer": "relu5"}),
        ("guided_grad_cam", {"layer": "relu5"}),
    ],
)
def test_settings_and_their_defaults(name, settings):
    found = complete_settings(name, AlexNet(num_classes=3), {})
    assert {key: found[key] for key in settings} == settings
    if name != "integrated_gradients":
        assert found == settings


def test_what_is_given_replaces_the_default():
    model = VGG16(num_classes=3)
    assert complete_settings("grad_cam", model, {}) == {"layer": "relu5_3"}
    assert complete_settings("grad_cam", model, {"layer": "pool5"})["layer"] == "pool5"
    given = {"num_samples": 3}
    found = complete_settings("smoothgrad", model, given)
    assert found == {"num_samples": 3, "noise_level": 0.15}
    assert given == {"num_samples": 3}
    assert METHODS["smoothgrad"].settings["num_samples"] == 25


# --- What is refused ------------------------------------------------------------------


def test_an_unknown_method_hints_and_lists_all():
    with pytest.raises(ValueError) as error:
        find("gradcam")
    assert str(error.value) == (
        f"method='gradcam': did you mean 'grad_cam'? There are {', '.join(METHODS)}"
    )
    with pytest.raises(ValueError) as error:
        find("zzzz")
    assert str(error.value) == f"method='zzzz': There are {', '.join(METHODS)}"


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        (
            "smoothgrad",
            {"num_steps": 3},
            "smoothgrad has no setting num_steps; its settings: num_samples, "
            "noise_level",
        ),
        (
            "gradient",
            {"layer": "conv5"},
            "gradient has no setting layer; its settings: none",
        ),
        (
            "grad_cam",
            {"layer": "conv6"},
            "layer='conv6': one with a place for each feature: conv1, relu1, norm1, "
            "pool1, conv2, relu2, norm2, pool2, conv3, relu3, conv4, relu4, conv5, "
            "relu5, pool5",
        ),
        ("grad_cam", {"layer": "fc6"}, "layer='fc6': one with a place"),
        (
            "integrated_gradients",
            {"baseline": "grey"},
            "baseline='grey': one of mean, black, white",
        ),
    ],
)
def test_settings_that_do_not_fit(name, given, message):
    with pytest.raises(ValueError) as error:
        complete_settings(name, AlexNet(num_classes=3), given)
    assert str(error.value).startswith(message)


# --- What a name runs -----------------------------------------------------------------


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.uniform(-120, 130, (3, 16, 16, 3)), jnp.float32)


TARGETS = jnp.array([2, 0, 3])


def bound(name, tiny, images, rule=None, **given):
    attribute = bind(
        name,
        tiny.model,
        complete_settings(name, tiny.model, given),
        channel_rule=METHODS[name].channel_rule if rule is None else rule,
        batch_size=2,
        key=jax.random.key(7),
    )
    return jax.jit(attribute)(tiny.params, images, TARGETS)


def assert_close(found, wanted):
    assert found.shape == wanted.shape
    scale = float(np.abs(wanted).max())
    assert scale > 0
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("rule", ["max_abs", "norm", "mean"])
def test_gradient_is_the_gradient(tiny, images, rule):
    def score(images):
        logits = tiny.model.apply({"params": tiny.params}, images)
        return logits[jnp.arange(3), TARGETS].sum()

    gradient = np.asarray(jax.jit(jax.grad(score))(images))
    wanted = {
        "max_abs": np.abs(gradient).max(-1),
        "norm": np.linalg.norm(gradient, axis=-1),
        "mean": gradient.mean(-1),
    }
    assert_close(bound("gradient", tiny, images, rule), wanted[rule])


@pytest.mark.parametrize("layer", ["relu5", "pool5"])
def test_grad_cam_is_the_enlarged_map_of_its_layer(tiny, images, layer):
    variables = {"params": tiny.params}
    features = tiny.model.apply(variables, images, upto=layer)

    def score(features):
        logits = tiny.model.apply(variables, features, after=layer)
        return logits[jnp.arange(3), TARGETS].sum()

    weights = jax.jit(jax.grad(score))(features).mean(axis=(1, 2), keepdims=True)
    small = jax.nn.relu((weights * features).sum(-1))
    wanted = jax.image.resize(small, (3, 16, 16), "bilinear")
    assert small.shape[1:] == ((4, 4) if layer == "pool5" else (8, 8))
    assert_close(bound("grad_cam", tiny, images, layer=layer), wanted)


def test_integrated_gradients_start_at_the_colour(tiny, images):
    mean = jnp.array(tiny.model.preprocessing["mean"])

    def logits_fn(images):
        return tiny.model.apply({"params": tiny.params}, images)

    direct = functools.partial(
        methods.integrated_gradients,
        logits_fn,
        baseline=-mean,
        num_steps=6,
        batch_size=5,
        quadrature="midpoint",
    )
    wanted = jax.jit(direct)(images, TARGETS).sum(-1)
    found = bound(
        *("integrated_gradients", tiny, images),
        **{"baseline": "black", "num_steps": 6, "quadrature": "midpoint"},
    )
    assert_close(found, wanted)


def test_integrated_gradients_start_at_the_mean_by_default(tiny, images):
    found = bound("integrated_gradients", tiny, images, num_steps=64)
    logits = [
        tiny.model.apply({"params": tiny.params}, x)[jnp.arange(3), TARGETS]
        for x in (images, jnp.zeros_like(images))
    ]
    gained = logits[0] - logits[1]
    np.testing.assert_allclose(found.sum(axis=(1, 2)), gained, rtol=0.02, atol=0.05)


@pytest.mark.parametrize("name", ["guided_backprop", "deconvnet"])
def test_the_rectifier_is_replaced_everywhere(tiny, images, name):
    def logits_fn(images, relu):
        model = tiny.model.clone(relu=relu)
        return model.apply({"params": tiny.params}, images)

    direct = functools.partial(getattr(methods, name), logits_fn)
    wanted = jax.jit(direct)(images, TARGETS)
    found = bound(name, tiny, images)
    assert_close(found, np.abs(wanted).max(-1))
    plain = bound("gradient", tiny, images)
    assert np.abs(found - plain).max() > 0.1 * plain.max()


def test_the_key_alone_says_which_samples(tiny, images):
    def logits_fn(images):
        return tiny.model.apply({"params": tiny.params}, images)

    direct = functools.partial(
        methods.smoothgrad,
        logits_fn,
        key=jax.random.key(7),
        num_samples=3,
        noise_level=0.5,
        batch_size=9,
    )
    wanted = jax.jit(direct)(images, TARGETS)
    found = bound("smoothgrad", tiny, images, num_samples=3, noise_level=0.5)
    assert_close(found, np.abs(wanted).max(-1))


CHEAP = {
    "num_samples": 2,
    "num_steps": 2,
    "num_masks": 3,
    "grid": 2,
    "window": 8,
    "stride": 8,
    "max_sigma": 2.0,
}


DONE = {"gradient", "grad_cam", "integrated_gradients", "guided_backprop"}
DONE |= {"deconvnet", "smoothgrad", "smoothgrad_squared"}


@pytest.mark.parametrize("name", sorted(METHODS.keys() - DONE))
def test_every_other_method_gives_a_finite_map_an_image(tiny, images, name):
    given = {key: CHEAP[key] for key in METHODS[name].settings if key in CHEAP}
    found = bound(name, tiny, images, **given)
    assert found.shape == (3, 16, 16)
    assert found.dtype == jnp.float32
    assert np.isfinite(found).all()
    assert np.ptp(found, axis=(1, 2)).max() > 0


# --- For people -----------------------------------------------------------------------


def test_the_table_names_everything():
    # A method's name starts a line; what belongs to it is indented below.
    blocks = dict(
        block.split("\n", 1) for block in re.split(r"\n(?=\S)", table().strip())
    )
    assert list(blocks) == list(METHODS)
    for name, method in METHODS.items():
        assert method.summary.removesuffix(".") in blocks[name]
        assert method.paper in blocks[name] and method.paper[-4:].isdecimal()
        for key, value in method.settings.items():
            assert f"{key}={value}" in blocks[name]
