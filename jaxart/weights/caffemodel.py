"""Caffe's own weight files: `.caffemodel`, a NetParameter in binary protobuf.

Both encodings are read: `layers` of V1LayerParameter with blobs of four dimensions, as
`bvlc_alexnet.caffemodel` and `VGG_ILSVRC_16_layers.caffemodel` have them, and `layer`
of LayerParameter. Convolutions are OIHW there and inner products (out, in); the first
inner product after a convolution reads its map as C, H, W. The input is BGR.

The wire format is walked here, not by the protobuf runtime: the walk is short, it
reads the floats in place from a mapped file, where the runtime needs the file and a
copy in memory and stops at 2 GB, and every size is compared with the file before
memory is taken.

References:
  https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto
  https://protobuf.dev/programming-guides/encoding
"""

import io
import math
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from jaxart.weights.errors import WeightsError, refuse_bad_file

# Wire types.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Field numbers, each with the wire types that it may have.
_NET = {
    1: (_BYTES,),  # name
    2: (_BYTES,),  # layers, of V1LayerParameter
    3: (_BYTES,),  # input
    4: (_VARINT,),  # input_dim
    5: (_VARINT,),  # force_backward
    6: (_BYTES,),  # state
    7: (_VARINT,),  # debug_info
    8: (_BYTES,),  # input_shape
    100: (_BYTES,),  # layer, of LayerParameter
}
_V1_LAYER = {4: (_BYTES,), 5: (_VARINT,), 6: (_BYTES,)}  # name, type, blobs
_LAYER = {1: (_BYTES,), 2: (_BYTES,), 7: (_BYTES,)}  # likewise
_BLOB = {
    1: (_VARINT,),  # num
    2: (_VARINT,),  # channels
    3: (_VARINT,),  # height
    4: (_VARINT,),  # width
    5: (_BYTES, _FIXED32),  # data
    7: (_BYTES,),  # shape
    8: (_BYTES, _FIXED64),  # double_data
}
_BLOB_SHAPE = {1: (_VARINT, _BYTES)}  # dim

_V1_TYPES = {4: "Convolution", 14: "InnerProduct"}

# Floats that are not packed, each after its tag.
_UNPACKED_DATA = re.compile(rb"(?:\x2d.{4})++", re.DOTALL)
_TAGGED_FLOAT = np.dtype([("tag", "u1"), ("value", "<f4")])

# Networks here have hundreds; a large file of tiny ones would be walked for minutes.
_MAX_FIELDS = 20_000
_MAX_NAME_BYTES = 1000


class _Layer(NamedTuple):
    name: str
    type: str
    blobs: list[memoryview]


def read(path: str | Path) -> dict[str, dict[str, np.ndarray]]:
    """Reads a `.caffemodel` of convolutions and inner products.

    Args:
      path: the file.

    Returns:
      `{'conv1': {'kernel', 'bias'}, ...}`, float32, layers in the file's order.

    Raises:
      WeightsError: no caffemodel, a layer of another type with weights, a damaged file.
      OSError: the file cannot be opened.
    """
    with open(path, "rb") as stream, refuse_bad_file(path):
        try:
            return _read_net(stream)
        except ValueError as error:
            raise WeightsError(f"{path}: {error}") from error


def is_caffemodel(path: str | Path) -> bool:
    """Tells by the outermost message whether a file is a whole `.caffemodel`.

    Raises:
      OSError: the file cannot be opened.
    """
    with open(path, "rb") as stream:
        try:
            _layer_messages(stream, _Walker())
        except ValueError:
            return False
    return True


def _read_net(stream: io.BufferedIOBase) -> dict[str, dict[str, np.ndarray]]:
    walker = _Walker()
    try:
        messages = _layer_messages(stream, walker)
    except ValueError as error:
        reason = str(error)
        if re.fullmatch(rb"[\t\n\r -~]+", stream.read(200)):
            reason = "it is text, as a .prototxt is; the weights are another file"
        raise ValueError(f"no caffemodel, or a damaged one: {reason}") from None
    params = {}
    filters = None  # of the convolution just before, if there is one
    for number, message in messages:
        layer = _read_layer(walker, number, message)
        if not layer.blobs:
            continue
        if layer.name in params:
            raise ValueError(f"layer {layer.name!r} is there twice")
        if layer.type not in _V1_TYPES.values():
            raise ValueError(
                f"layer {layer.name!r} has weights and is of type {layer.type!r}; the "
                f"types read are {' and '.join(_V1_TYPES.values())}"
            )
        try:
            kernel, bias = _kernel_and_bias(walker, layer)
            if layer.type == "Convolution":
                filters = len(bias)
                kernel = _hwio(kernel)
            else:
                kernel = _in_out(kernel, filters)
                filters = None
        except ValueError as error:
            raise ValueError(f"layer {layer.name!r}: {error}") from error
        params[layer.name] = {"kernel": kernel, "bias": np.array(bias, np.float32)}
    if not params:
        raise ValueError("a caffemodel without weights")
    return params


def _layer_messages(stream, walker: "_Walker") -> list[tuple[int, memoryview]]:
    """The layers, each with its field number, once the whole file is walked."""
    # The arrays' views keep the map open, so it is left to be closed with them.
    net = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    messages = [
        (number, value)
        for number, _, value in walker.fields(net, _NET)
        if number in (2, 100)
    ]
    if not messages:
        raise ValueError("it has no layers")
    return messages


def _read_layer(walker: "_Walker", number: int, message: memoryview) -> _Layer:
    is_v1 = number == 2
    schema = _V1_LAYER if is_v1 else _LAYER
    name_field, type_field, _ = schema
    name = kind = ""
    blobs = []
    for field, _, value in walker.fields(message, schema):
        if field == name_field:
            name = _text(value)
        elif field != type_field:
            blobs.append(value)
        elif is_v1:
            kind = _V1_TYPES.get(value, f"{value} of V1LayerParameter")
        else:
            kind = _text(value)
    return _Layer(name, kind, blobs)


def _text(value: memoryview) -> str:
    if len(value) > _MAX_NAME_BYTES:
        raise ValueError(f"a name of {len(value):,} bytes")
    return str(value, "utf-8")


def _kernel_and_bias(walker: "_Walker", layer: _Layer) -> tuple[np.ndarray, np.ndarray]:
    """Views of the file: (out, in, height, width) or (out, in), and (out,)."""
    if len(layer.blobs) != 2:
        raise ValueError(f"{len(layer.blobs)} blobs; a kernel and a bias are read")
    kernel, bias = (_read_blob(walker, blob) for blob in layer.blobs)
    num_dims = 4 if layer.type == "Convolution" else 2
    # The dimensions before these are the ones that fill up the four of a V1 blob.
    kernel_shape, bias_shape = kernel.shape[-num_dims:], bias.shape[-1:]
    if (
        len(kernel_shape) < num_dims
        or kernel.size != math.prod(kernel_shape)
        or bias_shape != kernel_shape[:1]
        or bias.size != bias_shape[0]
    ):
        raise ValueError(
            f"kernel {kernel.shape} and bias {bias.shape} are no {layer.type}'s"
        )
    return kernel.reshape(kernel_shape), bias.reshape(bias_shape)


def _read_blob(walker: "_Walker", message: memoryview) -> np.ndarray:
    v1_shape, shape, chunks = {}, [], []
    for number, wire, value in walker.fields(message, _BLOB):
        if number <= 4:
            v1_shape[number] = _signed(value)
        elif number == 5 and wire == _BYTES:
            chunks.append(np.frombuffer(value, "<f4"))
        elif number == 5:
            chunks.append(np.frombuffer(value, _TAGGED_FLOAT)["value"])
        elif number == 7:
            shape += _dims(walker, value)
        else:
            raise ValueError("weights in double precision, which are not read")
    if v1_shape:  # goes before shape in Caffe too, see Blob::FromProto
        shape = [v1_shape.get(number, 0) for number in (1, 2, 3, 4)]
    num_floats = sum(len(chunk) for chunk in chunks)
    if not 1 <= len(shape) <= 4 or min(shape) < 1 or math.prod(shape) != num_floats:
        raise ValueError(
            f"a blob says shape {tuple(shape[:5])}, but holds {num_floats:,} floats"
        )
    data = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
    return data.reshape(shape)


def _dims(walker: "_Walker", message: memoryview) -> list[int]:
    dims = []
    for _, wire, value in walker.fields(message, _BLOB_SHAPE):
        if wire == _VARINT:
            dims.append(_signed(value))
            continue
        if len(value) > 100:
            raise ValueError(f"{len(value):,} bytes of dimensions")
        position = 0
        while position < len(value):
            dim, position = _varint(value, position)
            dims.append(_signed(dim))
    return dims


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _hwio(
    kernel: Float32[np.ndarray, "out in height width"],
) -> Float32[np.ndarray, "height width in out"]:
    return np.array(kernel.transpose(2, 3, 1, 0), np.float32, order="C")


def _in_out(
    kernel: Float32[np.ndarray, "out in"], filters: int | None
) -> Float32[np.ndarray, "in out"]:
    """Transposes, and turns inputs in C, H, W order, C the filters, to H, W, C."""
    if filters is None:
        return np.array(kernel.T, np.float32, order="C")
    num_out, num_in = kernel.shape
    size = math.isqrt(num_in // filters)
    if size * size * filters != num_in:
        raise ValueError(f"{num_in:,} inputs are no square map of {filters} channels")
    maps = kernel.reshape(num_out, filters, size, size)
    return _hwio(maps).reshape(num_in, num_out)


class _Walker:
    """Walks messages of one file, and counts their fields: a hostile file has many."""

    def __init__(self):
        self._num_fields = 0

    def fields(
        self, message: memoryview, schema: dict[int, tuple[int, ...]]
    ) -> Iterator[tuple[int, int, int | memoryview]]:
        """Yields the fields of a schema, each as number, wire type and value.

        Floats of data that are not packed come as one field, with their tags: taken
        one by one, VGG16's would take minutes.

        Raises:
          ValueError: not a message of that schema.
        """
        position = 0
        while position < len(message):
            self._num_fields += 1
            if self._num_fields > _MAX_FIELDS:
                raise ValueError(f"more than {_MAX_FIELDS:,} protobuf fields")
            if run := _UNPACKED_DATA.match(message, position):
                number, wire, start, end = 5, _FIXED32, position, run.end()
            else:
                tag, start = _varint(message, position)
                number, wire = tag >> 3, tag & 7
                start, end = _value_range(message, start, wire)
            if number == 0 or wire not in schema.get(number, (wire,)):
                raise ValueError(f"a protobuf field {number} of wire type {wire}")
            if end > len(message):
                raise ValueError(
                    f"a protobuf field {number} of {end - start:,} bytes, where "
                    f"{len(message) - start:,} are left"
                )
            if number in schema:
                value = message[start:end]
                yield number, wire, _varint(value, 0)[0] if wire == _VARINT else value
            position = end


def _value_range(message: memoryview, start: int, wire: int) -> tuple[int, int]:
    """Where a value starts and ends, if its message is not cut short."""
    if wire == _VARINT:
        return start, _varint(message, start)[1]
    if wire == _BYTES:
        length, start = _varint(message, start)
        return start, start + length
    if wire in (_FIXED32, _FIXED64):
        return start, start + (4 if wire == _FIXED32 else 8)
    raise ValueError(f"protobuf wire type {wire}")


def _varint(message: memoryview, start: int) -> tuple[int, int]:
    """Returns the number that starts there, and where it ends."""
    value = 0
    for i, byte in enumerate(message[start : start + 10]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, start + i + 1
    raise ValueError("a protobuf number without end")
