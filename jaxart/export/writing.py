"""Which format a file gets, and that it appears whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import jax

from jaxart import storage
from jaxart.classifier import Classifier
from jaxart.export import onnx_model, stablehlo, weight_files
from jaxart.storage import AnyPath
from jaxart.weights.readers.onnx_file import import_onnx

Write = Callable[[Path, Classifier], None]

WRITERS: dict[str, Write] = {
    ".onnx": onnx_model.write,
    ".stablehlo": stablehlo.write,
    ".npy": weight_files.write_npy,
    ".safetensors": weight_files.write_safetensors,
}


class ExportError(ValueError):
    """A network cannot be written so; the message says why."""


def check_out(out: AnyPath, weights: AnyPath | None) -> None:
    """Finds the mistakes that can be found before a network is loaded.

    Raises:
      ExportError: the suffix is none that is known, the file that is read would be
        overwritten, or a folder is where the file would go.
      StorageError: a file's name would be too long.
      WeightsError: the package `onnx` is needed, and is not installed.
    """
    if out.suffix.lower() not in WRITERS:
        raise ExportError(f"out={out}: a file that ends in {', '.join(WRITERS)}")
    if weights and storage.resolve(out) == storage.resolve(weights):
        raise ExportError(f"out={out} would overwrite {weights}: choose another name")
    facts = [stablehlo.facts_of(out)] * (out.suffix.lower() == ".stablehlo")
    storage.check_names(out, *facts)
    if out.is_dir():
        raise ExportError(f"out={out} is a folder")
    if out.suffix.lower() == ".onnx":
        import_onnx()


def write(out: AnyPath, network: Classifier) -> int:
    """Writes a network in the format that the suffix tells; returns the bytes.

    `out` has passed `check_out`. What the network came from is read once more.

    Raises:
      StorageError: the disk has no room for it.
    """
    num_bytes = sum(array.nbytes for array in jax.tree.leaves(network.params))
    storage.require_room(out, num_bytes)
    with storage.written_together(out) as beside:
        WRITERS[out.suffix.lower()](beside, network)
        return beside.stat().st_size
