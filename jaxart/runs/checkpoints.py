"""Every orbax call: saving, resuming, and reading the best epoch of a run.

The frozen layers are saved once, in `frozen`; what trains, with each checkpoint. Orbax
makes a checkpoint appear whole, but does not see what becomes of its bytes: with each
are the checksums of all arrays, which are compared when they are read.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint import checkpoint_managers

from jaxart.devices import processes
from jaxart.runs.arrays import (
    abstract,
    checksums_of,
    compare,
    only_trained,
    require_room,
)
from jaxart.runs.facts import (
    Progress,
    Restored,
    Saved,
    checked_progress,
    folder_of,
)
from jaxart.runs.sound import CHECKPOINTS, named, set_aside
from jaxart.storage import AnyPath
from jaxart.storage.results import DamagedError

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one workdir: the last two, and the best by accuracy.

    Of a validation; one that has seen none is the worst.
    """

    def __init__(self, workdir: AnyPath):
        best = checkpoint_managers.BestN(get_metric_fn=_accuracy, n=1)
        policy = checkpoint_managers.AnyPreservationPolicy(
            [checkpoint_managers.LatestN(2), best]
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy, best_fn=_accuracy
        )
        folder = epath.Path(folder_of(workdir))
        self._folder = folder / CHECKPOINTS
        with named(self._folder):
            self._manager = ocp.CheckpointManager(self._folder, options=options)
        self._frozen = folder / "frozen"
        self._frozen_checksums: dict[str, str] = {}
        self._checkpointer = ocp.StandardCheckpointer()

    @property
    def latest_step(self) -> int | None:
        """Step of the last checkpoint; None where there is none."""
        return self._manager.latest_step()

    def metrics(self, step: int) -> Mapping[str, float]:
        metrics = self._manager.metrics(step)
        assert metrics is not None, "each checkpoint is saved with its metrics"
        return metrics

    def save_frozen(self, params: Any) -> None:
        """Saves the layers that do not train, if any, for all checkpoints to come.

        It goes on in the background; the first checkpoint waits for it.
        """
        self._frozen_checksums = checksums_of(params)
        if params:
            require_room(self._frozen, params)
            with named(self._frozen):
                self._checkpointer.save(self._frozen, {"params": params}, force=True)

    def save(
        self,
        progress: Progress,
        params: Any,
        opt_state: Any,
        *,
        config: Mapping[str, Any],
        metrics: Mapping[str, float],
    ) -> None:
        """Saves a checkpoint, once the last one is on disk, and goes on meanwhile.

        `params` are the layers that train. Of `metrics`, of the validation if there was
        one, 'accuracy' decides which checkpoint is best.

        Raises:
          StorageError: this one, or the last one, cannot be written.
        """
        checksums = {
            "params": checksums_of(params),
            "opt_state": checksums_of(opt_state),
            "frozen": self._frozen_checksums,
            "metrics": dict(metrics),
        }
        require_room(self._folder, params, opt_state)
        with named(self._folder):
            self._checkpointer.wait_until_finished()
            self._manager.save(
                progress.step,
                args=ocp.args.Composite(
                    params=ocp.args.StandardSave(params),
                    opt_state=ocp.args.StandardSave(opt_state),
                    progress=ocp.args.JsonSave(progress._asdict()),
                    config=ocp.args.JsonSave(dict(config)),
                    checksums=ocp.args.JsonSave(checksums),
                ),
                metrics=dict(metrics),
            )

    def wait(self) -> None:
        """Waits until what was saved is on disk.

        Raises:
          StorageError: it cannot be written.
        """
        with named(self._folder):
            self._checkpointer.wait_until_finished()
            self._manager.wait_until_finished()

    def saved(self) -> Saved | None:
        """What the last sound checkpoint is of; None where there is none."""

        def read(step: int) -> Saved:
            said = self._restore(
                step, config=ocp.args.JsonRestore(), progress=ocp.args.JsonRestore()
            )
            return Saved(said.config, checked_progress(step, said.progress))

        last = self._first_sound(self._steps(), read)
        return last and last[1]

    def restore(
        self, params: Any, opt_state: Any, *, train_layers: Sequence[str]
    ) -> Restored | None:
        """The last sound checkpoint, in the shapes and shardings of both arguments.

        Those after it are set aside, so that the run can go on from there. None where
        there is none.

        Frozen layers that are damaged are saved again, where `params` holds them as
        they were.

        Raises:
          DamagedError: they are, and it does not; or there are checkpoints, none sound.
        """

        def read(step: int) -> tuple[Restored, Mapping[str, Any]]:
            restored = self._restore(
                step,
                params=ocp.args.StandardRestore(only_trained(params, train_layers)),
                opt_state=ocp.args.StandardRestore(abstract(opt_state)),
                progress=ocp.args.JsonRestore(),
            )
            sums = self._sums_of(step)
            compare(restored.params, sums.get("params", {}))
            compare(restored.opt_state, sums.get("opt_state", {}))
            progress = checked_progress(step, restored.progress)
            return Restored(progress, restored.params, restored.opt_state), sums

        steps = self._steps()
        last = self._first_sound(steps, read)
        if last is None:
            if steps:
                raise self._unsound()
            return None
        self._set_aside([step for step in steps if step > last[0]])
        restored, sums = last[1]
        frozen = {name: params[name] for name in params if name not in restored.params}
        self._frozen_checksums = sums.get("frozen") or checksums_of(frozen)
        try:
            whole = self._with_frozen(params, restored.params, sums.get("frozen", {}))
        except DamagedError as error:
            if checksums_of(frozen) != sums.get("frozen"):
                raise
            logger.warning("%s: saved again, as it was", error)
            self.save_frozen(frozen)
            whole = {name: (restored.params | frozen)[name] for name in params}
        return restored._replace(params=whole)

    def restore_best(self, params: Any, train_layers: Sequence[str]) -> Any:
        """The best sound checkpoint's parameters, as `params` are shaped and sharded.

        Raises:
          DamagedError: there is none, or the frozen layers are damaged.
        """
        step, trained = self.restore_best_trained(params, train_layers)
        sums = self._sums_of(step)
        return self._with_frozen(params, trained, sums.get("frozen", {}))

    def restore_best_trained(
        self, params: Any, train_layers: Sequence[str]
    ) -> tuple[int, Any]:
        """The part of `restore_best` that trains, and its step.

        Waits for one that is being saved.
        """
        self.wait()

        def read(step: int) -> Any:
            args = ocp.args.StandardRestore(only_trained(params, train_layers))
            trained = self._restore(step, params=args).params
            compare(trained, self._sums_of(step).get("params", {}))
            return trained

        best = self._first_sound(self._steps(by=self.metrics), read)
        if best is None:
            raise self._unsound()
        return best

    def close(self) -> None:
        """Waits for what is under way."""
        with named(self._folder):
            self._checkpointer.close()
            self._manager.close()

    def _with_frozen(
        self, params: Any, trained: Any, checksums: Mapping[str, str]
    ) -> Any:
        frozen = {layer: params[layer] for layer in params if layer not in trained}
        if not frozen:
            return trained
        with named(self._frozen):
            restored = self._checkpointer.restore(
                self._frozen, abstract({"params": frozen})
            )["params"]
            compare(restored, checksums)
        return {layer: (trained | restored)[layer] for layer in params}

    def _steps(self, by: Callable[[int], Mapping[str, float]] | None = None) -> list:
        """Steps of all checkpoints: last first, or best first by their metrics."""

        def place(step: int) -> tuple[float, int]:
            return _accuracy(by(step)) if by else 0.0, step

        return sorted(self._manager.all_steps(), key=place, reverse=True)

    def _unsound(self) -> DamagedError:
        return DamagedError(
            f"{self._folder}: no checkpoint is sound; a training begins anew without it"
        )

    def _restore(self, step: int, **items: Any) -> Any:
        return self._manager.restore(step, args=ocp.args.Composite(**items))

    def _sums_of(self, step: int) -> Mapping[str, Any]:
        """What was written down of a step's arrays; older checkpoints have nothing."""
        if not (self._folder / str(step) / "checksums").exists():
            return {}
        sums = self._restore(step, checksums=ocp.args.JsonRestore()).checksums
        metrics = self.metrics(step)
        if sums.get("metrics", metrics) != metrics:
            raise DamagedError(f"damaged: its metrics are {metrics}")
        return sums

    def _first_sound(
        self, steps: Sequence[int], read: Callable[[int], T]
    ) -> tuple[int, T] | None:
        """The first of the steps that can be read, and what was read; warns of others.

        The processes of a run agree.
        """
        for step in steps:
            value, reason = None, ""
            try:
                with named(self._folder / str(step)):
                    value = read(step)
            except DamagedError as error:
                reason = str(error)
            reasons = list(filter(None, processes.gather(reason)))
            if not reasons:
                return step, value  # pyright: ignore[reportReturnType]
            logger.warning("%s. It is passed over.", reasons[0])
        return None

    def _set_aside(self, steps: Sequence[int]) -> None:
        """Takes the names of damaged checkpoints, so that they can be saved anew."""
        if not steps:
            return
        self._manager.wait_until_finished()
        if processes.is_first():
            for step in steps:
                set_aside(self._folder / str(step))
        processes.wait("damaged checkpoints")
        self._manager.reload()


def _accuracy(metrics: Mapping[str, float]) -> float:
    return metrics.get("accuracy", -1.0)
