"""A run: its folder, what it is of, and the devices that it is on."""

import contextlib
import dataclasses
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxart import runs, storage
from jaxart.data import files
from jaxart.devices import layout as layout_lib
from jaxart.devices import processes, stopping
from jaxart.devices.layout import Layout
from jaxart.passes import driver
from jaxart.storage import AnyPath, results
from jaxart.training import optim, resuming, writers
from jaxart.training.config import HELD, Config
from jaxart.training.plan import Plan
from jaxart.training.steps import TrainState

logger = logging.getLogger(__name__)


class Run(NamedTuple):
    """What the pieces of a training share; one that is ready is from `opened_run`."""

    config: Config
    workdir: AnyPath
    checkpoints: runs.Checkpoints
    layout: Layout  # batches are split over all devices of all processes
    saved: runs.Saved | None = None  # what the last checkpoint is of, if there is one

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
        resuming.check_fixed(self.saved, config.to_dict(), self.workdir)
        return self._replace(config=config)

    def write_config(self, network_facts: Mapping[str, Any]) -> None:
        """Writes config.json, with what it takes to build the network again.

        Raises:
          ResumeError: the workdir holds a run of other classes, or in another order.
        """
        path = self.workdir / "config.json"
        if self.saved is not None and path.is_file():
            known = results.read_json(path).get("network", {})
            classes = list(network_facts["classes"])
            before = known.get("classes", classes)
            if before != classes:
                raise resuming.ResumeError(
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
        restored = self.checkpoints.restore(
            state.params, state.opt_state, train_layers=train_layers
        )
        progress = runs.Progress(0, 0.0, plan.num_train)
        if restored is not None:
            progress, params, opt_state = restored
        if progress.num_train != plan.num_train:
            raise resuming.ResumeError(
                f"{self.workdir} holds a run on {progress.num_train} training images; "
                f"now there are {plan.num_train}. Choose another --workdir, or bring "
                "the old images back."
            )
        if progress.step < plan.num_steps and processes.is_first():
            resuming.write_session(self.workdir, self.config, progress.step)
        if restored is None:
            frozen = optim.only_frozen(state.params, train_layers)
            self.checkpoints.save_frozen(frozen)
            return state, progress
        logger.info(
            "Resuming %s after step %d of %d",
            self.workdir,
            progress.step,
            plan.num_steps,
        )
        step = self.layout.put(jnp.int32(progress.step))
        return TrainState(step, params, opt_state), progress

    def save(
        self, progress: runs.Progress, state: TrainState, metrics: Mapping[str, Any]
    ) -> None:
        """Saves a checkpoint, while training goes on.

        `metrics` are the validation's, or empty where there was none.

        Raises:
          FloatingPointError: a parameter is not finite, so that nothing could go on.
        """
        trained = optim.only_trained(state.params, self.config.train_layers)
        if not np.isfinite(optax.tree.norm(trained)):
            raise FloatingPointError(
                f"the parameters are not finite after step {progress.step}: try a "
                "tenth of --config.learning_rate"
            )
        self.checkpoints.save(
            progress,
            trained,
            state.opt_state,
            config=self.config.to_dict(),
            metrics={name: metrics[name] for name in ("accuracy", "loss") if metrics},
        )

    def stop(self, step: int, signal: int) -> None:
        """Ends the command, once the checkpoint of a step is on disk."""
        self.checkpoints.wait()
        said = f"saved at step {step}; the same command goes on"
        raise stopping.Stopped(said, signal)


@contextlib.contextmanager
def opened_run(config: Config, workdir: str | os.PathLike) -> Iterator[Run]:
    """Holds a run's folder, a new one or that of the same run, for the block.

    Raises:
      BusyError: another process trains there.
      ValueError: the workdir cannot be used, or belongs to another run.
      ModuleNotFoundError: the writer's package is not installed.
    """
    writers.check_installed(config.writer)
    fields = config.to_dict()
    processes.check_same({"config": fields, "workdir": os.fspath(workdir)})
    workdir = storage.path(workdir)
    checkpoint_folder = runs.folder_of(workdir)  # before anything is written
    with _alone(workdir):
        processes.check_shared(workdir, "workdir")
        if processes.is_first():
            storage.remove_unfinished(workdir)
            runs.set_aside_half_made(checkpoint_folder)
        processes.wait("half-made checkpoints")
        checkpoints = runs.Checkpoints(workdir)
        saved = checkpoints.saved()
        if not config.num_classes:  # the data will say
            del fields["num_classes"]
        resuming.check_fixed(saved, fields, workdir)
        resuming.check_steps(saved, config, workdir)
        try:
            yield Run(config, workdir, checkpoints, _lay_out(config), saved)
        except BaseException:
            if processes.count() == 1:  # else it might wait for one that is gone
                with contextlib.suppress(Exception):
                    checkpoints.close()
            raise
        checkpoints.close()


@contextlib.contextmanager
def _alone(workdir: AnyPath) -> Iterator[None]:
    """Holds a workdir in the name of all processes of the run.

    Raises:
      BusyError: another run does.
    """
    with contextlib.ExitStack() as stack:
        busy = ""
        if processes.is_first():
            try:
                stack.enter_context(driver.alone(workdir / HELD))
            except driver.BusyError as error:
                busy = str(error)
        busy = processes.gather(busy)[0]
        if busy:
            raise driver.BusyError(busy)
        yield


def _lay_out(config: Config) -> Layout:
    layout = layout_lib.over_all_devices(config.model_axis)
    logger.info(
        "JAX runs on %s: %d device(s) of %d process(es)",
        jax.default_backend(),
        jax.device_count(),
        processes.count(),
    )
    layout.check_batch_size(config.batch_size, config.accumulate_steps)
    return layout
