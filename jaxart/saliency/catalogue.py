"""The methods by name, with what each can be set to, bound to a network."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from jaxart.models import Network
from jaxart.saliency import methods
from jaxart.saliency.choices import BASELINES
from jaxart.saliency.methods.cam import enlarge


class Method(NamedTuple):
    """One of `methods`."""

    function: Callable[..., Array]
    channel_rule: str  # how its attribution becomes a map; '' where it gives maps
    paper: str

    @property
    def settings(self) -> dict[str, Any]:
        """What can be set, with defaults: the function's own, a layer, a baseline."""
        parameters = inspect.signature(self.function).parameters
        settings = {
            name: parameter.default
            for name, parameter in parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY and name not in _PROVIDED
        }
        if "features_fn" in parameters:
            settings["layer"] = ""  # the last one before pool5
        if "baseline" in parameters:
            settings["baseline"] = "mean"
        return settings

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]


# What a method is given by the network and the pass, by parameter name.
_PROVIDED = ("logits_fn", "features_fn", "head_fn", "key", "batch_size")

_ALL = (
    Method(methods.gradient, "max_abs", "Simonyan et al. 2013"),
    Method(methods.gradient_x_input, "sum", "Shrikumar et al. 2016"),
    Method(methods.smoothgrad, "max_abs", "Smilkov et al. 2017"),
    Method(methods.smoothgrad_squared, "sum_abs", "Hooker et al. 2019"),
    Method(methods.vargrad, "sum_abs", "Adebayo et al. 2018"),
    Method(methods.integrated_gradients, "sum", "Sundararajan et al. 2017"),
    Method(methods.blur_integrated_gradients, "sum", "Xu et al. 2020"),
    Method(methods.guided_integrated_gradients, "sum", "Kapishnikov et al. 2021"),
    Method(methods.guided_backprop, "max_abs", "Springenberg et al. 2014"),
    Method(methods.deconvnet, "max_abs", "Zeiler and Fergus 2014"),
    Method(methods.grad_cam, "", "Selvaraju et al. 2017"),
    Method(methods.grad_cam_plus_plus, "", "Chattopadhyay et al. 2018"),
    Method(methods.layer_cam, "", "Jiang et al. 2021"),
    Method(methods.guided_grad_cam, "max_abs", "Selvaraju et al. 2017"),
    Method(methods.occlusion, "mean", "Zeiler and Fergus 2014"),
    Method(methods.rise, "mean", "Petsiuk et al. 2018"),
)
METHODS = {method.function.__name__: method for method in _ALL}

SETTINGS = {name for method in METHODS.values() for name in method.settings}

SIGNED_RULES = ("sum", "mean")


def find(name: str) -> Method:
    """The method of that name, or a `ValueError` that says which there are."""
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"method={name!r}: {hint}There are {', '.join(METHODS)}")
    return METHODS[name]


def complete_settings(
    name: str, model: Network, given: Mapping[str, Any]
) -> dict[str, Any]:
    """A method's settings: what is given, and the defaults of the rest.

    Raises:
      ValueError: the method has no such setting, or not such a value.
    """
    settings = find(name).settings
    for setting in given:
        if setting not in settings:
            known = ", ".join(settings) or "none"
            raise ValueError(f"{name} has no setting {setting}; its settings: {known}")
    settings |= given
    if "layer" in settings:
        layers = list(model.layers())
        spatial = layers[: layers.index("pool5") + 1]
        settings["layer"] = settings["layer"] or spatial[-2]
        if settings["layer"] not in spatial:
            raise ValueError(
                f"layer={settings['layer']!r}: one with a place for each feature: "
                f"{', '.join(spatial)}"
            )
    baseline = settings.get("baseline", "mean")
    if baseline not in BASELINES:
        raise ValueError(f"baseline={baseline!r}: one of {', '.join(BASELINES)}")
    return settings


def bind(
    name: str,
    model: Network,
    settings: Mapping[str, Any],
    *,
    channel_rule: str,
    batch_size: int,
    key: PRNGKeyArray,
    score: str = "logit",
) -> Callable[[Any, Array, Array], Array]:
    """A method as (params, images [B, H, W, C], targets) -> maps [B, H, W].

    Targets are classes [B], or [B, 2] with the classes that they are against.
    `settings` are those of `complete_settings`. `channel_rule` makes a map of an
    attribution; it is unused where there are maps. `score` is one of `choices.SCORES`.
    """
    method = find(name)
    settings = dict(settings)
    scores_of = {"logit": lambda x: x, "log_probability": jax.nn.log_softmax}[score]
    layer = settings.pop("layer", None)
    if "baseline" in settings:
        mean = jnp.asarray(model.preprocessing["mean"])
        levels = {"mean": mean, "black": 0.0, "white": 255.0}
        settings["baseline"] = levels[settings["baseline"]] - mean

    def explain(params, images, targets):
        variables = {"params": params}

        def logits_fn(images, relu=model.relu):
            return scores_of(model.clone(relu=relu).apply(variables, images))

        def head_fn(features):
            return scores_of(model.apply(variables, features, after=layer))

        provided = {
            "logits_fn": logits_fn,
            "features_fn": lambda images: model.apply(variables, images, upto=layer),
            "head_fn": head_fn,
            "key": key,
            "batch_size": batch_size,
        }
        wanted = inspect.signature(method.function).parameters
        provided = {name: provided[name] for name in wanted if name in provided}
        attribution = method.function(
            **provided, **settings, images=images, targets=targets
        )
        if attribution.ndim == 3:
            return enlarge(attribution, images.shape[1:3])
        return methods.channel_map(attribution, channel_rule)

    return explain


def table() -> str:
    """Every method with its paper and settings, for people."""
    rows = []
    for name, method in METHODS.items():
        settings = method.settings
        if "layer" in settings:
            settings["layer"] = "the last before pool5"
        settings = ", ".join(f"{key}={value}" for key, value in settings.items())
        rows.append(
            f"{name}\n  {method.summary.removesuffix('.')}; {method.paper}"
            + (f"\n  settings: {settings}" if settings else "")
        )
    return "\n".join(rows)
