"""What every method is given, images and targets: converted and checked here."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from jaxart.saliency.methods.scores import LogitsFn

P = ParamSpec("P")
Attribution = TypeVar("Attribution")


def takes_arrays(method: Callable[P, Attribution]) -> Callable[P, Attribution]:
    """A method whose `images` and `targets` may be NumPy's arrays too.

    It raises a ValueError where images are not floating-point numbers, or a target is
    no class. Inside `jax.jit`, targets that are its arguments are not looked at.
    """
    signature = inspect.signature(method)

    @functools.wraps(method)
    def checked(*args: P.args, **settings: P.kwargs) -> Attribution:
        given = signature.bind(*args, **settings)
        values = given.arguments
        values["images"] = _floating(values["images"])
        for name in ("logits_fn", "head_fn"):
            if name in values:
                values[name] = of_classes(values[name], values["targets"])
        values["targets"] = jnp.asarray(values["targets"])
        return method(*given.args, **given.kwargs)

    return checked


def of_classes(logits_fn: LogitsFn, targets: Any) -> LogitsFn:
    """`logits_fn`, which raises a ValueError where a target is none of its classes."""
    if isinstance(targets, Tracer):
        return logits_fn
    targets = np.asarray(targets)
    if not np.issubdtype(targets.dtype, np.integer):
        raise ValueError(f"targets of {targets.dtype}: classes are integers, from 0")

    def checked(*args: Any, **settings: Any) -> Array:
        logits = logits_fn(*args, **settings)
        num_classes = logits.shape[1]
        strange = targets[(targets < 0) | (targets >= num_classes)]
        if strange.size:
            classes = f"the classes are 0 to {num_classes - 1}"
            raise ValueError(f"targets={strange.flat[0]}: {classes}")
        return logits

    return checked


def _floating(images: Any) -> Float[Array, "..."]:
    """Images as an array of JAX."""
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"images of {images.dtype}: floating-point numbers, as the network takes "
            "them: preprocessed, the mean subtracted"
        )
    return jnp.asarray(images)
