"""Fine-tuning: `train_and_evaluate`, to be read top to bottom."""

import contextlib
import functools
import json
import logging
import os
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import platformdirs
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array
from ml_collections import ConfigDict
from tqdm import tqdm

from jaxart import (
    checkpoint,
    inputs,
    leaks,
    network,
    optim,
    results,
    storage,
    summaries,
    writers,
)
from jaxart import config as config_lib
from jaxart.data import pipeline
from jaxart.models.layers import frozen_boundary, trainable
from jaxart.steps import TrainState, evaluate, make_eval_step, make_train_step

logger = logging.getLogger(__name__)


def train_and_evaluate(
    config: ConfigDict, workdir: str | os.PathLike
) -> dict[str, Any]:
    """Fine-tunes a network, evaluates it, and leaves everything in `workdir`.

    A workdir that holds an unfinished run of the same config is resumed.

    Args:
      config: see `jaxart.config.base_config`.
      workdir: gets config.json, checkpoints/, frozen/, event files, predictions.csv,
        skipped.csv, leaks.csv and result.json.

    Returns:
      What result.json holds.

    Raises:
      ValueError: the config, the data or the weights cannot be used; the message
        names the file, the value and the choices.
      FloatingPointError: the loss is no longer finite.
    """
    config_lib.check(config)
    plain_config = json.loads(config.to_json())
    workdir = storage.path(workdir)
    checkpoint.folder_of(workdir)  # before anything is written
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
    cache_dir = storage.require_local(
        config.cache_dir or platformdirs.user_cache_path("jaxart") / "features",
        "cache_dir",
    )
    found_leaks = None
    if config.check_leaks and config.train_data != inputs.PROCEDURAL:
        found_leaks = leaks.find(train, val, store=cache_dir, workdir=workdir)
    init_key, dropout_key = jax.random.split(jax.random.key(config.seed))
    model, params = network.build(
        config.model,
        num_classes=config.num_classes,
        hidden=config.hidden,
        dropout_rate=config.dropout_rate,
        compute_dtype=config.compute_dtype,
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

    def compute_inputs(paths, views):
        files = pipeline.ImageFiles(paths, config.resize, model.preprocessing, views)
        sizes = {"batch_size": config.batch_size, "num_workers": config.num_workers}
        if boundary is None:
            return inputs.whole_images(files, **sizes)
        return inputs.frozen_features(
            files,
            model,
            params,
            boundary,
            cache_dir=cache_dir,
            sharding=split,
            **sizes,
        )

    start = time.perf_counter()
    data = inputs.prepare(
        train,
        val,
        views=config.views,
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
    num_train = len(data.train)
    steps_per_epoch = -(-num_train // config.batch_size)
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
    progress = checkpoint.Progress(0, 0.0, num_train)
    if checkpoints.latest_step is not None:
        progress, params, opt_state = checkpoints.restore(
            state.params,
            state.opt_state,
            train_layers=config.train_layers,
            num_train=num_train,
        )
        step = jax.device_put(jnp.int32(progress.step), replicated)
        state = TrainState(step, params, opt_state)
        logger.info(
            "Resuming %s after epoch %d of %d",
            workdir,
            progress.step // steps_per_epoch,
            config.num_epochs,
        )
    else:
        checkpoints.save_frozen(optim.only_frozen(state.params, config.train_layers))

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
            total=num_train * config.num_epochs,
            initial=num_train * (progress.step // steps_per_epoch),
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
                    seconds = time.perf_counter() - start
                    progress = checkpoint.Progress(step, seconds, num_train)
                    checkpoints.save(
                        progress,
                        optim.only_trained(state.params, config.train_layers),
                        state.opt_state,
                        config=plain_config,
                        metrics={name: metrics[name] for name in ("accuracy", "loss")},
                    )
                writer.flush()

    # The outcome: the best epoch's, and beside it what the last one reached.
    params = state.params | checkpoints.restore_best_trained(
        state.params, config.train_layers
    )
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
        "num_train": num_train,
        "num_val": len(data.val),
        "num_skipped": data.num_skipped,
        "leaks": found_leaks,
        "steps": progress.step,
        "epochs": epochs,
        "input_seconds": input_seconds,
        "train_seconds": progress.train_seconds,
        "images_per_second": num_train * epochs / progress.train_seconds,
        "param_count": network.count(params),
        "trained_param_count": network.count(
            optim.only_trained(params, config.train_layers)
        ),
        "jax_backend": jax.default_backend(),
    }
    results.write_json(workdir / "result.json", result)
    checkpoints.close()
    return result


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
