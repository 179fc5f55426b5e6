"""Writes a trained network as a file that other programs run or read.

  jaxart export --workdir=runs/vgg16 --out=vgg16.onnx
  jaxart export --weights=alexnet.safetensors --out=alexnet.stablehlo

The suffix of --out is the format:

  .onnx         a model for ONNX Runtime and its kin; pip install 'jaxart[onnx]'
  .stablehlo    a program that jax.export.deserialize reads, on CPU, GPU and TPU
  .safetensors  weights for --weights of every command
  .npy          weights as Caffe's users have them: {layer: [kernel, bias]}

An .onnx file says in its metadata how images are prepared and what the logits stand
for; a .stablehlo file has NAME.stablehlo.json beside it for that.
"""

import argparse
from collections.abc import Sequence

from jaxart import storage
from jaxart.cli import shared
from jaxart.cli.flags import Parser, require

STOPPED = "nothing is written"


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("export", __doc__)
    shared.add_network(parser)
    add = parser.add_argument_group("the result").add_argument
    add(
        "--out",
        type=storage.path_or_none,
        help="the file to write: .onnx, .stablehlo, .safetensors or .npy",
    )
    flags = parser.parse(words)
    require(flags, "out")
    return flags


def run(flags: argparse.Namespace) -> int:
    from jaxart.export import writing  # noqa: PLC0415  (JAX, late)
    from jaxart.models.layers import trainable  # noqa: PLC0415

    writing.check_out(flags.out, flags.weights)
    network = shared.load_network(flags)
    num_bytes = writing.write(flags.out, network)
    num_layers = len(trainable(network.model.layers()))
    print(
        f"{flags.out}: {num_bytes / 1e6:.1f} MB, {num_layers} layers with "
        f"parameters, {len(network.class_names)} classes"
    )
    return 0
