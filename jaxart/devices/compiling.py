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
    is_cpu = jax.default_backend() == "cpu"
    return _CPU_OPTIONS if is_cpu and _knows(tuple(_CPU_OPTIONS.items())) else None


@functools.cache
def _knows(options: tuple[tuple[str, str], ...]) -> bool:
    """Whether this XLA, which may be of another time, knows the options."""
    try:
        jax.jit(lambda: 0, compiler_options=dict(options)).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
