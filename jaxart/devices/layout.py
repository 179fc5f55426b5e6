"""Where a run's arrays lie: one mesh over all devices of all processes.

Batches are split along its axis `data`. Along its axis `model`, which is 1 long unless
asked for, fc6 is split by columns and fc7 by rows, so that the activations between
them stay where they are (Shoeybi et al. 2019, "Megatron-LM", section 3). All other
parameters are on every device.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

DATA, MODEL = "data", "model"

Forward = Callable[[Any, Array], Array]

_SPLIT: dict[tuple[str | None, ...], PartitionSpec] = {
    ("fc6", "kernel"): PartitionSpec(None, MODEL),
    ("fc6", "bias"): PartitionSpec(MODEL),
    ("fc7", "kernel"): PartitionSpec(MODEL),
}


@dataclasses.dataclass(frozen=True)
class Layout:
    """How arrays lie on a mesh."""

    mesh: Mesh  # by `data` and `model`; the devices of a process follow each other

    @property
    def split(self) -> NamedSharding:
        """Of arrays with a row for each example."""
        return NamedSharding(self.mesh, PartitionSpec(DATA))

    @property
    def replicated(self) -> NamedSharding:
        """Of arrays that are whole on every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def local(self) -> "Layout":
        """The part that lies on this process's own devices."""
        return Layout(self.mesh.local_mesh)

    def of(self, tree: Any) -> Any:
        """The sharding of each array of a tree, by the layer and name it ends in.

        Parameters, and what an optimizer keeps of them, are split alike.
        """

        def find(path, _):
            names = tuple(getattr(key, "key", None) for key in path[-2:])
            is_split = self.mesh.shape[MODEL] > 1
            spec = _SPLIT.get(names, PartitionSpec()) if is_split else PartitionSpec()
            return NamedSharding(self.mesh, spec)

        return jax.tree.map_with_path(find, tree)

    def check_split(self, params: Any) -> None:
        """Makes sure that the axis `model` has something to split, and can.

        Raises:
          ValueError: it has not, or a width is no multiple of its length.
        """
        length = self.mesh.shape[MODEL]
        if length == 1:
            return
        if "fc6" not in params:
            raise ValueError(
                f"model_axis={length}: there is no fc6 to split; its layers are "
                f"{', '.join(params)}"
            )
        width = params["fc6"]["bias"].size
        if width % length:
            raise ValueError(f"model_axis={length} does not divide fc6's width {width}")

    def check_batch_size(self, batch_size: int, accumulate_steps: int) -> None:
        """Makes sure that every device has as many rows of each part of a batch.

        Raises:
          ValueError: it has not.
        """
        devices = self.mesh.shape[DATA]
        if batch_size % (devices * accumulate_steps):
            parts = f" in {accumulate_steps} parts" * (accumulate_steps > 1)
            raise ValueError(
                f"batch_size={batch_size}{parts} does not divide by {devices} devices"
            )

    def own_rows(self, batch_size: int) -> slice:
        """Which rows of a batch lie on this process's devices."""
        devices = self.mesh.devices[:, 0]
        is_own = [device.process_index == jax.process_index() for device in devices]
        rows = batch_size // len(devices)
        first = is_own.index(True)
        return slice(first * rows, (first + sum(is_own)) * rows)

    def put(self, tree: Any) -> Any:
        """Puts parameters or a state, which every process has, onto the devices."""

        def put(x, sharding):
            x = np.asarray(x)
            return jax.make_array_from_callback(x.shape, sharding, x.__getitem__)

        return jax.tree.map(put, tree, self.of(tree))

    def put_batch(self, rows: Any) -> Any:
        """Puts a batch onto the devices: a tree of this process's own rows of it."""
        return jax.make_array_from_process_local_data(
            jax.tree.map(lambda _: self.split, rows), rows
        )

    def by_rows(self, function: Forward) -> Forward:
        """Has each device run `function` on its own rows, and nothing else.

        It is of parameters and inputs [B, ...], a row an example.
        """
        rows = PartitionSpec(DATA)
        return jax.shard_map(
            function,
            mesh=self.mesh,
            axis_names={DATA},
            in_specs=(PartitionSpec(), rows),
            out_specs=rows,
        )


def over_all_devices(model_axis: int = 1) -> Layout:
    """The layout of a run, where `model_axis` devices share fc6 and fc7.

    They are of one process, for they talk much.

    Raises:
      ValueError: `model_axis` does not divide each process's devices.
    """
    count = jax.local_device_count()
    if count % model_axis:
        raise ValueError(
            f"model_axis={model_axis} does not divide a process's {count} device(s)"
        )
    devices = sorted(
        jax.devices(), key=lambda device: (device.process_index, device.id)
    )
    return Layout(Mesh(np.array(devices).reshape(-1, model_axis), (DATA, MODEL)))
