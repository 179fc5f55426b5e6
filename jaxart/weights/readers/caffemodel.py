"""Caffe's own weight files: `.caffemodel`, a NetParameter in binary protobuf.

Both encodings are read: `layers` of V1LayerParameter with blobs of four dimensions, as
`bvlc_alexnet.caffemodel` and `VGG_ILSVRC_16_layers.caffemodel` have them, and `layer`
of LayerParameter. Convolutions are OIHW there and inner products (out, in); the first
inner product after a convolution reads its map as C, H, W. The input is BGR.

Reference: https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxart.weights.errors import WeightsError, refuse_bad_file
from jaxart.weights.layout import Params, from_caffe
from jaxart.weights.readers.protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    TAGGED_FLOAT,
    VARINT,
    Walker,
    integer,
    map_file,
    text,
    varints,
)

# Field numbers, each with the wire types that it may have.
_NET = {
    1: (BYTES,),  # name
    2: (BYTES,),  # layers, of V1LayerParameter
    3: (BYTES,),  # input
    4: (VARINT,),  # input_dim
    5: (VARINT,),  # force_backward
    6: (BYTES,),  # state
    7: (VARINT,),  # debug_info
    8: (BYTES,),  # input_shape
    100: (BYTES,),  # layer, of LayerParameter
}
_V1_LAYER = {4: (BYTES,), 5: (VARINT,), 6: (BYTES,)}  # name, type, blobs
_LAYER = {1: (BYTES,), 2: (BYTES,), 7: (BYTES,)}  # likewise
_BLOB = {
    **dict.fromkeys((1, 2, 3, 4), (VARINT,)),  # num, channels, height, width
    5: (BYTES, FIXED32),  # data
    7: (BYTES,),  # shape
    8: (BYTES, FIXED64),  # double_data
}
_BLOB_SHAPE = {1: (VARINT, BYTES)}  # dim

_V1_TYPES = {4: "Convolution", 14: "InnerProduct"}


def read(path: str | Path) -> Params:
    """Reads a `.caffemodel` of convolutions and inner products.

    Returns:
      `{'conv1': {'kernel', 'bias'}, ...}`, float32, layers in the file's order.

    Raises:
      WeightsError: no caffemodel, a layer of another type with weights, a damaged file.
      OSError: the file cannot be opened.
    """
    walker = Walker(unpacked_floats=5)
    with open(path, "rb") as stream, refuse_bad_file(path):
        try:
            messages = _layer_messages(stream, walker)
        except ValueError as error:
            reason = str(error)
            if re.fullmatch(rb"[\t\n\r -~]+", stream.read(200)):
                reason = "it is text, as a .prototxt is; the weights are another file"
            raise WeightsError(f"no caffemodel, or a damaged one: {reason}") from None
        params = from_caffe(_read_layers(walker, messages))
        if not params:
            raise WeightsError("a caffemodel without weights")
        return params


def is_caffemodel(path: str | Path) -> bool:
    """Tells by the outermost message whether a file is a whole `.caffemodel`.

    Raises:
      OSError: the file cannot be opened.
    """
    with open(path, "rb") as stream:
        try:
            _layer_messages(stream, Walker(unpacked_floats=5))
        except ValueError:
            return False
    return True


def _read_layers(
    walker: Walker, messages: list[tuple[int, memoryview]]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields the layers with weights: each one's name, kernel and bias."""
    names = set()
    for number, message in messages:
        name, kind, blobs = _read_layer(walker, number, message)
        if not blobs:
            continue
        if name in names:
            raise WeightsError(f"layer {name!r} is there twice")
        names.add(name)
        if kind not in _V1_TYPES.values():
            raise WeightsError(
                f"layer {name!r} has weights and is of type {kind!r}; the types read "
                f"are {' and '.join(_V1_TYPES.values())}"
            )
        try:
            kernel, bias = _kernel_and_bias(walker, kind, blobs)
        except WeightsError as error:
            raise WeightsError(f"layer {name!r}: {error}") from error
        yield name, kernel, bias


def _layer_messages(stream, walker: Walker) -> list[tuple[int, memoryview]]:
    """The layers, each with its field number, once the whole file is walked."""
    # The arrays' views keep the map open, so it is left to be closed with them.
    net = map_file(stream)
    messages = [
        (number, value)
        for number, _, value in walker.fields(net, _NET)
        if number in (2, 100)
    ]
    if not messages:
        raise WeightsError("it has no layers")
    return messages


def _read_layer(
    walker: Walker, number: int, message: memoryview
) -> tuple[str, str, list[memoryview]]:
    """Returns a layer's name, its type, and its blobs."""
    is_v1 = number == 2
    schema = _V1_LAYER if is_v1 else _LAYER
    name_field, type_field, _ = schema
    name = kind = ""
    blobs = []
    for field, _, value in walker.fields(message, schema):
        if field == name_field:
            name = text(value)
        elif field != type_field:
            blobs.append(value)
        elif is_v1:
            number = integer(value)
            kind = _V1_TYPES.get(number, f"{number} of V1LayerParameter")
        else:
            kind = text(value)
    return name, kind, blobs


def _kernel_and_bias(
    walker: Walker, kind: str, blobs: list[memoryview]
) -> tuple[np.ndarray, np.ndarray]:
    """Views of the file: (out, in, height, width) or (out, in), and (out,)."""
    if len(blobs) != 2:
        raise WeightsError(f"{len(blobs)} blobs; a kernel and a bias are read")
    kernel, bias = (_read_blob(walker, blob) for blob in blobs)
    num_dims = 4 if kind == "Convolution" else 2
    # The dimensions before these are the ones that fill up the four of a V1 blob.
    kernel_shape, bias_shape = kernel.shape[-num_dims:], bias.shape[-1:]
    if (
        len(kernel_shape) < num_dims
        or kernel.size != math.prod(kernel_shape)
        or bias_shape != kernel_shape[:1]
        or bias.size != bias_shape[0]
    ):
        raise WeightsError(
            f"kernel {kernel.shape} and bias {bias.shape} are no {kind}'s"
        )
    return kernel.reshape(kernel_shape), bias.reshape(bias_shape)


def _read_blob(walker: Walker, message: memoryview) -> np.ndarray:
    v1_shape, shape, chunks = {}, [], []
    for number, wire, value in walker.fields(message, _BLOB):
        if number <= 4:
            v1_shape[number] = integer(value)
        elif number == 5 and wire == BYTES:
            chunks.append(np.frombuffer(value, "<f4"))
        elif number == 5:
            chunks.append(np.frombuffer(value, TAGGED_FLOAT)["value"])
        elif number == 7:
            for _, wire, dim in walker.fields(value, _BLOB_SHAPE):
                shape += [integer(dim)] if wire == VARINT else varints(dim)
        else:
            raise WeightsError("weights in double precision, which are not read")
    if v1_shape:  # goes before shape in Caffe too, see Blob::FromProto
        shape = [v1_shape.get(number, 0) for number in (1, 2, 3, 4)]
    num_floats = sum(len(chunk) for chunk in chunks)
    if not 1 <= len(shape) <= 4 or min(shape) < 1 or math.prod(shape) != num_floats:
        raise WeightsError(
            f"a blob says shape {tuple(shape[:5])}, but holds {num_floats:,} floats"
        )
    data = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
    return data.reshape(shape)
