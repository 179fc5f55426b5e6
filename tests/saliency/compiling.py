"""Methods as the tests call them."""

import functools

import jax
import numpy as np


def compiled(method, score, **settings):
    """The method, jitted, from and to NumPy."""
    run = jax.jit(functools.partial(method, score, **settings))
    return lambda *args, **kwargs: np.asarray(run(*args, **kwargs))
