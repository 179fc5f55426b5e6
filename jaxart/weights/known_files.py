"""The weight files that are publicly known: where they are, and their hashes.

Hashes: a .caffemodel's is in Caffe's model zoo, an .h5's in Keras' own source, and the
name of a .pth starts like its hash.
"""

import shlex
from pathlib import PurePath
from typing import NamedTuple

from jaxart.storage import AnyPath
from jaxart.weights.errors import WeightsError


class KnownFile(NamedTuple):
    """A public weight file."""

    name: str  # in the cache, and on mirrors
    model: str  # the network that it is for
    urls: tuple[str, ...]  # where it is public, in the order to try
    known_hash: str | None = None  # sha256:, sha1: or md5: and digits, if published
    num_bytes: int | None = None  # its size, where that is all that is known
    channel_order: str | None = None  # of its first layer, if the format is silent


def _https_then_http(address: str) -> tuple[str, ...]:
    return f"https://{address}", f"http://{address}"


_CAFFE = "http://dl.caffe.berkeleyvision.org/"
_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/"
_OXFORD = "www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/"

# A model's first file is its default.
KNOWN_FILES = (
    KnownFile(
        "bvlc_alexnet.npy",
        "alexnet",
        _https_then_http("www.cs.toronto.edu/~guerzhoy/tf_alexnet/bvlc_alexnet.npy"),
        "sha256:1294ef51496c52f2e4879ee3b5e1da22c35d61f3240937491b4469403d5428cc",
    ),
    KnownFile(
        "bvlc_alexnet.caffemodel",
        "alexnet",
        (f"{_CAFFE}bvlc_alexnet.caffemodel",),
        "sha1:9116a64c0fbe4459d18f4bb6b56d647b63920377",
    ),
    KnownFile(
        "bvlc_reference_caffenet.caffemodel",
        "caffenet",
        (f"{_CAFFE}bvlc_reference_caffenet.caffemodel",),
        "sha1:4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
    ),
    KnownFile(
        "VGG_ILSVRC_16_layers.caffemodel",
        "vgg16",
        _https_then_http(f"{_OXFORD}VGG_ILSVRC_16_layers.caffemodel"),
        "sha1:9363e1f6d65f7dba68c4f27a1e62105cdf6c4e24",
    ),
    KnownFile(
        "vgg16_weights.npz",
        "vgg16",
        ("https://www.cs.toronto.edu/~frossard/vgg16/vgg16_weights.npz",),
        num_bytes=553_436_134,
        channel_order="rgb",
    ),
    KnownFile(
        "vgg16_weights_tf_dim_ordering_tf_kernels.h5",
        "vgg16",
        (f"{_KERAS}vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5",),
        "md5:64373286793e3c8b2b4e3219cbf3544b",
    ),
    KnownFile(
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "vgg16",
        (f"{_KERAS}vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",),
        "md5:6d6bbae143d832006294945121d1f1fc",
    ),
    KnownFile(
        "vgg16.tv_in1k.safetensors",
        "vgg16",
        ("https://huggingface.co/timm/vgg16.tv_in1k/resolve/main/model.safetensors",),
        "sha256:57b026918159a6bf9faf8405c3a551903768e7138989d9c6224a14227203fad8",
    ),
    KnownFile(
        "VGG_ILSVRC_19_layers.caffemodel",
        "vgg19",
        _https_then_http(f"{_OXFORD}VGG_ILSVRC_19_layers.caffemodel"),
        "sha1:239785e7862442717d831f682bb824055e51e9ba",
    ),
    KnownFile(
        "vgg19_weights_tf_dim_ordering_tf_kernels.h5",
        "vgg19",
        (f"{_KERAS}vgg19/vgg19_weights_tf_dim_ordering_tf_kernels.h5",),
        "md5:cbe5617147190e668d6c5d5026f83318",
    ),
    KnownFile(
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "vgg19",
        (f"{_KERAS}vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",),
        "md5:253f8cb515780f3b799900260a226db6",
    ),
    KnownFile(
        "vgg19-dcbb9e9d.pth",
        "vgg19",
        ("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",),
        "sha256:dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    ),
)


def find(model: str, name: str = "") -> KnownFile:
    """Returns a known file of a model, by default its first.

    Raises:
      WeightsError: no such file is known; the message lists those that are.
    """
    of_model = [file for file in KNOWN_FILES if file.model == model]
    for file in of_model:
        if name in ("", file.name):
            return file
    choices = ", ".join(file.name for file in of_model) or "none"
    raise WeightsError(f"{name!r}: no known weight file of {model}; known: {choices}")


def named(name: str) -> KnownFile | None:
    """The known file of that name, if any."""
    return next((file for file in KNOWN_FILES if file.name == name), None)


def command_for(path: AnyPath) -> str | None:
    """Returns the command that makes a missing weight file, if its name says which.

    It does where it is a known file's, with any suffix, or a model's.
    """
    candidates = (
        [file for file in KNOWN_FILES if file.name == path.name]
        or [file for file in KNOWN_FILES if PurePath(file.name).stem == path.stem]
        or [file for file in KNOWN_FILES if file.model == path.stem]
    )
    if not candidates:
        return None
    file = candidates[0]
    choice = "" if file == find(file.model) else f"={file.name}"
    out = shlex.quote(str(path.with_suffix(".safetensors")))
    return f"jaxart convert --model={file.model} --download{choice} --out={out}"
