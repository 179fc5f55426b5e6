"""A training step over many devices, of one process or of several."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.flops import layer_shapes
from benchmarks.timing import repeat
from jaxart.devices import layout, processes
from jaxart.models import AlexNet, Network
from jaxart.models.layers import trainable
from jaxart.training import optim, steps
from jaxart.training.config import Config
from jaxart.training.plan import Plan

_BYTES = {"f32": 4, "s32": 4, "u32": 4, "bf16": 2, "pred": 1}
_COLLECTIVE = re.compile(
    r"= (.*) (all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all)"
    r"(?:-start)?\("
)


def run(
    devices: int,
    num_processes: int,
    process_id: int,
    coordinator: str,
    batch_size: int,
    hidden: list[int],
    repeats: int,
) -> dict[str, Any]:
    """Times the steps of AlexNet that train every layer, and fc7 and fc8.

    Args:
      devices: of this process; virtual ones, which share the machine's cores.
      num_processes: how many there are.
      process_id: which of them this is.
      coordinator: where they meet.
      batch_size: of all devices together.
      hidden: widths of fc6 and fc7.
      repeats: steps to time, after a first one.
    """
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", devices)
    if num_processes > 1:
        processes.start(coordinator, num_processes, process_id)
    model = AlexNet(num_classes=10, hidden=tuple(hidden))
    seconds, sizes = {}, {}
    for name, train_layers in (
        ("every layer", trainable(model.layers())),
        ("fc7, fc8", ("fc7", "fc8")),
    ):
        seconds[name], sizes[name] = _measure(model, train_layers, batch_size, repeats)
    return {"seconds": seconds, "bytes": sizes}


def compile_step(
    model: Network, params: Any, config: Config, images: np.ndarray
) -> tuple[Any, steps.TrainState, Any]:
    """The step on a batch of images, compiled; its state and its batch."""
    tx = optim.make_optimizer(config, Plan(config, num_train=len(images)))
    where = layout.over_all_devices()
    where.check_batch_size(len(images), 1)
    rows = where.own_rows(len(images))
    batch = where.put_batch(
        {
            "image": images[rows],
            "label": np.arange(len(images), dtype=np.int32)[rows] % 10,
            "mask": np.ones(len(images), bool)[rows],
        }
    )
    state = where.put(steps.TrainState(jnp.int32(0), params, tx.init(params)))
    step = steps.make_train_step(
        config,
        lambda p, x, keys: model.apply({"params": p}, x, dropout_keys=keys),
        tx,
        jax.random.key(2),
        where,
    )
    return step.lower(state, batch, False).compile(), state, batch


def _measure(
    model: AlexNet, train_layers: tuple[str, ...], batch_size: int, repeats: int
) -> tuple[list[float], dict[str, int]]:
    """Seconds of each step; bytes of what trains, and of what the devices exchange."""
    rng = np.random.default_rng(0)
    params = {}
    for name, (kernel, _) in layer_shapes(model).items():
        values = 0.01 * rng.standard_normal(kernel, np.float32)
        params[name] = {"kernel": values, "bias": np.zeros(kernel[-1], np.float32)}
    size = model.preprocessing["size"]
    images = rng.standard_normal((batch_size, size, size, 3), np.float32)
    config = Config(train_layers=tuple(train_layers))
    program, state, batch = compile_step(model, params, config, images)

    def run_step():
        nonlocal state
        state, _ = jax.block_until_ready(program(state, batch, False))

    repeat(run_step, 1)
    seconds, _ = repeat(run_step, repeats)
    trained = optim.only_trained(params, train_layers)
    is_alone = jax.device_count() == 1  # its sums are over itself
    return seconds, {
        "trained": sum(x.nbytes for x in jax.tree.leaves(trained)),
        "moved": 0 if is_alone else _collective_bytes(program.as_text()),
    }


def _collective_bytes(program: str) -> int:
    """Bytes that a compiled program's collectives give back, on one device."""
    return sum(
        _BYTES[kind] * int(np.prod([int(d) for d in dims.split(",") if d]))
        for line in program.splitlines()
        if (match := _COLLECTIVE.search(line))
        for kind, dims in re.findall(r"(\w+)\[([\d,]*)\]", match[1])
    )
