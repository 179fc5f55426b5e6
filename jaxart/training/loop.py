"""Fine-tuning: `train_and_evaluate`, to be read top to bottom."""

import os
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import scipy.special
from ml_collections import ConfigDict

from jaxart import runs
from jaxart.data import predictions, temperature
from jaxart.devices import preemption, processes
from jaxart.storage import results
from jaxart.training import log, network, optim, versions
from jaxart.training.config import Config
from jaxart.training.feed import Feed, make_feed
from jaxart.training.plan import Plan
from jaxart.training.run import Run, opened_run
from jaxart.training.sides import read_sides
from jaxart.training.steps import TrainState, evaluate, make_eval_step, make_train_step


def train_and_evaluate(
    config: ConfigDict, workdir: str | os.PathLike
) -> dict[str, Any]:
    """Fine-tunes a network, evaluates it, and leaves everything in `workdir`.

    A workdir that holds an unfinished run of the same config is resumed, on whatever
    devices there are now. In a run of several processes each calls this; the first
    alone writes files, apart from checkpoints and features. Where the command is asked
    to stop, `devices.stopping`, it ends after a step, with a checkpoint.

    Args:
      config: see `jaxart.training.config.base_config`.
      workdir: gets config.json, training_images.csv, checkpoints/, frozen/, event
        files, predictions.csv, skipped.csv, leaks.csv, sessions.json and result.json,
        which holds what is returned.

    Raises:
      BusyError: another process trains in `workdir`.
      ValueError: the config, the data or the weights cannot be used; the message
        names the file, the value and the choices.
      FloatingPointError: the loss is no longer finite.
      Stopped: the command was asked to stop.
    """
    with opened_run(Config.of(config), workdir) as run:
        return _train(run)


def _train(run: Run) -> dict[str, Any]:
    sides = read_sides(run)
    class_names = sides.train.class_names
    run = run.of_classes(len(class_names))
    init_key, dropout_key = jax.random.split(jax.random.key(run.config.seed))
    model, params = network.build(run.config, init_key)
    run.layout.check_split(params)
    feed = make_feed(run, sides, model, params)
    plan = Plan(run.config, len(feed.data.train))
    run.write_config(network.describe(model) | {"classes": class_names})

    # The optimizer, now that the pretrained parameters are in place.
    tx = optim.make_optimizer(run.config, plan)
    state = run.layout.put(TrainState(jnp.int32(0), params, tx.init(params)))
    del params
    state, progress = run.restore_or_begin(plan, state)

    def logits_fn(params, inputs, dropout_keys=None):
        # The inputs are the boundary's activations, or images where it is None.
        return model.apply(
            {"params": params}, inputs, after=feed.boundary, dropout_keys=dropout_keys
        )

    train_step = make_train_step(run.config, logits_fn, tx, dropout_key, run.layout)
    eval_step = make_eval_step(logits_fn, run.layout)
    stops = preemption.Agreement(run.layout)
    with log.opened(run, plan, class_names, progress.step) as board:
        start = time.perf_counter() - progress.train_seconds
        for step, batch in feed.train_batches(progress.step):
            state, logs = train_step(state, batch, plan.shows(step))
            board.step(step, logs)
            stop = stops.after_step() if step < plan.num_steps else 0
            metrics = {}
            if plan.ends_epoch(step):
                metrics, _ = evaluate(eval_step, state.params, feed.val_batches())
                board.epoch(step, metrics)
            if plan.saves(step) or stop:
                board.flush()  # a run that goes on after this step has its curves
                seconds = time.perf_counter() - start
                progress = runs.Progress(step, seconds, plan.num_train)
                run.save(progress, state, metrics)
            if stop:
                run.stop(step, stop)
    return conclude(feed, plan, progress, state.params, eval_step)


def conclude(
    feed: Feed, plan: Plan, progress: runs.Progress, params: Any, eval_step: Callable
) -> dict[str, Any]:
    """The outcome: the best epoch's, and beside it what the last one reached.

    Writes predictions.csv and result.json.
    """
    run, data = feed.run, feed.data
    checkpoints, train_layers = run.checkpoints, run.config.train_layers
    best_step, trained = checkpoints.restore_best_trained(params, train_layers)
    params = params | trained
    metrics, logits = evaluate(eval_step, params, feed.val_batches())
    val = data.val[metrics["seen"]]
    num_skipped = data.num_skipped + feed.list_failures()
    if processes.is_first():
        predictions.write_predictions(
            run.workdir / "predictions.csv",
            [data.names[i] for i in val],
            data.labels[val],
            scipy.special.softmax(logits, axis=1),
            data.class_names,
        )
    num_correct = int(metrics["confusion"].trace())
    epochs = plan.epoch(progress.step)
    result = {
        "val_accuracy": metrics["accuracy"],
        "val_accuracy_ci95": predictions.wilson_interval(num_correct, len(val)),
        "val_loss": metrics["loss"],
        "temperature": temperature.fit(logits, data.labels[val]),
        "best_epoch": plan.epoch(best_step),
        "last_val_accuracy": checkpoints.metrics(progress.step)["accuracy"],
        "num_train": plan.num_train,
        "num_val": len(val),
        "num_skipped": num_skipped,
        "leaks": data.leaks,
        "steps": progress.step,
        "epochs": epochs,
        "input_seconds": feed.seconds,
        "train_seconds": progress.train_seconds,
        "images_per_second": plan.num_train * epochs / progress.train_seconds,
        "param_count": optax.tree.size(params),
        "trained_param_count": optax.tree.size(
            optim.only_trained(params, train_layers)
        ),
        "jax_backend": jax.default_backend(),
        "devices": jax.device_count(),
        "processes": processes.count(),
        "versions": versions.installed(),
    }
    if processes.is_first():
        results.write_json(run.workdir / "result.json", result)
    return result
