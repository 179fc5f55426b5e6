"""Which layers train, and how: optax with the frozen layers masked out."""

import functools
from collections.abc import Collection, Sequence
from typing import Any

import jax
import optax

from jaxart.training.config import Config
from jaxart.training.plan import Plan

Tree = Any  # {'fc8': {'kernel': ..., 'bias': ...}, ...}


def check_train_layers(train_layers: Sequence[str], names: Collection[str]) -> None:
    """Raises a ValueError where there are none, or one is no layer with parameters."""
    unknown = [name for name in train_layers if name not in names]
    if unknown or not train_layers:
        what = ", ".join(map(repr, unknown)) or "nothing"
        raise ValueError(
            f"train_layers names {what}; the layers are {', '.join(names)}"
        )


def label_layers(params: Tree, train_layers: Sequence[str]) -> Tree:
    """A tree like `params` of 'train' and 'freeze', by layer name."""
    return {
        layer: dict.fromkeys(arrays, "train" if layer in train_layers else "freeze")
        for layer, arrays in params.items()
    }


def only_trained(tree: Tree, train_layers: Sequence[str]) -> Tree:
    return {layer: tree[layer] for layer in tree if layer in train_layers}


def only_frozen(tree: Tree, train_layers: Sequence[str]) -> Tree:
    return {layer: tree[layer] for layer in tree if layer not in train_layers}


def make_schedule(config: Config, plan: Plan) -> optax.Schedule:
    """Learning rate by step: a linear warm-up from 0, then constant or cosine to 0."""
    rate = config.learning_rate
    warmup_steps = round(config.warmup_epochs * plan.steps_per_epoch)
    if config.schedule == "constant":
        main = optax.constant_schedule(rate)
    else:
        main = optax.cosine_decay_schedule(rate, max(plan.num_steps - warmup_steps, 1))
    warmup = optax.linear_schedule(0.0, rate, max(warmup_steps, 1))
    return optax.join_schedules([warmup, main], [warmup_steps])


def make_optimizer(config: Config, plan: Plan) -> optax.GradientTransformation:
    """The optimizer of the trained layers; frozen ones are masked out.

    The momentum is of SGD, which is plain where it is 0; AdamW keeps its own two
    moments. Weights decay in kernels, never in biases, as in Caffe's prototxts
    (decay_mult 1 and 0). SGD adds the decay to the gradient (L2), AdamW decouples it.
    """
    schedule, decay = make_schedule(config, plan), config.weight_decay
    if config.optimizer == "sgd":
        train = optax.chain(
            optax.add_decayed_weights(decay, mask=_is_kernel),
            optax.sgd(schedule, momentum=config.momentum or None),
        )
    else:
        train = optax.adamw(schedule, weight_decay=decay, mask=_is_kernel)
    return optax.multi_transform(
        {"train": train, "freeze": optax.set_to_zero()},
        functools.partial(label_layers, train_layers=config.train_layers),
    )


def _is_kernel(params: Tree) -> Tree:
    return jax.tree.map_with_path(lambda path, _: path[-1].key == "kernel", params)
