"""The arrays of a checkpoint: their checksums, their room, what is to be restored."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from jax.experimental import multihost_utils

from jaxart import storage
from jaxart.storage.results import DamagedError


def require_room(folder: epath.Path, *trees: Any) -> None:
    """Makes sure, before anything is written, that arrays fit on a folder's disk."""
    num_bytes = sum(array.nbytes for array in jax.tree.leaves(trees))
    storage.require_room(storage.path(str(folder / "arrays")), num_bytes)


def checksums_of(tree: Any) -> dict[str, str]:
    """The checksum of each array, by its place in the tree."""
    return {
        jax.tree_util.keystr(path): storage.checksum(_on_host(array))
        for path, array in jax.tree_util.tree_leaves_with_path(tree)
    }


def compare(tree: Any, checksums: Mapping[str, str]) -> None:
    """Raises `DamagedError` where an array is not what was written down, if it was."""
    for name, now in checksums_of(tree).items() if checksums else ():
        if checksums.get(name) != now:
            raise DamagedError(f"damaged: {name} is not what was saved")


def _on_host(array: Any) -> np.ndarray:
    """An array as a whole, also where it is spread over the processes of a run."""
    if not isinstance(array, jax.Array) or array.is_fully_addressable:
        return np.asarray(array)
    if array.is_fully_replicated:
        return np.asarray(array.addressable_data(0))
    return np.asarray(multihost_utils.process_allgather(array, tiled=True))


def only_trained(params: Any, train_layers: Sequence[str]) -> Any:
    return abstract({name: params[name] for name in params if name in train_layers})


def abstract(tree: Any) -> Any:
    return jax.tree.map(ocp.tree.to_shape_dtype_struct, tree)
