"""What only a process with eight devices can see, printed as JSON; see test_layout."""

import json
import re

import jax

jax.config.update("jax_num_cpu_devices", 8)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from jaxart.devices import layout  # noqa: E402
from jaxart.models import MODELS  # noqa: E402
from jaxart.models.layers import frozen_boundary, trainable  # noqa: E402
from jaxart.training import optim, steps  # noqa: E402
from jaxart.training.config import Config  # noqa: E402
from jaxart.training.plan import Plan  # noqa: E402
from tests.runs import random_params  # noqa: E402

BYTES = {"f32": 4, "s32": 4, "u32": 4, "bf16": 2, "pred": 1}
COLLECTIVE = re.compile(
    r"= (.*) (all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all)"
    r"(?:-start)?\("
)


def collective_bytes(program):
    """Bytes that a compiled program's collectives give back, by their kind."""
    found = {}
    for line in program.as_text().splitlines():
        match = COLLECTIVE.search(line)
        if match:
            for kind, dims in re.findall(r"(\w+)\[([\d,]*)\]", match[1]):
                size = BYTES[kind] * int(
                    np.prod([int(d) for d in dims.split(",") if d])
                )
                found[match[2]] = found.get(match[2], 0) + size
    return found


def make(name, *, hidden, train_layers, model_axis=1, accumulate_steps=1, cached=False):
    """A training step for 16 examples, with a state and a batch for it."""
    model = MODELS[name](num_classes=10, hidden=hidden)
    size = model.preprocessing["size"]
    params = random_params(model)
    if train_layers == "every":
        train_layers = tuple(trainable(model.layers()))
    config = Config(
        train_layers=train_layers,
        momentum=0.9,
        weight_decay=1e-4,
        accumulate_steps=accumulate_steps,
    )
    tx = optim.make_optimizer(config, Plan(config, num_train=16))
    where = layout.over_all_devices(model_axis)
    where.check_split(params)
    state = where.put(steps.TrainState(jnp.int32(0), params, tx.init(params)))
    boundary, shape = None, (16, size, size, 3)
    if cached:
        boundary = frozen_boundary(model.layers(), train_layers)
        image = jax.ShapeDtypeStruct((1, *shape[1:]), jnp.float32)
        one = jax.eval_shape(
            lambda p, x: model.apply({"params": p}, x, upto=boundary), params, image
        )
        shape = (16, *one.shape[1:])
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.normal(size=shape).astype(np.float32),
        "label": np.arange(16) % 10,
        "mask": np.arange(16) < 15,
    }
    step = steps.make_train_step(
        config,
        lambda p, x, keys: model.apply(
            {"params": p}, x, after=boundary, dropout_keys=keys
        ),
        tx,
        jax.random.key(2),
        where,
    )
    trained = optim.only_trained(params, train_layers)
    return (
        step,
        state,
        where.put_batch(batch),
        sum(x.nbytes for x in jax.tree.leaves(trained)),
    )


def moved(name, **settings):
    """Bytes that the gradients take, and bytes that a step's collectives move."""
    step, state, batch, trained = make(name, **settings)
    program = step.lower(state, batch, False).compile()
    return {"trained": trained, "moved": collective_bytes(program)}


def trained(model_axis):
    """The end of three steps."""
    layers = ("fc6", "fc7", "fc8")
    settings = {"hidden": (32, 32), "train_layers": layers, "cached": True}
    step, state, batch, _ = make("alexnet", model_axis=model_axis, **settings)
    for _ in range(3):
        state, logs = step(state, batch, True)
    fc6 = state.params["fc6"]["kernel"]
    kernels = [state.params[layer]["kernel"] for layer in layers]
    histogram = logs["histograms"]["gradient"]["fc6"]["kernel"]
    return {
        "loss": float(logs["loss"]),
        "kernels": [np.asarray(kernel)[:3].tolist() for kernel in kernels],
        "counted": float(histogram[:, 2].sum()),
        "piece": list(fc6.addressable_shards[0].data.shape),
        "traces": step._cache_size(),
    }


if __name__ == "__main__":
    two = {"train_layers": ("fc7", "fc8"), "hidden": (256, 256)}
    every = {"train_layers": "every", "hidden": (256, 256)}
    print(
        json.dumps(
            {
                "moved": {
                    "alexnet fc7+fc8": moved("alexnet", **two),
                    "alexnet fc7+fc8 cached": moved("alexnet", cached=True, **two),
                    "alexnet fc7+fc8 in parts": moved(
                        "alexnet", cached=True, accumulate_steps=2, **two
                    ),
                    "alexnet every layer": moved("alexnet", **every),
                    "vgg16 fc8": moved("vgg16", hidden=(), train_layers=("fc8",)),
                },
                "trained": [trained(model_axis) for model_axis in (1, 2, 4)],
            }
        )
    )
