"""A classifier as a StableHLO program that JAX runs without jaxart.

    from jax import export

    with open("vgg16.stablehlo", "rb") as file:
        exported = export.deserialize(bytearray(file.read()))
    logits = exported.call(images)  # float32 [N, size, size, 3], any N

The parameters are in the program, which runs on every platform of `PLATFORMS`. JAX
compiles it once for each N, and that takes longer than it does where they are not.
Versions of JAX up to six months newer than the one that wrote it promise to read it.

Reference: https://docs.jax.dev/en/latest/export/export.html
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import export
from jaxtyping import Array, Float

from jaxart.classifier import Classifier
from jaxart.export.description import describe
from jaxart.storage import AnyPath, results

P = TypeVar("P", bound=AnyPath)

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def write(path: Path, network: Classifier) -> None:
    """Writes the program, and beside it in `NAME.json` what its images must be."""
    facts = describe(network, "NHWC") | {"jax_version": jax.__version__}
    path.write_bytes(serialize(network))
    results.write_json(facts_of(path), facts)


def serialize(network: Classifier) -> bytearray:
    """The program images [N, size, size, 3] -> logits [N, k], for any N."""
    size = network.model.preprocessing["size"]
    (batch,) = export.symbolic_shape("batch")
    images = jax.ShapeDtypeStruct((batch, size, size, 3), jnp.float32)

    @jax.jit
    def logits(images: Float[Array, "b h w 3"]) -> Float[Array, "b k"]:
        return network.model.apply({"params": network.params}, images)

    with _without_locations():
        return export.export(logits, platforms=PLATFORMS)(images).serialize()


@contextlib.contextmanager
def _without_locations() -> Iterator[None]:
    """Keeps source files and lines out: they tell paths, and depend on the caller."""
    name = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, before)


def facts_of(path: P) -> P:
    """The file beside a program that says how images are prepared for it."""
    return path.with_name(f"{path.name}.json")
