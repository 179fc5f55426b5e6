"""Every orbax call: saving, resuming, and reading the best epoch of a run.

The frozen layers are saved once, in `frozen`; what trains, with each checkpoint.
"""

import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint import checkpoint_managers

from jaxart.storage import AnyPath, RemotePath, StorageError

# A run goes on only as what it was: these fields shape its parameters, its
# optimizer state or the order of its data.
FIXED_FIELDS = (
    "model",
    "hidden",
    "num_classes",
    "weights",
    "train_layers",
    "optimizer",
    "momentum",
    "train_data",
    "val_data",
    "val_fraction",
    "split_seed",
    "image_root",
    "resize",
    "views",
    "compute_dtype",
    "batch_size",
    "seed",
)


class ResumeError(ValueError):
    """The workdir holds a run of another kind; the message says what differs."""


def folder_of(workdir: AnyPath) -> str:
    """A workdir as Orbax takes it: an absolute path, or a URL.

    Raises:
      StorageError: Orbax keeps no checkpoints there.
    """
    if not isinstance(workdir, RemotePath):
        return str(workdir.absolute())
    if not str(workdir).startswith("gs://"):
        raise StorageError(
            f"workdir={workdir}: Orbax {ocp.__version__} keeps no checkpoints in "
            "s3://. A workdir can be a local or shared folder, or gs://"
        )
    return str(workdir)


class Progress(NamedTuple):
    """How far a run has come."""

    step: int  # training steps done; also the position in the data, in batches
    train_seconds: float  # that they took
    num_train: int  # how many training images that data held


class Checkpoints:
    """The checkpoints of one workdir: the last, and the best by validation accuracy."""

    def __init__(self, workdir: AnyPath):
        accuracy = operator.itemgetter("accuracy")
        best = checkpoint_managers.BestN(get_metric_fn=accuracy, n=1)
        policy = checkpoint_managers.AnyPreservationPolicy(
            [checkpoint_managers.LatestN(1), best]
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy, best_fn=accuracy
        )
        folder = epath.Path(folder_of(workdir))
        self._manager = ocp.CheckpointManager(folder / "checkpoints", options=options)
        self._frozen = folder / "frozen"
        self._checkpointer = ocp.StandardCheckpointer()

    @property
    def latest_step(self) -> int | None:
        """Step of the last checkpoint; None where there is none."""
        return self._manager.latest_step()

    @property
    def best_step(self) -> int:
        """Step of the checkpoint with the highest validation accuracy."""
        step = self._manager.best_step()
        assert step is not None, "asked before the first checkpoint"
        return step

    def metrics(self, step: int) -> Mapping[str, float]:
        metrics = self._manager.metrics(step)
        assert metrics is not None, "each checkpoint is saved with its metrics"
        return metrics

    def save_frozen(self, params: Any) -> None:
        """Saves the layers that do not train, if any, for all checkpoints to come.

        It goes on in the background; the first checkpoint waits for it.
        """
        if params:
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

        `params` are the layers that train. Of `metrics`, of the validation, 'accuracy'
        decides which checkpoint is best.
        """
        self._checkpointer.wait_until_finished()
        self._manager.save(
            progress.step,
            args=ocp.args.Composite(
                params=ocp.args.StandardSave(params),
                opt_state=ocp.args.StandardSave(opt_state),
                progress=ocp.args.JsonSave(progress._asdict()),
                config=ocp.args.JsonSave(dict(config)),
            ),
            metrics=dict(metrics),
        )

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Makes sure that the run in the workdir, if any, is the one of `config`.

        Raises:
          ResumeError: one of `FIXED_FIELDS` differs, of those that `config` has.
        """
        if self.latest_step is None:
            return
        saved = self._restore(self.latest_step, config=ocp.args.JsonRestore()).config
        # An older run's split was drawn with its seed.
        saved = {"split_seed": saved.get("seed")} | saved
        for field in FIXED_FIELDS:
            if field in config and saved.get(field) != config[field]:
                raise ResumeError(
                    f"{self._manager.directory.parent} holds a run with "
                    f"{field}={saved.get(field)!r}; this one has "
                    f"{field}={config[field]!r}. Choose another --workdir, or go on "
                    "with the old value."
                )

    def restore(
        self,
        params: Any,
        opt_state: Any,
        *,
        train_layers: Sequence[str],
        num_train: int,
    ) -> tuple[Progress, Any, Any]:
        """The last checkpoint, in the shapes and shardings of `params`, `opt_state`.

        Raises:
          ResumeError: the run was trained on another number than `num_train` of
            images, so that its position in the data means nothing.
        """
        restored = self._restore(
            self.latest_step,
            params=ocp.args.StandardRestore(_trained(params, train_layers)),
            opt_state=ocp.args.StandardRestore(_abstract(opt_state)),
            progress=ocp.args.JsonRestore(),
        )
        progress = Progress(**restored.progress)
        if progress.num_train != num_train:
            raise ResumeError(
                f"{self._manager.directory.parent} holds a run on {progress.num_train} "
                f"training images; now there are {num_train}. Choose another "
                "--workdir, or bring the old images back."
            )
        whole = self._with_frozen(params, restored.params)
        return progress, whole, restored.opt_state

    def restore_best(self, params: Any, train_layers: Sequence[str]) -> Any:
        """The best checkpoint's parameters, in the shapes and shardings of `params`."""
        trained = self.restore_best_trained(params, train_layers)
        return self._with_frozen(params, trained)

    def restore_best_trained(self, params: Any, train_layers: Sequence[str]) -> Any:
        """The part of `restore_best` that trains; waits for one that is being saved."""
        self._manager.wait_until_finished()
        args = ocp.args.StandardRestore(_trained(params, train_layers))
        return self._restore(self.best_step, params=args).params

    def close(self) -> None:
        """Waits for what is under way."""
        self._checkpointer.close()
        self._manager.close()

    def _with_frozen(self, params: Any, trained: Any) -> Any:
        frozen = {layer: params[layer] for layer in params if layer not in trained}
        if not frozen:
            return trained
        restored = self._checkpointer.restore(
            self._frozen, _abstract({"params": frozen})
        )["params"]
        return {layer: (trained | restored)[layer] for layer in params}

    def _restore(self, step: int | None, **items: Any) -> Any:
        return self._manager.restore(step, args=ocp.args.Composite(**items))


def _trained(params: Any, train_layers: Sequence[str]) -> Any:
    return _abstract({name: params[name] for name in params if name in train_layers})


def _abstract(tree: Any) -> Any:
    return jax.tree.map(ocp.tree.to_shape_dtype_struct, tree)
