"""What XLA is told about this machine; one that cannot be told runs all the same."""

import jax
import jax.numpy as jnp
import pytest

from jaxart.devices import compiling

UNKNOWN = {
    "an option of no XLA": {"xla_cpu_of_another_time": "1"},
    "a value of no XLA": {"xla_cpu_experimental_ynn_fusion_type": "CONVOLVE_BY_HAND"},
}


def test_convolutions_stay_out_of_library_fusions_on_cpu():
    if jax.default_backend() != "cpu":
        pytest.skip("the option is for CPU")
    if compiling.compiler_options() is None:
        pytest.skip("this XLA has no such option")
    if jax.__version_info__ < (0, 10):
        pytest.skip("this XLA does not take the library by itself")

    def convolve(images, kernel):
        return jax.lax.conv_general_dilated(
            images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    # Of this size XLA by itself takes the library: otherwise the option is idle.
    shapes = [
        jax.ShapeDtypeStruct(shape, jnp.float32)
        for shape in ((32, 13, 13, 192), (3, 3, 192, 128))
    ]
    plain, ours = (
        jit(convolve).lower(*shapes).compile().as_text()
        for jit in (jax.jit, compiling.jit)
    )
    assert "__ynn_fusion" in plain
    assert "__ynn_fusion" not in ours


@pytest.mark.parametrize("options", UNKNOWN.values(), ids=UNKNOWN)
def test_an_xla_that_does_not_know_the_options_runs_without(monkeypatch, options):
    monkeypatch.setattr(compiling, "_CPU_OPTIONS", options)
    assert compiling.compiler_options() is None
    assert compiling.jit(lambda x: 2 * x)(3.0) == 6.0


def test_other_backends_are_told_nothing(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert compiling.compiler_options() is None


def test_settings_reach_jit():
    # A donated buffer is gone; on the host it is only marked as such.
    x = jnp.ones(3)
    compiling.jit(lambda x: x + 1, donate_argnums=0)(x)
    assert x.is_deleted()
