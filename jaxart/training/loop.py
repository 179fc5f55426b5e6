"""Fine-tuning: `train_and_evaluate`, to be read top to bottom."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array
from ml_collections import ConfigDict

from jaxart import runs, storage
from jaxart.data import files, pipeline, predictions
from jaxart.data.examples import Examples
from jaxart.data.files import File
from jaxart.devices import layout as layout_lib
from jaxart.devices import processes
from jaxart.devices.layout import Layout
from jaxart.models import Network
from jaxart.models.layers import frozen_boundary, trainable
from jaxart.storage import AnyPath, results
from jaxart.training import inputs, leaks, log, network, optim, summaries, writers
from jaxart.training.config import Config
from jaxart.training.plan import Plan
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
    run = open_run(Config.of(config), workdir)
    config = run.config
    sides = read_sides(run)
    init_key, dropout_key = jax.random.split(jax.random.key(config.seed))
    model, params = build_network(run, init_key)
    feed = make_feed(run, sides, model, params)
    plan = make_plan(run, len(feed.data.train))
    run.write_config(network.describe(model) | {"classes": feed.data.class_names})

    # The optimizer, now that the pretrained parameters are in place.
    schedule = make_schedule(run, plan)
    labels = optim.label_layers(params, config.train_layers)
    tx = optim.make_optimizer(
        config.optimizer,
        schedule,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        labels=labels,
    )
    state = run.layout.put(TrainState(jnp.int32(0), params, tx.init(params)))
    del params
    state, progress = restore_or_begin(run, plan, state)

    train_step = make_train_step(
        model,
        tx,
        labels,
        feed.boundary,
        dropout_key,
        layout=run.layout,
        accumulate_steps=config.accumulate_steps,
    )
    eval_step = make_eval_step(
        lambda p, x: model.apply({"params": p}, x, after=feed.boundary), run.layout
    )
    is_first = processes.is_first()
    writer = writers.create_writer(config.writer, run.workdir, to_disk=is_first)
    with log.opened(
        writer,
        plan,
        progress.step,
        schedule,
        feed.data.class_names,
        quiet=not is_first,
    ) as board:
        summaries.write_config(writer, config.to_dict())
        start = time.perf_counter() - progress.train_seconds
        for step, batch in feed.train_batches(progress.step):
            state, logs = train_step(state, batch, plan.shows(step))
            board.step(step, logs)
            if plan.ends_epoch(step):
                metrics, _ = evaluate(eval_step, state.params, feed.val_batches())
                board.epoch(step, metrics)
                if plan.saves(step):
                    seconds = time.perf_counter() - start
                    progress = runs.Progress(step, seconds, plan.num_train)
                    run.save(progress, state, metrics)
                board.flush()
    return conclude(run, plan, sides, feed, progress, state.params, eval_step)


class Run(NamedTuple):
    """A run's folder, what it is of, and the devices that it is on."""

    config: Config
    workdir: AnyPath
    checkpoints: runs.Checkpoints
    layout: Layout  # batches are split over all devices of all processes

    @property
    def forward_size(self) -> int:
        """Images that run at once, with or without gradients."""
        return self.config.batch_size // self.config.accumulate_steps

    @property
    def cache_dir(self) -> Path:
        """Where is kept what the next run need not compute."""
        cache_dir = self.config.cache_dir or files.default_cache_dir()
        return storage.require_local(storage.path(cache_dir), "cache_dir")

    def write_config(self, network_facts: Mapping[str, Any]) -> None:
        """Writes config.json, with what it takes to build the network again."""
        if processes.is_first():
            content = self.config.to_dict() | {"network": network_facts}
            results.write_json(self.workdir / "config.json", content)

    def save(
        self, progress: runs.Progress, state: TrainState, metrics: Mapping[str, Any]
    ) -> None:
        """Saves a checkpoint, while training goes on."""
        self.checkpoints.save(
            progress,
            optim.only_trained(state.params, self.config.train_layers),
            state.opt_state,
            config=self.config.to_dict(),
            metrics={name: metrics[name] for name in ("accuracy", "loss")},
        )


def open_run(config: Config, workdir: str | os.PathLike) -> Run:
    """Opens a run's folder: a new one, or that of the same run.

    Raises:
      ValueError: the workdir cannot be used, or belongs to another run.
    """
    fields = config.to_dict()
    processes.check_same({"config": fields, "workdir": os.fspath(workdir)})
    workdir = storage.path(workdir)
    runs.folder_of(workdir)  # before anything is written
    workdir.mkdir(parents=True, exist_ok=True)
    processes.check_shared(workdir, "workdir")
    checkpoints = runs.Checkpoints(workdir)
    checkpoints.check_config(fields)

    layout = layout_lib.over_all_devices(config.model_axis)
    logger.info(
        "JAX runs on %s: %d device(s) of %d process(es)",
        jax.default_backend(),
        jax.device_count(),
        processes.count(),
    )
    layout.check_batch_size(config.batch_size, config.accumulate_steps)
    return Run(config, workdir, checkpoints, layout)


class Sides(NamedTuple):
    """Training and validation examples, and what was found of their files."""

    train: Examples
    val: Examples
    looked: list[File]  # of the training files, then of the validation files
    leaks: dict[str, int] | None  # how many, by kind; None where nobody looked


def read_sides(run: Run) -> Sides:
    """Reads the lists, looks at every file once, and for leaks between the sides."""
    config = run.config
    train, val = inputs.read_examples(
        config.train_data,
        config.val_data,
        num_classes=config.num_classes,
        image_root=config.image_root,
        val_fraction=config.val_fraction,
        seed=config.seed,
        workdir=run.workdir,
    )
    looked = inputs.look(train, val, run.cache_dir)
    found = None
    if (
        config.check_leaks
        and config.train_data != inputs.PROCEDURAL
        and processes.is_first()
    ):
        found = leaks.find(train, val, files=looked, workdir=run.workdir)
    return Sides(train, val, looked, found)


def build_network(run: Run, key: Array) -> tuple[Network, Any]:
    """The network and its parameters: pretrained, where there are weights."""
    config = run.config
    model, params = network.build(
        config.model,
        num_classes=config.num_classes,
        hidden=config.hidden,
        dropout_rate=config.dropout_rate,
        compute_dtype=config.compute_dtype,
        weights=config.weights,
        train_layers=config.train_layers,
        key=key,
    )
    optim.check_train_layers(config.train_layers, trainable(model.layers()))
    run.layout.check_split(params)
    logger.info("%s", network.overview(params, config.train_layers))
    return model, params


class Feed(NamedTuple):
    """What the trained part of the network is fed, batch by batch."""

    run: Run
    data: inputs.Data
    boundary: str | None  # the last frozen layer, where its activations are fed
    seconds: float  # that it took to make them

    def train_batches(self, first_step: int) -> Iterator[tuple[int, Mapping]]:
        """The steps after `first_step`, each with its batch on the devices."""
        batches = self._batches(
            self.data.train,
            self.run.config.batch_size,
            seed=self.run.config.seed,
            num_epochs=self.run.config.num_epochs,
            first_batch=first_step,
        )
        return enumerate(map(self.run.layout.put_batch, batches), first_step + 1)

    def val_batches(self) -> Iterator[Mapping]:
        """Every validation example once, on the devices."""
        batches = self._batches(self.data.val, self.run.forward_size)
        return map(self.run.layout.put_batch, batches)

    def _batches(self, indices: Any, batch_size: int, **order: int) -> Iterable:
        return pipeline.batches(
            self.data.inputs,
            self.data.labels,
            indices,
            batch_size=batch_size,
            rows=self.run.layout.own_rows(batch_size),
            num_workers=0 if self.boundary else self.run.config.num_workers,
            **order,
        )


def make_feed(run: Run, sides: Sides, model: Network, params: Any) -> Feed:
    """Images, or what the frozen layers make of them, computed once."""
    config = run.config
    layers = model.layers()
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
            layout=run.layout,
            cache_dir=run.cache_dir,
            batch_size=run.forward_size // processes.count(),
        )

    start = time.perf_counter()
    data = inputs.prepare(
        sides.train,
        sides.val,
        looked=sides.looked,
        views=config.views,
        compute_inputs=compute_inputs,
        max_skipped_fraction=config.max_skipped_fraction,
        workdir=run.workdir,
    )
    return Feed(run, data, boundary, time.perf_counter() - start)


def make_plan(run: Run, num_train: int) -> Plan:
    """When things happen."""
    config = run.config
    return Plan(
        num_train,
        config.batch_size,
        config.num_epochs,
        config.display_step,
        config.checkpoint_every_epochs,
    )


def make_schedule(run: Run, plan: Plan) -> optax.Schedule:
    """The learning rate by step."""
    return optim.make_schedule(
        run.config.schedule,
        run.config.learning_rate,
        warmup_steps=round(run.config.warmup_epochs * plan.steps_per_epoch),
        num_steps=plan.num_steps,
    )


def restore_or_begin(
    run: Run, plan: Plan, state: TrainState
) -> tuple[TrainState, runs.Progress]:
    """The state where an earlier run in this workdir stopped; or this one."""
    checkpoints, train_layers = run.checkpoints, run.config.train_layers
    if checkpoints.latest_step is None:
        checkpoints.save_frozen(optim.only_frozen(state.params, train_layers))
        return state, runs.Progress(0, 0.0, plan.num_train)
    progress, params, opt_state = checkpoints.restore(
        state.params,
        state.opt_state,
        train_layers=train_layers,
        num_train=plan.num_train,
    )
    logger.info(
        "Resuming %s after epoch %d of %d",
        run.workdir,
        plan.epoch(progress.step),
        plan.num_epochs,
    )
    step = run.layout.put(jnp.int32(progress.step))
    return TrainState(step, params, opt_state), progress


def conclude(
    run: Run,
    plan: Plan,
    sides: Sides,
    feed: Feed,
    progress: runs.Progress,
    params: Any,
    eval_step: Callable,
) -> dict[str, Any]:
    """The outcome: the best epoch's, and beside it what the last one reached.

    Writes predictions.csv and result.json.
    """
    data, checkpoints = feed.data, run.checkpoints
    train_layers = run.config.train_layers
    params = params | checkpoints.restore_best_trained(params, train_layers)
    metrics, probabilities = evaluate(eval_step, params, feed.val_batches())
    if processes.is_first():
        predictions.write_predictions(
            run.workdir / "predictions.csv",
            [data.names[i] for i in data.val],
            data.labels[data.val],
            probabilities,
            data.class_names,
        )
    num_correct = int(metrics["confusion"].trace())
    epochs = plan.epoch(progress.step)
    result = {
        "val_accuracy": metrics["accuracy"],
        "val_accuracy_ci95": predictions.wilson_interval(num_correct, len(data.val)),
        "val_loss": metrics["loss"],
        "best_epoch": plan.epoch(checkpoints.best_step),
        "last_val_accuracy": checkpoints.metrics(progress.step)["accuracy"],
        "num_train": plan.num_train,
        "num_val": len(data.val),
        "num_skipped": data.num_skipped,
        "leaks": sides.leaks,
        "steps": progress.step,
        "epochs": epochs,
        "input_seconds": feed.seconds,
        "train_seconds": progress.train_seconds,
        "images_per_second": plan.num_train * epochs / progress.train_seconds,
        "param_count": network.count(params),
        "trained_param_count": network.count(optim.only_trained(params, train_layers)),
        "jax_backend": jax.default_backend(),
        "devices": jax.device_count(),
        "processes": processes.count(),
    }
    if processes.is_first():
        results.write_json(run.workdir / "result.json", result)
    checkpoints.close()
    return result
