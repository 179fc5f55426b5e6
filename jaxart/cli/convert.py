"""Converts public weight files to the one that jaxart reads; fetches and checks them.

  jaxart convert --model=vgg16 --download
  jaxart convert --model=alexnet --src=bvlc_alexnet.npy --out=bvlc_alexnet.safetensors
  jaxart convert --model=vgg16 --channel-order=rgb --src=vgg16_weights.npz
  jaxart convert --check=vgg16.safetensors

Formats are told by content: Caffe's .caffemodel (both encodings), .caffemodel.h5 and
.npy, .npz, Keras' .h5, PyTorch's .pth and .safetensors (with torchvision's or
Caffe's names), .onnx. Whatever the source's colours, the file written takes BGR less
Caffe's mean. Nothing that a file asks for is run.

The sources are not ours to ship. They are public, and --download knows them:

"""

import argparse
import sys
from collections.abc import Sequence

from jaxart import storage
from jaxart.cli.flags import FlagError, Parser, fill, positive, require
from jaxart.models import MODELS, with_todays_name
from jaxart.weights import known_files
from jaxart.weights.choices import CHANNEL_ORDERS

STOPPED = "nothing is written"


def parse(words: Sequence[str]) -> argparse.Namespace:
    known = "".join(
        f"  {file.name}\n      {file.model}, {file.urls[0]}\n"
        for file in known_files.KNOWN_FILES
    )
    parser = Parser("convert", f"{__doc__}{known}")
    group = parser.add_argument_group("the source, one of these")
    source = group.add_mutually_exclusive_group(required=True)
    add = source.add_argument
    add("--src", type=storage.path, help="the file to convert")
    add(
        "--download",
        nargs="?",
        const="",
        metavar="NAME",
        help="convert a public file, fetched once into the user's cache folder "
        "(default: the model's first of the list above)",
    )
    add(
        "--check",
        type=storage.path,
        help="read a converted file again, verify it and print what it holds; or (with "
        "--model) any source, without writing",
    )
    add = group.add_argument
    add(
        "--mirror",
        action="append",
        default=[],
        metavar="URL",
        help="a folder that holds the file to download, tried first; may be repeated",
    )
    add = parser.add_argument_group("what it is").add_argument
    add("--model", choices=MODELS, help="the network")
    add(
        "--channel-order",
        choices=CHANNEL_ORDERS,
        help="what the source's first layer takes: blue first, red first, or red first "
        "on torchvision's scale; needed where the file does not say (.npz, most .onnx)",
    )
    add(
        "--class-names",
        type=storage.path,
        help="the classes, one a line in the order of the logits, where they are not "
        "ImageNet's",
    )
    add(
        "--norm-order",
        choices=("norm_pool", "pool_norm"),
        help="the old way to say --model=caffenet: pool_norm, with --model=alexnet",
    )
    add(
        "--lrn-alpha",
        type=positive,
        help="AlexNet, CaffeNet: Caffe's alpha of the response norm, before its "
        "division by the local size (default: 1e-4)",
    )
    add = parser.add_argument_group("the result").add_argument
    add(
        "--out",
        type=storage.path,
        help="the .safetensors file to write (default: the network's own, as configs "
        "expect it: vgg16.safetensors, bvlc_alexnet.safetensors)",
    )
    flags = parser.parse(words)
    if flags.check is None:
        require(flags, "model")
    if flags.norm_order:
        if flags.model != "alexnet":
            raise FlagError(
                "--norm-order is AlexNet's; pool_norm is --model=caffenet today"
            )
        flags.model, _ = with_todays_name(flags.model, {"norm_order": flags.norm_order})
    return flags


def run(flags: argparse.Namespace) -> int:
    """Converts, or checks; returns 1 where something speaks against a checked file."""
    from jaxart.weights import convert, downloads  # noqa: PLC0415  (JAX, late)

    if flags.check is not None:
        stated = fill(convert.Stated, flags) if flags.model else None
        checked = convert.check(flags.check, stated)
        print(convert.describe(checked))
        if checked.contradiction:
            print(f"warning: {flags.check}: {checked.contradiction}", file=sys.stderr)
            return 1
        print(checked.remark)
        return 0
    out = flags.out or storage.path(MODELS[flags.model].weight_file)
    storage.check_names(out)
    if flags.download is not None:
        known = known_files.find(flags.model, flags.download)
        flags.src = downloads.download(known, mirrors=flags.mirror)
        flags.channel_order = flags.channel_order or known.channel_order
    written = convert.write(out, flags.src, fill(convert.Stated, flags))
    print(f"{convert.describe(written)}\n{written.remark}\nwritten: {out}")
    return 0
