"""What is compiled, and run again and again: a training step, an evaluation step."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from jaxart import compiling, optim
from jaxart.metrics import NUM_BUCKETS, Metrics, bucketed, cross_entropy, masked_mean
from jaxart.models import CaffeNet


class TrainState(NamedTuple):
    """What a training step takes and gives back."""

    step: Array
    params: Any
    opt_state: Any


def make_train_step(
    model: CaffeNet,
    tx: optax.GradientTransformation,
    labels: Mapping[str, Any],
    boundary: str | None,
    dropout_key: Array,
) -> Callable[[TrainState, Mapping[str, Array], Any], tuple[TrainState, dict]]:
    """The training step, compiled once for a whole run.

    Args:
      model: the network.
      tx: from `optim.make_optimizer`.
      labels: from `optim.label_layers`.
      boundary: the layer whose activation the batches hold; None for images.
      dropout_key: the run's; each step folds its number in.

    Returns:
      A function (state, batch, is_display) -> (new state, logs); the state is used
      up. The logs are loss, accuracy, gradient_norm and, of each trained array and
      its gradient, histograms [30, 3], which hold counts where `is_display`.
    """
    train_layers = [name for name in labels if "train" in labels[name].values()]

    @functools.partial(compiling.jit, donate_argnums=0)
    def train_step(state, batch, is_display):
        dropout = jax.random.fold_in(dropout_key, state.step)

        def loss_fn(params):
            logits = model.apply(
                {"params": optim.stop_frozen(params, labels)},
                batch["image"],
                after=boundary,
                train=True,
                rngs={"dropout": dropout},
            )
            loss = masked_mean(cross_entropy(logits, batch["label"]), batch["mask"])
            return loss, logits

        (loss, logits), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)

        trained_grads = optim.only_trained(grads, train_layers)
        metrics = Metrics.from_batch(logits, batch["label"], batch["mask"]).compute()
        logs = {
            "loss": loss,
            "accuracy": metrics["accuracy"],
            "gradient_norm": optax.tree.norm(trained_grads),
            "histograms": jax.lax.cond(
                is_display,
                lambda arrays: jax.tree.map(bucketed, arrays),
                lambda arrays: jax.tree.map(
                    lambda _: jnp.zeros((NUM_BUCKETS, 3)), arrays
                ),
                {
                    "value": optim.only_trained(params, train_layers),
                    "gradient": trained_grads,
                },
            ),
        }
        return TrainState(state.step + 1, params, opt_state), logs

    return train_step


def make_eval_step(logits_fn: Callable[[Any, Array], Array]) -> Callable:
    """The evaluation step: (params, batch) -> (`Metrics`, probabilities [B, K])."""

    @compiling.jit
    def eval_step(params, batch):
        logits = logits_fn(params, batch["image"])
        metrics = Metrics.from_batch(logits, batch["label"], batch["mask"])
        return metrics, jax.nn.softmax(logits)

    return eval_step


def evaluate(
    eval_step: Callable, params: Any, batches: Iterable[Mapping[str, Array]]
) -> tuple[dict[str, Any], np.ndarray]:
    """Evaluates on every example whose mask is True.

    Args:
      eval_step: from `make_eval_step`.
      params: the parameter tree.
      batches: {'image', 'label', 'mask'}, each example once.

    Returns:
      {'loss': float, 'accuracy': float, 'confusion': int [K, K]}, and the
      probabilities [N, K] in the examples' order.
    """
    batch_metrics, probabilities = [], []
    for batch in batches:
        metrics, batch_probabilities = eval_step(params, batch)
        batch_metrics.append(metrics)
        probabilities.append(np.asarray(batch_probabilities)[np.asarray(batch["mask"])])
    total = functools.reduce(Metrics.merge, batch_metrics).compute()
    confusion = np.asarray(total["confusion"])
    values = {
        "loss": float(total["loss"]),
        "accuracy": float(confusion.trace() / confusion.sum()),  # exact
        "confusion": confusion,
    }
    return values, np.concatenate(probabilities)
