"""Fine-tuning: `train_and_evaluate`, to be read top to bottom."""

import contextlib
import json
import logging
import os
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array
from ml_collections import ConfigDict
from tqdm import tqdm

from jaxart import runs, storage
from jaxart.data import files, pipeline
from jaxart.devices import layout as layout_lib
from jaxart.devices import processes
from jaxart.models.layers import frozen_boundary, trainable
from jaxart.storage import results
from jaxart.training import config as config_lib
from jaxart.training import (
    inputs,
    leaks,
    network,
    optim,
    summaries,
    writers,
)
from jaxart.training.steps import TrainState, evaluate, make_eval_step, make_train_step

logger = logging.getLogger(__name__)


def train_and_evaluate(
    config: ConfigDict, workdir: str | os.PathLike
) -> dict[str, Any]:
    """Fine-tunes a network, evaluates it, and leaves everything in `workdir`.

    A workdir that holds an unfinished run of the same config is resumed, on whatever
    devices there are now. In a run of several processes each calls this; the first
    alone writes files, apart from checkpoints and features.

    Args:
      config: see `jaxart.training.config.base_config`.
      workdir: gets config.json, checkpoints/, frozen/, event files, predictions.csv,
        skipped.csv, leaks.csv and result.json, which holds what is returned.

    Raises:
      ValueError: the config, the data or the weights cannot be used; the message
        names the file, the value and the choices.
      FloatingPointError: the loss is no longer finite.
    """
    config_lib.check(config)
    plain_config = json.loads(config.to_json())
    processes.check_same({"config": plain_config, "workdir": os.fspath(workdir)})
    workdir = storage.path(workdir)
    runs.folder_of(workdir)  # before anything is written
    workdir.mkdir(parents=True, exist_ok=True)
    processes.check_shared(workdir, "workdir")
    checkpoints = runs.Checkpoints(workdir)
    checkpoints.check_config(plain_config)

    # Batches are split over all devices of all processes, and each loads its rows.
    layout = layout_lib.over_all_devices(config.model_axis)
    logger.info(
        "JAX runs on %s: %d device(s) of %d process(es)",
        jax.default_backend(),
        jax.device_count(),
        processes.count(),
    )
    layout.check_batch_size(config.batch_size, config.accumulate_steps)
    # What runs at once, with or without gradients.
    forward_size = config.batch_size // config.accumulate_steps
    is_first = processes.is_first()

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
        config.cache_dir or files.default_cache_dir(), "cache_dir"
    )
    looked = inputs.look(train, val, cache_dir)
    found_leaks = None
    if config.check_leaks and config.train_data != inputs.PROCEDURAL and is_first:
        found_leaks = leaks.find(train, val, files=looked, workdir=workdir)
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
    layout.check_split(params)
    logger.info("%s", network.overview(params, config.train_layers))

    # What the trained part is fed: images, or what the frozen layers make of them.
    boundary = frozen_boundary(layers, config.train_layers) if config.cache else None

    def compute_inputs(paths, views, contents):
        pictures = pipeline.ImageFiles(paths, config.resize, model.preprocessing, views)
        if boundary is None:
            return pictures, [""] * len(paths)
        return inputs.frozen_features(
            pictures,
            contents,
            model,
            params,
            boundary,
            layout=layout,
            cache_dir=cache_dir,
            batch_size=forward_size // processes.count(),
        )

    start = time.perf_counter()
    data = inputs.prepare(
        train,
        val,
        looked=looked,
        views=config.views,
        compute_inputs=compute_inputs,
        max_skipped_fraction=config.max_skipped_fraction,
        workdir=workdir,
    )
    input_seconds = time.perf_counter() - start

    def make_batches(indices, batch_size, **order):
        return pipeline.batches(
            data.inputs,
            data.labels,
            indices,
            batch_size=batch_size,
            rows=layout.own_rows(batch_size),
            num_workers=0 if boundary else config.num_workers,
            **order,
        )

    num_train = len(data.train)
    steps_per_epoch = -(-num_train // config.batch_size)
    network_facts = network.describe(model) | {"classes": data.class_names}
    if is_first:
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
    state = layout.put(TrainState(jnp.int32(0), params, tx.init(params)))
    del params

    # Where an earlier run in this workdir stopped.
    progress = runs.Progress(0, 0.0, num_train)
    if checkpoints.latest_step is not None:
        progress, params, opt_state = checkpoints.restore(
            state.params,
            state.opt_state,
            train_layers=config.train_layers,
            num_train=num_train,
        )
        step = layout.put(jnp.int32(progress.step))
        state = TrainState(step, params, opt_state)
        logger.info(
            "Resuming %s after epoch %d of %d",
            workdir,
            progress.step // steps_per_epoch,
            config.num_epochs,
        )
    else:
        checkpoints.save_frozen(optim.only_frozen(state.params, config.train_layers))

    train_step = make_train_step(
        model,
        tx,
        labels,
        boundary,
        dropout_key,
        layout=layout,
        accumulate_steps=config.accumulate_steps,
    )
    eval_step = make_eval_step(
        lambda params, x: model.apply({"params": params}, x, after=boundary), layout
    )
    train_batches = make_batches(
        data.train,
        config.batch_size,
        seed=config.seed,
        num_epochs=config.num_epochs,
        first_batch=progress.step,
    )

    def val_batches():
        return map(layout.put_batch, make_batches(data.val, forward_size))

    losses = []  # of the steps since the last look, still on the device
    with (
        contextlib.closing(
            writers.create_writer(config.writer, workdir, to_disk=is_first)
        ) as writer,
        tqdm(
            total=num_train * config.num_epochs,
            initial=num_train * (progress.step // steps_per_epoch),
            desc="training",
            unit="img",
            disable=not is_first,
        ) as bar,
    ):
        summaries.write_config(writer, plain_config)
        start = time.perf_counter() - progress.train_seconds
        for step, batch in enumerate(train_batches, start=progress.step + 1):
            is_display = step % config.display_step == 0
            is_epoch_end = step % steps_per_epoch == 0
            state, logs = train_step(state, layout.put_batch(batch), is_display)
            losses.append(logs["loss"])
            start_row = (step - 1) % steps_per_epoch * config.batch_size
            bar.update(min(config.batch_size, num_train - start_row))

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
                    progress = runs.Progress(step, seconds, num_train)
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
    if is_first:
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
        "devices": jax.device_count(),
        "processes": processes.count(),
    }
    if is_first:
        results.write_json(workdir / "result.json", result)
    checkpoints.close()
    return result


def check_finite(losses: list[Array], last_step: int, schedule: optax.Schedule) -> None:
    """Stops a run whose loss, of the steps up to `last_step`, is no longer finite.

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
