"""A run: its folder, what it is of, and the devices that it is on."""

import dataclasses
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxart import runs, storage
from jaxart.data import files
from jaxart.devices import layout as layout_lib
from jaxart.devices import processes
from jaxart.devices.layout import Layout
from jaxart.storage import AnyPath, results
from jaxart.training import optim, writers
from jaxart.training.config import Config
from jaxart.training.plan import Plan
from jaxart.training.steps import TrainState

logger = logging.getLogger(__name__)


class Run(NamedTuple):
    """What the pieces of a training share; one that is ready is from `open_run`."""

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

    def of_classes(self, num_classes: int) -> "Run":
        """The run, once it is known how many classes its data has.

        Raises:
          ResumeError: the workdir holds a run of another number.
        """
        config = dataclasses.replace(self.config, num_classes=num_classes)
        self.checkpoints.check_config(config.to_dict())
        return self._replace(config=config)

    def write_config(self, network_facts: Mapping[str, Any]) -> None:
        """Writes config.json, with what it takes to build the network again.

        Raises:
          ResumeError: the workdir holds a run of other classes, or in another order.
        """
        path = self.workdir / "config.json"
        if self.checkpoints.latest_step is not None and path.is_file():
            known = json.loads(path.read_text(encoding="utf-8")).get("network", {})
            classes = list(network_facts["classes"])
            before = known.get("classes", classes)
            if before != classes:
                raise runs.ResumeError(
                    f"{self.workdir} holds a run of the classes {', '.join(before)}; "
                    f"this one has {', '.join(classes)}, in this order. Choose another "
                    "--workdir"
                )
        if processes.is_first():
            content = self.config.to_dict() | {"network": network_facts}
            results.write_json(path, content)

    def restore_or_begin(
        self, plan: Plan, state: TrainState
    ) -> tuple[TrainState, runs.Progress]:
        """The state where an earlier run in this workdir stopped; or this one."""
        train_layers = self.config.train_layers
        if self.checkpoints.latest_step is None:
            frozen = optim.only_frozen(state.params, train_layers)
            self.checkpoints.save_frozen(frozen)
            return state, runs.Progress(0, 0.0, plan.num_train)
        progress, params, opt_state = self.checkpoints.restore(
            state.params,
            state.opt_state,
            train_layers=train_layers,
            num_train=plan.num_train,
        )
        logger.info(
            "Resuming %s after epoch %d of %d",
            self.workdir,
            plan.epoch(progress.step),
            self.config.num_epochs,
        )
        step = self.layout.put(jnp.int32(progress.step))
        return TrainState(step, params, opt_state), progress

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
      ModuleNotFoundError: the writer's package is not installed.
    """
    writers.check_installed(config.writer)
    fields = config.to_dict()
    processes.check_same({"config": fields, "workdir": os.fspath(workdir)})
    workdir = storage.path(workdir)
    runs.folder_of(workdir)  # before anything is written
    workdir.mkdir(parents=True, exist_ok=True)
    processes.check_shared(workdir, "workdir")
    checkpoints = runs.Checkpoints(workdir)
    if not config.num_classes:  # the data will say
        del fields["num_classes"]
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
