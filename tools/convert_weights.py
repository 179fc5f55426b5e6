r"""Converts public Caffe weights to the one weight file that jaxart reads.

    python tools/convert_weights.py --model=alexnet \
        --src=bvlc_alexnet.npy --out=alexnet.safetensors
    python tools/convert_weights.py --model=vgg16 --channel-order=rgb \
        --src=vgg16_weights.npz --out=vgg16.safetensors

The sources are not ours to ship. They are public:

  bvlc_alexnet.npy          www.cs.toronto.edu/~guerzhoy/tf_alexnet/
                            Caffe's AlexNet; BGR, as every Caffe .npy is
  bvlc_alexnet.caffemodel   dl.caffe.berkeleyvision.org
                            the same, in Caffe's own format
  vgg16_weights.npz         www.cs.toronto.edu/~frossard/vgg16/
                            the Oxford VGG16; RGB, to be stated: --channel-order=rgb
  VGG_ILSVRC_16_layers.caffemodel
                            www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/
                            the same, in Caffe's own format; BGR
  vgg16_weights_tf_dim_ordering_tf_kernels.h5
                            storage.googleapis.com/tensorflow/keras-applications/vgg16/
                            the same, from Keras; BGR (needs h5py)
  model.safetensors         huggingface.co/timm/vgg16.tv_in1k
                            torchvision's VGG16; RGB and another scale, which are
                            folded into its first layer

The format is told by the content. Whatever the source's order, the file written is
BGR. Nothing that a .npy file asks for is run.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxart.models import MODELS
from jaxart.models.alexnet import NORM_ORDERS
from jaxart.weights import (
    caffe_npy,
    caffemodel,
    canonical,
    keras_h5,
    npz,
    torchvision,
)
from jaxart.weights.channel_order import (
    CHANNEL_ORDERS,
    first_layer_channel_check,
    recognise_channel_order,
    to_bgr,
)
from jaxart.weights.errors import WeightsError
from jaxart.weights.merge import check_fit

# Formats whose channel order is known; others do not say. Torchvision's reader has
# turned it round already.
KNOWN_ORDERS = {
    "npy": ("bgr", "a .npy dict is Caffe's own format, and Caffe is BGR"),
    "caffemodel": ("bgr", "a .caffemodel is Caffe's own format, and Caffe is BGR"),
    "keras": ("bgr", "Keras' VGG16 is Caffe's, and Caffe is BGR"),
    "torchvision": ("rgb", "torchvision is RGB"),
}


def main(argv: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    flags = _parse_flags(argv)
    try:
        params, metadata, remark = convert(flags)
        canonical.write(flags.out, params, metadata)
        print(_report(params, canonical.read_metadata(flags.out), remark))
    except (WeightsError, OSError) as error:
        print(f"convert_weights: {error}", file=sys.stderr)
        return 1
    return 0


def convert(
    flags: argparse.Namespace,
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, str], str]:
    """Reads and checks a source file.

    Returns:
      The parameters for BGR input in network order, the metadata of the file to write,
      and a remark on how sure the channel order is.

    Raises:
      WeightsError: the source is bad, does not fit, or contradicts a flag.
      OSError: the source cannot be opened.
    """
    source_format, found = _read_source(flags.src)
    wanted = _expected_shapes(flags.model)
    if not any(layer.startswith("fc") for layer in found):
        wanted = {name: value for name, value in wanted.items() if name[:2] != "fc"}
    try:
        check_fit(wanted, found)
    except WeightsError as error:
        raise WeightsError(f"{flags.src}: for {flags.model}: {error}") from None

    params = {layer: dict(found[layer]) for layer in wanted}
    first = params[next(iter(params))]
    source_order = _source_channel_order(
        flags, source_format, recognise_channel_order(first["kernel"], first["bias"])
    )
    is_confirmed = first_layer_channel_check(
        flags.src, first["kernel"], first["bias"], source_order
    )
    if source_format != "torchvision":
        first["kernel"] = to_bgr(first["kernel"], source_order)
    if is_confirmed:
        remark = "the first layer is the Oxford VGG16's: its channel order is right"
    elif source_format in KNOWN_ORDERS:
        reason = KNOWN_ORDERS[source_format][1]
        remark = f"the channel order follows from the format: {reason}"
    else:
        remark = "the channel order is as stated: these weights are not known ones"

    preprocessing = MODELS[flags.model].preprocessing
    metadata = {
        "model": flags.model,
        "source": flags.src.name,
        "source_sha256": _sha256(flags.src),
        "source_channel_order": source_order,
        "mean": json.dumps(list(preprocessing["mean"])),
        "size": str(preprocessing["size"]),
        **_norm_metadata(flags),
    }
    return params, metadata, remark


def _parse_flags(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="convert_weights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model", required=True, choices=MODELS)
    parser.add_argument("--src", required=True, type=Path, help="the file to convert")
    parser.add_argument(
        "--out", required=True, type=Path, help="the .safetensors file to write"
    )
    parser.add_argument(
        "--channel-order",
        choices=CHANNEL_ORDERS,
        help="the colour that the source's first layer takes first; "
        "a .npz needs it, other formats have one",
    )
    parser.add_argument(
        "--norm-order",
        choices=NORM_ORDERS,
        help="AlexNet: norm_pool (bvlc_alexnet, the default) or pool_norm (CaffeNet)",
    )
    parser.add_argument(
        "--lrn-alpha",
        type=float,
        help="AlexNet: Caffe's alpha of the response norm, before its division by the "
        "local size (default 1e-4)",
    )
    return parser.parse_args(argv)


def _read_source(path: Path) -> tuple[str, dict[str, dict[str, np.ndarray]]]:
    with open(path, "rb") as stream:
        magic = stream.read(6)
    if magic == b"\x93NUMPY":
        return "npy", caffe_npy.read(path)
    if torchvision.is_torchvision_file(path):
        return "torchvision", torchvision.read(path)
    if magic.startswith(b"PK\x03\x04"):
        return "npz", npz.read(path)
    if keras_h5.is_hdf5(path):
        return "keras", keras_h5.read(path)
    if caffemodel.is_caffemodel(path):
        return "caffemodel", caffemodel.read(path)
    raise WeightsError(
        f"{path}: no .npy, .npz, .caffemodel, .h5, .safetensors or .pth file (it "
        f"starts with {magic!r})"
    )


def _expected_shapes(model: str) -> dict[str, dict[str, jax.ShapeDtypeStruct]]:
    size = MODELS[model].preprocessing["size"]

    def init():
        return MODELS[model]().init(jax.random.key(0), jnp.zeros((1, size, size, 3)))

    return jax.eval_shape(init)["params"]


def _source_channel_order(
    flags: argparse.Namespace, source_format: str, known: str | None
) -> str:
    stated = flags.channel_order
    if source_format in KNOWN_ORDERS:
        order, reason = KNOWN_ORDERS[source_format]
        if stated not in (None, order) and known != stated:
            raise WeightsError(
                f"{flags.src}: --channel-order={stated}, but {reason}: leave the flag "
                "out"
            )
        return stated or order
    if stated is None:
        raise WeightsError(
            f"{flags.src}: a .npz does not say its channel order: state "
            "--channel-order=rgb (the public vgg16_weights.npz is RGB) or "
            "--channel-order=bgr (weights in Caffe's order)"
        )
    return stated


def _norm_metadata(flags: argparse.Namespace) -> dict[str, str]:
    if flags.model == "alexnet":
        alpha = 1e-4 if flags.lrn_alpha is None else flags.lrn_alpha
        return {
            "norm_order": flags.norm_order or "norm_pool",
            "lrn_alpha": repr(alpha),
        }
    if flags.norm_order is not None or flags.lrn_alpha is not None:
        raise WeightsError(
            f"--norm-order and --lrn-alpha are AlexNet's; {flags.model} has no norm"
        )
    return {}


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _report(
    params: dict[str, dict[str, np.ndarray]], metadata: dict[str, str], remark: str
) -> str:
    lines = [f"{'layer':<10}{'kernel':<18}{'kernel norm':>12}{'bias norm':>12}"]
    for layer, arrays in params.items():
        shape = "x".join(map(str, arrays["kernel"].shape))
        kernel_norm, bias_norm = (
            np.linalg.norm(arrays[name].ravel()) for name in ("kernel", "bias")
        )
        lines.append(f"{layer:<10}{shape:<18}{kernel_norm:>12.4f}{bias_norm:>12.4f}")
    if not any(layer.startswith("fc") for layer in params):
        lines.append("(no fully connected layers in the source)")
    lines.append("")
    lines += [
        f"{key}: {value}" for key, value in sorted(metadata.items()) if key != "layers"
    ]
    lines.append(remark)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
