"""Writes Caffe's two files, without Caffe: the network's text and its weights.

References:
  caffe.proto (field numbers): github.com/BVLC/caffe, src/caffe/proto
  protobuf.dev/programming-guides/encoding
"""

from typing import NamedTuple

import numpy as np

PARAMETER_FIELDS = {
    "Convolution": "convolution_param",
    "Dropout": "dropout_param",
    "InnerProduct": "inner_product_param",
    "LRN": "lrn_param",
    "Pooling": "pooling_param",
}


class Layer(NamedTuple):
    """A layer as a prototxt gives it, and the shape of its first blob (OIHW, OI)."""

    name: str
    type: str
    settings: str = ""
    shape: tuple[int, ...] = ()


def prototxt(layers: list[Layer], input_shape: tuple[int, int, int, int]) -> bytes:
    """The text of a chain of layers; each layer's output has the layer's name."""
    dims = " ".join(f"dim: {n}" for n in input_shape)
    lines = ['input: "data"', f"input_shape {{ {dims} }}"]
    bottom = "data"
    for name, kind, settings, _ in layers:
        if settings:
            settings = f"{PARAMETER_FIELDS[kind]} {{ {settings} }}"
        names = f'name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}"'
        lines.append(f"layer {{ {names} {settings} }}")
        bottom = name
    return "\n".join(lines).encode()


def caffemodel(layers: list[Layer], blobs: dict[str, list[np.ndarray]]) -> bytes:
    """The weights: NetParameter { layer = 100 { name = 1, type = 2, blobs = 7 } }."""
    return b"".join(
        _field(
            100,
            _field(1, layer.name.encode())
            + _field(2, layer.type.encode())
            + b"".join(_field(7, _blob(array)) for array in blobs[layer.name]),
        )
        for layer in layers
        if layer.name in blobs
    )


def _blob(array: np.ndarray) -> bytes:
    """BlobProto { shape = 7 { dim = 1, packed }, data = 5, packed floats }."""
    dims = b"".join(_varint(n) for n in array.shape)
    return _field(7, _field(1, dims)) + _field(5, array.astype("<f4").tobytes())


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
