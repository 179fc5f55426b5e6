"""Pieces of work on whatever device JAX finds: jaxart."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.material import random_images
from benchmarks.sides.accelerator import Piece, Ready, answers
from benchmarks.sides.saliency_ours import bind
from benchmarks.sides.training_step import compile_step
from jaxart.classifier import from_weights
from jaxart.devices import compiling
from jaxart.models.layers import trainable
from jaxart.saliency import work
from jaxart.training.config import Config

_PRECISIONS = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": "default"}
_SETTINGS = {
    "smoothgrad": "num_samples",
    "integrated_gradients": "num_steps",
}


def run(
    pieces: list[dict[str, Any]], rounds: int, weights: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """Times the pieces; see `accelerator.answers`."""
    read = functools.cache(lambda name: from_weights(Path(weights[name])))

    def make(piece: Piece) -> Ready:
        with jax.default_matmul_precision(_PRECISIONS[piece.precision]):
            return _MAKERS[piece.kind](piece, read)

    return answers(pieces, rounds, make)


def _network(piece, read):
    network = read(piece.network)
    model = network.model
    if piece.precision == "bfloat16":
        model = model.clone(compute_dtype="bfloat16")
    size = model.preprocessing["size"]
    return model, network.params, jax.device_put(random_images(piece.count, size))


def _product(piece, read):
    dtype = jnp.bfloat16 if piece.precision == "bfloat16" else jnp.float32
    keys = jax.random.split(jax.random.key(0))
    a, b = (jax.random.normal(k, (piece.count, piece.count), dtype) for k in keys)
    return _compiled(jax.jit(jnp.matmul), a, b)


def _forward(piece, read):
    model, params, images = _network(piece, read)
    (upto,) = piece.layers
    forward = compiling.jit(lambda p, x: model.apply({"params": p}, x, upto=upto))
    return _compiled(
        forward, params, images, check=lambda y: np.ravel(y[:, :8]).tolist()
    )


def _maps(piece, read):
    model, params, images = _network(piece, read)
    given = {}
    if piece.method in _SETTINGS:
        given[_SETTINGS[piece.method]] = piece.samples
    attribute = bind(piece.method, model, given, piece.at_once or piece.count)
    targets = jnp.full(piece.count, work.PREDICTED, jnp.int32)
    return _compiled(
        work.make_step(model, attribute),
        *(params, images, targets),
        check=lambda explained: np.abs(explained.maps).mean((1, 2)).tolist(),
    )


def _train(piece, read):
    model, params, images = _network(piece, read)
    config = Config(
        train_layers=piece.layers or tuple(trainable(model.layers())),
        learning_rate=1e-6,
    )
    params = jax.tree.map(jnp.copy, params)  # the step uses up what it is given
    program, state, batch = compile_step(model, params, config, np.asarray(images))

    def run_step():
        nonlocal state
        state, logs = program(state, batch, False)
        return logs["loss"]

    def wait(loss):
        jax.block_until_ready(loss)
        return []

    return Ready(run_step, wait, _program_bytes(program))


def _compiled(function, *arrays, check=lambda result: []) -> Ready:
    program = function.lower(*arrays).compile()
    return Ready(
        lambda: program(*arrays),
        lambda result: check(jax.block_until_ready(result)),
        _program_bytes(program),
    )


def _program_bytes(program) -> int | None:
    memory = program.memory_analysis()
    if memory is None:
        return None
    return (
        memory.temp_size_in_bytes
        + memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
    )


_MAKERS = {"product": _product, "forward": _forward, "maps": _maps, "train": _train}
