"""`jax.jit`, with what XLA has to be told on the machine at hand."""

import functools
from collections.abc import Callable
from typing import Any

import jax

# XLA on CPU hands products, sums and large convolutions to YNNPACK. That is fast for
# products and sums, but its older way to convolve, Eigen's, is 1.3 to 1.5 times as fast
# for these networks.
_CPU_OPTIONS = {
    "xla_cpu_experimental_ynn_fusion_type": (
        "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"
    )
}


def jit(function: Callable[..., Any], **settings: Any) -> Callable[..., Any]:
    """Compiles a function of whole batches, called from outside of other such ones."""
    return jax.jit(function, compiler_options=compiler_options(), **settings)


def compiler_options() -> dict[str, str] | None:
    """What XLA is told: on CPU, how to convolve; None where it needs no telling."""
    return (
        _known(tuple(_CPU_OPTIONS.items())) if jax.default_backend() == "cpu" else None
    )


@functools.cache
def _known(options: tuple[tuple[str, str], ...]) -> dict[str, str] | None:
    """The options, or None where this XLA is of another time and does not know them."""
    try:
        jax.jit(lambda: 0, compiler_options=dict(options)).lower().compile()
    except jax.errors.JaxRuntimeError:
        return None
    return dict(options)
