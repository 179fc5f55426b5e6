"""What is compiled, and run again and again: a training step, an evaluation step."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec
from jaxtyping import Array

from jaxart.devices import compiling
from jaxart.devices.layout import DATA, Layout
from jaxart.training import optim
from jaxart.training.config import Config
from jaxart.training.metrics import NUM_BUCKETS, Metrics, bucketed

LogitsFn = Callable[..., Any]  # of parameters, inputs [B, ...], dropout keys [B]


class TrainState(NamedTuple):
    """What a training step takes and gives back."""

    step: Array
    params: Any
    opt_state: Any


def make_train_step(
    config: Config,
    logits_fn: LogitsFn,
    tx: optax.GradientTransformation,
    dropout_key: Array,
    layout: Layout,
) -> Callable[[TrainState, Mapping[str, Array], Any], tuple[TrainState, dict]]:
    """The training step, compiled once for a whole run.

    Each device works on its own rows of the batch, in `config.accumulate_steps` parts,
    one after the other: their activations are in memory one part at a time. Then the
    gradients are summed over all devices, once, and nothing else is but a few numbers.

    `logits_fn` is of the whole parameters, what the batches hold, and for each example
    a key of its dropout. The number of the step and the example's place in the batch
    are folded into `dropout_key`, so that devices and parts change no draw.

    Returns:
      A function (state, batch, is_display) -> (new state, logs); the state is used
      up. The logs are loss, accuracy, gradient_norm and, of each trained array and
      its gradient, histograms [30, 3], which hold counts where `is_display`.
    """
    differentiate = jax.shard_map(
        functools.partial(_differentiate, config, logits_fn, dropout_key),
        mesh=layout.mesh,
        axis_names={DATA},
        in_specs=(PartitionSpec(), PartitionSpec(DATA), PartitionSpec()),
        out_specs=PartitionSpec(),
    )

    @functools.partial(compiling.jit, donate_argnums=0)
    def train_step(state, batch, is_display):
        trained_grads, metrics = differentiate(state.params, batch, state.step)
        frozen = optim.only_frozen(state.params, config.train_layers)
        grads = trained_grads | jax.tree.map(jnp.zeros_like, frozen)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)

        metrics = metrics.compute()
        logs = {
            "loss": metrics["loss"],
            "accuracy": metrics["accuracy"],
            "gradient_norm": optax.tree.norm(trained_grads),
            "histograms": jax.lax.cond(
                is_display,
                lambda arrays: jax.tree.map(bucketed, arrays),
                lambda arrays: jax.tree.map(
                    lambda _: jnp.zeros((NUM_BUCKETS, 3)), arrays
                ),
                {
                    "value": optim.only_trained(params, config.train_layers),
                    "gradient": trained_grads,
                },
            ),
        }
        state = TrainState(state.step + 1, params, opt_state)
        return jax.lax.with_sharding_constraint(state, layout.of(state)), logs

    return train_step


def _differentiate(config, logits_fn, dropout_key, params, batch, step):
    """On each device: gradients of the whole batch's mean loss, and its metrics."""
    trained = optim.only_trained(params, config.train_layers)
    # As each device's own copy, or JAX would sum the gradients of every part.
    trained = jax.lax.pcast(trained, DATA, to="varying")
    count = jnp.maximum(jax.lax.psum(batch["mask"].sum(), DATA), 1)
    num_rows = len(batch["mask"])
    places = jax.lax.axis_index(DATA) * num_rows + jnp.arange(num_rows)
    step_key = jax.random.fold_in(dropout_key, step)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(step_key, places)

    def loss_fn(trained, part, keys):
        logits = logits_fn(params | trained, part["image"], keys)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, part["label"])
        loss = jnp.where(part["mask"], losses, 0.0).sum() / count
        return loss, Metrics.from_batch(logits, part["label"], part["mask"])

    def add_part(sums, part):
        grads, metrics = jax.grad(loss_fn, has_aux=True)(trained, *part)
        return jax.tree.map(jnp.add, sums, grads), metrics

    parts = jax.tree.map(
        lambda x: x.reshape(config.accumulate_steps, -1, *x.shape[1:]), (batch, keys)
    )
    grads, metrics = jax.lax.scan(
        add_part, jax.tree.map(jnp.zeros_like, trained), parts
    )
    metrics = jax.tree.map(lambda x: x.sum(0), metrics)
    return jax.lax.psum((grads, metrics), DATA)


def make_eval_step(logits_fn: LogitsFn, layout: Layout) -> Callable:
    """The evaluation step: (params, batch) -> what every process gets to see.

    That are the batch's `Metrics`, logits [B, K] and mask [B]. `logits_fn` gets
    no keys, so that nothing drops out.
    """
    logits_fn = layout.by_rows(logits_fn)

    @functools.partial(compiling.jit, out_shardings=layout.replicated)
    def eval_step(params, batch):
        logits = logits_fn(params, batch["image"])
        metrics = Metrics.from_batch(logits, batch["label"], batch["mask"])
        return metrics, logits, batch["mask"]

    return eval_step


def evaluate(
    eval_step: Callable, params: Any, batches: Iterable[Mapping[str, Array]]
) -> tuple[dict[str, Any], np.ndarray]:
    """Evaluates on every example whose mask is True; the batches hold each once.

    Returns:
      {'loss': float, 'accuracy': float, 'confusion': int [K, K], 'seen': int [N]},
      the last being which of all examples those are, and the logits [N, K] in the
      examples' order.
    """
    batch_metrics, logits, masks = [], [], []
    for batch in batches:
        metrics, *rows = eval_step(params, batch)
        batch_metrics.append(metrics)
        batch_logits, mask = map(np.asarray, rows)
        logits.append(batch_logits[mask])
        masks.append(mask)
    total = functools.reduce(Metrics.merge, batch_metrics).compute()
    confusion = np.asarray(total["confusion"])
    values = {
        "loss": float(total["loss"]),
        "accuracy": float(confusion.trace() / confusion.sum()),  # exact
        "confusion": confusion,
        "seen": np.flatnonzero(np.concatenate(masks)),
    }
    return values, np.concatenate(logits)
