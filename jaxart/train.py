"""Fine-tuning: `train_and_evaluate`, to be read top to bottom."""

import contextlib
import functools
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array
from ml_collections import ConfigDict
from tqdm import tqdm

from jaxart import checkpoint, inputs, network, optim, results, summaries, writers
from jaxart import config as config_lib
from jaxart.data import pipeline
from jaxart.metrics import NUM_BUCKETS, Metrics, bucketed, cross_entropy, masked_mean
from jaxart.models import CaffeNet
from jaxart.models.layers import frozen_boundary, trainable

logger = logging.getLogger(__name__)


class TrainState(NamedTuple):
    """What a training step takes and gives back."""

    step: Array
    params: Any
    opt_state: Any


def train_and_evaluate(
    config: ConfigDict, workdir: str | os.PathLike
) -> dict[str, Any]:
    """Fine-tunes a network, evaluates it, and leaves everything in `workdir`.

    A workdir that holds an unfinished run of the same config is resumed.

    Args:
      config: see `jaxart.config.base_config`.
      workdir: gets config.json, checkpoints/, event files, predictions.csv,
        skipped.csv and result.json.

    Returns:
      What result.json holds.

    Raises:
      ValueError: the config, the data or the weights cannot be used; the message
        names the file, the value and the choices.
      FloatingPointError: the loss is no longer finite.
    """
    config_lib.check(config)
    plain_config = json.loads(config.to_json())
    workdir = Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    checkpoints = checkpoint.Checkpoints(workdir)
    checkpoints.check_config(plain_config)

    # One axis over all devices: batches are split, parameters are on each.
    mesh = Mesh(np.array(jax.devices()), ("data",))
    split = NamedSharding(mesh, PartitionSpec("data"))
    replicated = NamedSharding(mesh, PartitionSpec())
    logger.info("JAX runs on %s: %d device(s)", jax.default_backend(), mesh.size)
    if config.batch_size % mesh.size:
        raise ValueError(
            f"batch_size={config.batch_size} does not divide by {mesh.size} devices"
        )

    # The examples, then the network with its pretrained parameters.
    train, val = inputs.read_examples(
        config.train_data,
        config.val_data,
        num_classes=config.num_classes,
        image_root=config.image_root,
        val_fraction=config.val_fraction,
        seed=config.seed,
        workdir=workdir,
    )
    init_key, dropout_key = jax.random.split(jax.random.key(config.seed))
    model, params = network.build(
        config.model,
        num_classes=config.num_classes,
        hidden=config.hidden,
        dropout_rate=config.dropout_rate,
        weights=config.weights,
        train_layers=config.train_layers,
        key=init_key,
    )
    layers = model.layers()
    optim.check_train_layers(config.train_layers, trainable(layers))
    params = jax.device_put(params, replicated)
    logger.info("%s", network.overview(params, config.train_layers))

    # What the trained part is fed: images, or what the frozen layers make of them.
    boundary = frozen_boundary(layers, config.train_layers) if config.cache else None

    def compute_inputs(paths):
        files = pipeline.ImageFiles(paths, config.resize, model.preprocessing)
        sizes = {"batch_size": config.batch_size, "num_workers": config.num_workers}
        if boundary is None:
            return inputs.whole_images(files, **sizes)
        return inputs.frozen_features(
            files,
            model,
            params,
            boundary,
            cache_dir=config.cache_dir,
            sharding=split,
            **sizes,
        )

    start = time.perf_counter()
    data = inputs.prepare(
        train,
        val,
        compute_inputs=compute_inputs,
        max_skipped_fraction=config.max_skipped_fraction,
        workdir=workdir,
    )
    input_seconds = time.perf_counter() - start
    make_batches = functools.partial(
        pipeline.batches,
        data.inputs,
        data.labels,
        batch_size=config.batch_size,
        num_workers=0 if boundary else config.num_workers,
    )
    steps_per_epoch = -(-len(data.train) // config.batch_size)
    network_facts = network.describe(model) | {"classes": data.class_names}
    results.write_json(
        workdir / "config.json", plain_config | {"network": network_facts}
    )

    # The optimizer, now that the pretrained parameters are in place.
    schedule = optim.make_schedule(
        config.schedule,
        config.learning_rate,
        warmup_steps=round(config.warmup_epochs * steps_per_epoch),
        num_steps=config.num_epochs * steps_per_epoch,
    )
    labels = optim.label_layers(params, config.train_layers)
    tx = optim.make_optimizer(
        config.optimizer,
        schedule,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        labels=labels,
    )
    state = TrainState(jnp.int32(0), params, tx.init(params))
    state = jax.device_put(state, replicated)

    # Where an earlier run in this workdir stopped.
    progress = checkpoint.Progress()
    if checkpoints.latest_step is not None:
        progress, params, opt_state = checkpoints.restore(state.params, state.opt_state)
        step = jax.device_put(jnp.int32(progress.step), replicated)
        state = TrainState(step, params, opt_state)
        logger.info(
            "Resuming %s after epoch %d of %d",
            workdir,
            progress.step // steps_per_epoch,
            config.num_epochs,
        )

    put = functools.partial(jax.device_put, device=split)
    train_step = make_train_step(model, tx, labels, boundary, dropout_key)
    eval_step = make_eval_step(
        lambda params, x: model.apply({"params": params}, x, after=boundary)
    )
    train_batches = make_batches(
        data.train,
        seed=config.seed,
        num_epochs=config.num_epochs,
        first_batch=progress.step,
    )

    def val_batches():
        return map(put, make_batches(data.val))

    losses = []  # of the steps since the last look, still on the device
    with (
        contextlib.closing(writers.create_writer(config.writer, workdir)) as writer,
        tqdm(
            total=len(data.train) * config.num_epochs,
            initial=len(data.train) * (progress.step // steps_per_epoch),
            desc="training",
            unit="img",
        ) as bar,
    ):
        summaries.write_config(writer, plain_config)
        start = time.perf_counter() - progress.train_seconds
        for step, batch in enumerate(train_batches, start=progress.step + 1):
            is_display = step % config.display_step == 0
            is_epoch_end = step % steps_per_epoch == 0
            state, logs = train_step(state, put(batch), is_display)
            losses.append(logs["loss"])
            bar.update(int(batch["mask"].sum()))

            if is_display or is_epoch_end:
                check_finite(losses, step, schedule)
                losses.clear()
            if is_display:
                summaries.write_training(writer, step, logs, float(schedule(step - 1)))
                bar.set_postfix(
                    loss=f"{logs['loss']:.4f}", accuracy=f"{logs['accuracy']:.3f}"
                )
            if is_epoch_end:
                epoch = step // steps_per_epoch
                metrics, _ = evaluate(eval_step, state.params, val_batches())
                summaries.write_validation(writer, step, metrics, data.class_names)
                logger.info(
                    "epoch %d: validation accuracy %.4f, loss %.4f",
                    epoch,
                    metrics["accuracy"],
                    metrics["loss"],
                )
                is_last = epoch == config.num_epochs
                if is_last or epoch % config.checkpoint_every_epochs == 0:
                    progress = checkpoint.Progress(step, time.perf_counter() - start)
                    checkpoints.save(
                        progress,
                        state.params,
                        state.opt_state,
                        config=plain_config,
                        metrics={name: metrics[name] for name in ("accuracy", "loss")},
                    )
                writer.flush()

    # The outcome: the best epoch's, and beside it what the last one reached.
    params = checkpoints.restore_best(state.params)
    metrics, probabilities = evaluate(eval_step, params, val_batches())
    results.write_predictions(
        workdir / "predictions.csv",
        [data.names[i] for i in data.val],
        data.labels[data.val],
        probabilities,
        data.class_names,
    )
    num_correct = int(metrics["confusion"].trace())
    epochs = progress.step // steps_per_epoch
    result = {
        "val_accuracy": metrics["accuracy"],
        "val_accuracy_ci95": results.wilson_interval(num_correct, len(data.val)),
        "val_loss": metrics["loss"],
        "best_epoch": checkpoints.best_step // steps_per_epoch,
        "last_val_accuracy": checkpoints.metrics(progress.step)["accuracy"],
        "num_train": len(data.train),
        "num_val": len(data.val),
        "num_skipped": data.num_skipped,
        "steps": progress.step,
        "epochs": epochs,
        "input_seconds": input_seconds,
        "train_seconds": progress.train_seconds,
        "images_per_second": len(data.train) * epochs / progress.train_seconds,
        "param_count": network.count(params),
        "trained_param_count": network.count(
            optim.only_trained(params, config.train_layers)
        ),
        "jax_backend": jax.default_backend(),
    }
    results.write_json(workdir / "result.json", result)
    checkpoints.close()
    return result


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

    @functools.partial(jax.jit, donate_argnums=0)
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

    @jax.jit
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


def check_finite(losses: list[Array], last_step: int, schedule: optax.Schedule) -> None:
    """Stops a run whose loss has become infinite or not a number.

    Args:
      losses: of the last steps.
      last_step: number of the last of them.
      schedule: learning rate by step.

    Raises:
      FloatingPointError: names the step, the learning rate and what to try.
    """
    finite = np.isfinite(jax.device_get(losses))
    if not finite.all():
        first = int(np.argmin(finite))
        step = last_step - len(losses) + 1 + first
        raise FloatingPointError(
            f"the loss is {float(losses[first])} at step {step}, with learning rate "
            f"{float(schedule(step - 1)):.3g}. Try a tenth of --config.learning_rate, "
            "--config.warmup_epochs=1, or less --config.momentum; and make sure that "
            "the weights file has the channel order that its images had."
        )
