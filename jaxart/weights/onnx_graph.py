"""What an ONNX file holds: the nodes of its graph, its tensors, and its metadata.

Tensors are views of the mapped file, and are as long as their shapes say. Data in
other files are refused, whatever their path.

Reference: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import io
import math
import struct
from typing import NamedTuple

import numpy as np

from jaxart.weights.protobuf import (
    BYTES,
    FIXED32,
    TAGGED_FLOAT,
    VARINT,
    Walker,
    map_file,
    signed,
    text,
    varints,
)

# Field numbers, each with the wire types that it may have.
_MODEL = {1: (VARINT,), 7: (BYTES,), 14: (BYTES,)}  # version, graph, metadata_props
_ENTRY = {1: (BYTES,), 2: (BYTES,)}  # key, value
_GRAPH = {1: (BYTES,), 5: (BYTES,)}  # node, initializer
_NODE = {
    1: (BYTES,),  # input
    2: (BYTES,),  # output
    3: (BYTES,),  # name
    4: (BYTES,),  # op_type
    5: (BYTES,),  # attribute
}
_ATTRIBUTE = {1: (BYTES,), 2: (FIXED32,), 3: (VARINT,), 5: (BYTES,)}  # name, f, i, t
_TENSOR = {
    1: (VARINT, BYTES),  # dims
    2: (VARINT,),  # data_type
    4: (BYTES, FIXED32),  # float_data
    8: (BYTES,),  # name
    9: (BYTES,),  # raw_data
    13: (BYTES,),  # external_data
    14: (VARINT,),  # data_location
}
_MAX_DIMS = 8

# By data_type. float_data is for the first, the others are read from raw_data.
_FLOAT = 1
_DTYPES = {_FLOAT: np.dtype("<f4"), 10: np.dtype("<f2"), 11: np.dtype("<f8")}


class Tensor(NamedTuple):
    """A stored tensor.

    Attributes:
      name: of the initialiser.
      dims: its shape.
      chunks: its numbers in order, where they are floats; None for other tensors.
    """

    name: str
    dims: tuple[int, ...]
    chunks: list[np.ndarray] | None

    def array(self) -> np.ndarray:
        """The floats, in place where they are in one piece.

        Raises:
          ValueError: these are no floats.
        """
        if self.chunks is None:
            raise ValueError(f"{self.name!r} is no tensor of floats")
        is_whole = len(self.chunks) == 1
        data = self.chunks[0] if is_whole else np.concatenate(self.chunks)
        return data.reshape(self.dims)


class Node(NamedTuple):
    """A node of the graph; of the attributes only numbers and tensors."""

    name: str
    type: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, float | int | Tensor]


class Model(NamedTuple):
    """An ONNX model; the tensors are the initialisers by name."""

    nodes: list[Node]
    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def is_model(stream: io.BufferedIOBase) -> bool:
    """Tells by the two outermost messages whether a file is a whole ONNX model."""
    walker = Walker(unpacked_floats=4)
    try:
        graph, _ = _graph_and_metadata(stream, walker)
        return any(number == 1 for number, _, _ in walker.fields(graph, _GRAPH))
    except ValueError:
        return False


def read_model(stream: io.BufferedIOBase) -> Model:
    """Reads all but the numbers of the tensors.

    Raises:
      ValueError: no ONNX model, or a damaged one, or it has data in other files.
    """
    walker = Walker(unpacked_floats=4)
    try:
        graph, entries = _graph_and_metadata(stream, walker)
    except ValueError as error:
        raise ValueError(f"no ONNX model, or a damaged one: {error}") from None
    nodes, tensors = [], {}
    for number, _, value in walker.fields(graph, _GRAPH):
        if number == 1:
            nodes.append(_read_node(walker, value))
            continue
        tensor = _read_tensor(walker, value)
        if tensor.name in tensors:
            raise ValueError(f"the initialiser {tensor.name!r} is there twice")
        tensors[tensor.name] = tensor
    return Model(nodes, tensors, dict(_read_entry(walker, entry) for entry in entries))


def _graph_and_metadata(stream, walker: Walker) -> tuple[memoryview, list[memoryview]]:
    """The graph and the metadata, once the whole file is walked."""
    graphs, entries = [], []
    # The arrays' views keep the map open, so it is left to be closed with them.
    for number, _, value in walker.fields(map_file(stream), _MODEL):
        if number == 7:
            graphs.append(value)
        elif number == 14:
            entries.append(value)
    if len(graphs) != 1:
        raise ValueError(f"it has {len(graphs)} graphs")
    return graphs[0], entries


def _read_entry(walker: Walker, message: memoryview) -> tuple[str, str]:
    # What is long is none of ours, and is not to stop the weights from being read.
    fields = walker.fields(message, _ENTRY)
    entry = {
        number: str(value[:1000], "utf-8", "replace") for number, _, value in fields
    }
    return entry.get(1, ""), entry.get(2, "")


def _read_node(walker: Walker, message: memoryview) -> Node:
    names = {1: [], 2: [], 3: [""], 4: [""]}
    attributes = {}
    for number, _, value in walker.fields(message, _NODE):
        if number == 5:
            name, content = _read_attribute(walker, value)
            if content is not None:
                attributes[name] = content
        else:
            names[number].append(text(value))
    if not names[2]:
        raise ValueError(f"a node without outputs, {names[3][-1]!r}")
    return Node(names[3][-1], names[4][-1], names[1], names[2], attributes)


def _read_attribute(
    walker: Walker, message: memoryview
) -> tuple[str, float | int | Tensor | None]:
    name, content = "", None
    for number, _, value in walker.fields(message, _ATTRIBUTE):
        if number == 1:
            name = text(value)
        elif number == 2:
            (content,) = struct.unpack("<f", value)
        elif number == 3:
            content = signed(value)
        else:
            content = _read_tensor(walker, value)
    return name, content


def _read_tensor(walker: Walker, message: memoryview) -> Tensor:
    name, data_type, dims, floats, raw = "", 0, [], [], b""
    for number, wire, value in walker.fields(message, _TENSOR):
        if number == 1:
            dims += [signed(value)] if wire == VARINT else varints(value)
        elif number == 2:
            data_type = value
        elif number == 4:
            is_packed = wire == BYTES
            floats.append(
                np.frombuffer(value, "<f4")
                if is_packed
                else np.frombuffer(value, TAGGED_FLOAT)["value"]
            )
        elif number == 8:
            name = text(value)
        elif number == 9:
            raw = value
        elif number == 13 or value:
            raise ValueError(
                f"the numbers of {name!r} are in another file, which is not opened: "
                "onnx.save_model(onnx.load(PATH), OUT) puts them into one"
            )
    dtype = _DTYPES.get(data_type)
    if dtype is None:
        return Tensor(name, tuple(dims), None)
    chunks = floats if data_type == _FLOAT else []
    num_stored = len(raw) + sum(chunk.nbytes for chunk in chunks)
    is_shape = len(dims) <= _MAX_DIMS and min(dims, default=1) > 0
    if not is_shape or math.prod(dims) * dtype.itemsize != num_stored:
        raise ValueError(
            f"{name!r} says shape {tuple(dims[:_MAX_DIMS])} of {dtype}, but holds "
            f"{num_stored:,} bytes of it"
        )
    if len(raw):
        chunks.append(np.frombuffer(raw, dtype))
    return Tensor(name, tuple(dims), chunks)
