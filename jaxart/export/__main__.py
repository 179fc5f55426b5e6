r"""Writes a trained network as a file that other programs run or read.

  python -m jaxart.export --workdir=runs/vgg16 --out=vgg16.onnx
  python -m jaxart.export --weights=alexnet.safetensors --out=alexnet.stablehlo

The suffix of --out is the format:

  .onnx         a model for ONNX Runtime and its kin; needs the onnx extra
  .stablehlo    a program that jax.export.deserialize reads, on CPU, GPU and TPU
  .safetensors  weights for --weights of every command
  .npy          weights as Caffe's users have them: {layer: [kernel, bias]}

An .onnx file says in its metadata how images are prepared and what the logits stand
for; a .stablehlo file has NAME.stablehlo.json beside it for that.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from absl import app, flags

from jaxart import classifier, commands, storage
from jaxart.classifier import Classifier
from jaxart.export import onnx_model, stablehlo, weight_files
from jaxart.models.layers import trainable
from jaxart.storage import AnyPath
from jaxart.weights import canonical
from jaxart.weights.readers.onnx_initializers import import_onnx

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


def define_flags(values: flags.FlagValues) -> None:
    """Adds the command's flags: not on import, for other commands have the same."""
    for name, text in {
        "weights": "A file of tools/convert_weights.py.",
        "workdir": "A run of jaxart.main; its best epoch.",
        "out": "The file: .onnx, .stablehlo, .safetensors (for --weights) or .npy "
        "(Caffe's layout).",
    }.items():
        flags.DEFINE_string(name, None, text, flag_values=values)


def check_out(out: AnyPath, weights: str | None) -> None:
    """Finds the mistakes that can be found before a network is loaded.

    Raises:
      ExportError: the suffix is none that is known, the file that is read would be
        overwritten, or a folder is where the file would go.
      WeightsError: the package `onnx` is needed, and is not installed.
    """
    if out.suffix.lower() not in FORMATS:
        raise ExportError(f"out={out}: a file that ends in {', '.join(FORMATS)}")
    if weights and storage.resolve(out) == storage.resolve(storage.path(weights)):
        raise ExportError(f"out={out} would overwrite {weights}: choose another name")
    if out.is_dir():
        raise ExportError(f"out={out} is a folder")
    if out.suffix.lower() == ".onnx":
        import_onnx()


def find_writer(
    out: AnyPath, network: Classifier, weights: str | None, workdir: str | None
) -> Write:
    """The function that writes a format, told by the suffix.

    Raises:
      OSError: what the network came from can no longer be read.
    """
    suffix = out.suffix.lower()
    if suffix in WRITERS:
        return WRITERS[suffix]
    if weights:
        metadata = canonical.read_metadata(storage.path(weights))
    else:
        metadata = weight_files.run_metadata(network, storage.path(workdir))
    return lambda path, network: canonical.write(
        path, weight_files.arrays(network), metadata
    )


def main(argv: list[str], values: flags.FlagValues = flags.FLAGS) -> int:
    """Runs what the flags describe; returns the exit status."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    if not values.out:
        raise app.UsageError("--out is missing")
    commands.set_up()
    try:
        out = storage.path(values.out)
        check_out(out, values.weights)
        network = classifier.load(values.weights, values.workdir)
        write = find_writer(out, network, values.weights, values.workdir)
        with storage.written_together(out) as part:
            write(part, network)
            num_bytes = part.stat().st_size
    except (ValueError, OSError) as error:
        sys.exit(f"jaxart: {error}")
    except KeyboardInterrupt:
        print("\njaxart: stopped; nothing is written", file=sys.stderr)
        return 130
    num_layers = len(trainable(network.model.layers()))
    print(
        f"{out}: {num_bytes / 1e6:.1f} MB, {num_layers} layers with "
        f"parameters, {len(network.class_names)} classes"
    )
    return 0


if __name__ == "__main__":
    define_flags(flags.FLAGS)
    app.run(main)
