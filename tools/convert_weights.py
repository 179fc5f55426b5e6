r"""Converts public weight files to the one that jaxart reads; fetches, checks them.

    python tools/convert_weights.py --model=vgg16 --download
    python tools/convert_weights.py --model=alexnet \
        --src=bvlc_alexnet.npy --out=bvlc_alexnet.safetensors
    python tools/convert_weights.py --model=vgg16 --channel-order=rgb \
        --src=vgg16_weights.npz --out=vgg16.safetensors
    python tools/convert_weights.py --check=vgg16.safetensors

Formats are told by content: Caffe's .caffemodel (both encodings), .caffemodel.h5 and
.npy, .npz, Keras' .h5, PyTorch's .pth and .safetensors (with torchvision's or
Caffe's names), .onnx. Whatever the source's colours, the file written takes BGR less
Caffe's mean. Nothing that a file asks for is run.

The sources are not ours to ship. They are public, and --download knows them:

"""

import argparse
import concurrent.futures
import hashlib
import json
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxart import storage
from jaxart.models import MODELS, Network, imagenet, with_todays_name
from jaxart.models.layers import FC_NAMES, HEAD
from jaxart.weights import WeightsError, canonical, downloads, known_files, sources
from jaxart.weights.channel_order import (
    CHANNEL_ORDERS,
    for_caffe_input,
    recognise_channel_order,
)
from jaxart.weights.merge import check_fit

Params = dict[str, dict[str, np.ndarray]]


class Converted(NamedTuple):
    """A source as it would be written.

    Attributes:
      params: for BGR input, in network order.
      metadata: of the file to write.
      remark: how the channel order is known.
      contradiction: what the first layer's values say against the order stated, or ''.
    """

    params: Params
    metadata: dict[str, str]
    remark: str
    contradiction: str


def main(argv: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = _parser()
    flags = parser.parse_args(argv)
    if flags.norm_order and flags.model != "alexnet":
        parser.error("--norm-order is AlexNet's; pool_norm is --model=caffenet today")
    if flags.norm_order:
        flags.model, _ = with_todays_name(flags.model, {"norm_order": flags.norm_order})
    try:
        if flags.check is not None:
            return _check(flags, parser)
        if flags.model is None:
            parser.error("--model is missing")
        if flags.download is not None:
            known = known_files.find(flags.model, flags.download)
            flags.src = downloads.download(known, mirrors=flags.mirror)
            flags.channel_order = flags.channel_order or known.channel_order
        out = flags.out or Path(MODELS[flags.model].weight_file)
        converted = convert(flags.src, flags)
        if converted.contradiction:
            raise WeightsError(f"{flags.src}: {converted.contradiction}")
        canonical.write(out, converted.params, converted.metadata)
        print(_report(converted.params, canonical.read_metadata(out)))
        print(f"{converted.remark}\nwritten: {out}")
    except (WeightsError, OSError) as error:
        print(f"convert_weights: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nconvert_weights: stopped; nothing is written", file=sys.stderr)
        return 130
    return 0


def convert(src: storage.AnyPath, flags: argparse.Namespace) -> Converted:
    """Reads a source, requires it to be the model that the flags name, and turns it.

    Raises:
      WeightsError: the source is bad, does not fit, or contradicts a flag.
      OSError: the source cannot be opened.
    """
    network = _network(flags)
    path = storage.local_copy(src)
    if canonical.is_canonical(path):
        raise WeightsError(f"{path}: is a jaxart weight file already")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        digest = pool.submit(_sha256, path)  # hashing takes as long as reading
        source = sources.read(path, network)
    params = _in_network_order(path, flags.model, source.params)
    order, contradiction = _channel_order(path, source, flags.channel_order)
    first = params[next(iter(params))]
    first["kernel"], first["bias"] = for_caffe_input(
        first["kernel"], first["bias"], order, network.preprocessing["mean"]
    )
    metadata = canonical.model_metadata(network) | {
        "source": path.name,
        "source_sha256": digest.result(),
        "source_channel_order": order,
        "resize": "",
        "class_names": json.dumps(_class_names(path, params, flags.class_names)),
    }
    return Converted(params, metadata, source.reason, contradiction)


def _parser() -> argparse.ArgumentParser:
    known = "".join(
        f"  {file.name}\n      {file.model}, {file.urls[0]}\n"
        for file in known_files.KNOWN_FILES
    )
    parser = argparse.ArgumentParser(
        prog="convert_weights",
        description=__doc__ + known,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model", choices=MODELS)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--src", type=storage.path, help="the file to convert")
    source.add_argument(
        "--download",
        nargs="?",
        const="",
        metavar="NAME",
        help="convert a public file, fetched once into the user's cache folder; by "
        "default the model's first of the list above",
    )
    source.add_argument(
        "--check",
        type=storage.path,
        metavar="FILE",
        help="read a converted file again, verify it and print what it holds; or (with "
        "--model) any source, without writing",
    )
    parser.add_argument(
        "--out",
        type=storage.path,
        help="the .safetensors file to write; by default the network's own, as configs "
        "expect it: vgg16.safetensors, bvlc_alexnet.safetensors",
    )
    parser.add_argument(
        "--channel-order",
        choices=CHANNEL_ORDERS,
        help="what the source's first layer takes: blue first, red first, or red first "
        "on torchvision's scale; needed where the file does not say (.npz, most .onnx)",
    )
    parser.add_argument(
        "--class-names",
        type=storage.path,
        metavar="FILE",
        help="the classes, one a line in the order of the logits, where they are not "
        "ImageNet's",
    )
    parser.add_argument(
        "--norm-order",
        choices=("norm_pool", "pool_norm"),
        help="the old way to say --model=caffenet: pool_norm, with --model=alexnet",
    )
    parser.add_argument(
        "--lrn-alpha",
        type=float,
        help="AlexNet, CaffeNet: Caffe's alpha of the response norm, before its "
        "division by the local size (default 1e-4)",
    )
    parser.add_argument(
        "--mirror",
        action="append",
        default=[],
        metavar="URL",
        help="a folder that holds the file to download, tried first; may be repeated",
    )
    return parser


def _check(flags: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Prints what a file holds; returns 1 where something speaks against it."""
    if canonical.is_canonical(flags.check):
        params, metadata = canonical.verify(flags.check)
        _require_fit(flags.check, metadata["model"], params)
        contradiction = _contradiction(params, "bgr")
        remark = "sound: every bit is as it was written"
    else:
        if flags.model is None:
            parser.error("--check of a file that is not converted needs --model")
        params, metadata, remark, contradiction = convert(flags.check, flags)
    print(_report(params, metadata))
    if contradiction:
        print(f"warning: {flags.check}: {contradiction}", file=sys.stderr)
        return 1
    print(remark)
    return 0


def _in_network_order(path: Path, model: str, found: Params) -> Params:
    wanted = _require_fit(path, model, found)
    return {layer: dict(found[layer]) for layer in wanted}


def _require_fit(path: Path, model: str, found: Params) -> list[str]:
    """Requires a network of this kind, of any head; returns its layers in order."""

    def width(layer: str, default: int) -> int:
        return int(np.size(found.get(layer, {}).get("bias", np.empty(default))))

    size = MODELS[model].preprocessing["size"]
    has_fc = any(layer.startswith("fc") for layer in found)
    network = MODELS[model](
        num_classes=width(HEAD, imagenet.NUM_CLASSES),
        hidden=tuple(width(name, 4096) for name in FC_NAMES if name in found),
    )
    images = jnp.zeros((1, size, size, 3))
    wanted = jax.eval_shape(lambda: network.init(jax.random.key(0), images))["params"]
    if not has_fc:
        wanted = {name: value for name, value in wanted.items() if name != HEAD}
    try:
        check_fit(wanted, found)
    except WeightsError as error:
        raise WeightsError(f"{path}: for {model}: {error}") from None
    return list(wanted)


def _channel_order(
    path: Path, source: sources.Source, stated: str | None
) -> tuple[str, str]:
    """What the first layer takes, and what its values say against it."""
    if stated is None and source.channel_order is None:
        raise WeightsError(
            f"{path}: the file does not say its channel order: state "
            "--channel-order=rgb (the public vgg16_weights.npz is RGB), "
            "--channel-order=bgr (weights in Caffe's order) or "
            "--channel-order=torchvision"
        )
    if stated in (None, source.channel_order) or source.channel_order is None:
        return stated or source.channel_order, ""
    if source.is_recognised:
        return stated, _contradiction(source.params, stated)
    raise WeightsError(
        f"{path}: --channel-order={stated}, but {source.reason}: leave the flag out"
    )


def _contradiction(params: Params, channel_order: str) -> str:
    known = recognise_channel_order(params)
    if known in (None, channel_order):
        return ""
    return (
        f"the channel order stated is {channel_order}, but the first layer is the "
        f"Oxford VGG16's in {known} order: the right flag is --channel-order={known}"
    )


def _class_names(path: Path, params: Params, listing: Path | None) -> list[str]:
    num_classes = params[HEAD]["bias"].size if HEAD in params else 0
    if listing is None:
        return list(imagenet.class_names()) if num_classes == 1000 else []
    names = [line.strip() for line in listing.read_text("utf-8").splitlines()]
    names = [name for name in names if name]
    if len(names) != num_classes:
        raise WeightsError(
            f"{listing}: {len(names)} names for the {num_classes} classes of {path}"
        )
    return names


def _network(flags: argparse.Namespace) -> Network:
    """The network that the flags name, as wide as it was published."""
    kind = MODELS[flags.model]
    if flags.lrn_alpha is None:
        return kind()
    if "lrn_alpha" not in kind.trained_with:
        raise WeightsError(f"--lrn-alpha: {flags.model} has no response norm")
    return kind(lrn_alpha=flags.lrn_alpha)


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _report(params: Params, metadata: dict[str, str]) -> str:
    lines = [f"{'layer':<10}{'kernel':<18}{'kernel norm':>12}{'bias norm':>12}"]
    for layer, arrays in params.items():
        shape = "x".join(map(str, arrays["kernel"].shape))
        kernel_norm, bias_norm = (
            np.linalg.norm(arrays[name].ravel()) for name in ("kernel", "bias")
        )
        lines.append(f"{layer:<10}{shape:<18}{kernel_norm:>12.4f}{bias_norm:>12.4f}")
    if HEAD not in params:
        lines.append("(no fully connected layers)")
    names = json.loads(metadata["class_names"])
    classes = f"{len(names)}, {names[0]} to {names[-1]}" if names else "not named"
    shown = {key: value for key, value in metadata.items() if key != "layers"}
    shown["class_names"] = classes
    lines += ["", *(f"{key}: {value}" for key, value in sorted(shown.items()))]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
