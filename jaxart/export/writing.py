"""Which format a file gets, and that it appears whole or not at all."""

from collections.abc import Callable
from pathlib import Path

from jaxart import storage
from jaxart.classifier import Classifier
from jaxart.export import onnx_model, stablehlo, weight_files
from jaxart.storage import AnyPath
from jaxart.weights import canonical
from jaxart.weights.readers.onnx_file import import_onnx

Write = Callable[[Path, Classifier], None]

WRITERS: dict[str, Write] = {
    ".onnx": onnx_model.write,
    ".stablehlo": stablehlo.write,
    ".npy": weight_files.write_npy,
}
# This one also says where the network came from.
FORMATS = (*WRITERS, ".safetensors")


class ExportError(ValueError):
    """A network cannot be written so; the message says why."""


def check_out(out: AnyPath, weights: AnyPath | None) -> None:
    """Finds the mistakes that can be found before a network is loaded.

    Raises:
      ExportError: the suffix is none that is known, the file that is read would be
        overwritten, or a folder is where the file would go.
      WeightsError: the package `onnx` is needed, and is not installed.
    """
    if out.suffix.lower() not in FORMATS:
        raise ExportError(f"out={out}: a file that ends in {', '.join(FORMATS)}")
    if weights and storage.resolve(out) == storage.resolve(weights):
        raise ExportError(f"out={out} would overwrite {weights}: choose another name")
    if out.is_dir():
        raise ExportError(f"out={out} is a folder")
    if out.suffix.lower() == ".onnx":
        import_onnx()


def write(
    out: AnyPath, network: Classifier, weights: AnyPath | None, workdir: AnyPath | None
) -> int:
    """Writes what `classifier.load` has made of a weight file or of a run's folder.

    The suffix of `out`, which has passed `check_out`, is the format. Returns the bytes.
    """
    with storage.written_together(out) as beside:
        if out.suffix.lower() in WRITERS:
            WRITERS[out.suffix.lower()](beside, network)
        else:
            if weights:
                metadata = canonical.read_metadata(weights)
            else:
                assert workdir, "one of the two says which network"
                metadata = weight_files.run_metadata(network, workdir)
            canonical.write(beside, weight_files.arrays(network), metadata)
        return beside.stat().st_size
