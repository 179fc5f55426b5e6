"""Opens ONNX files of unknown origin.

The package `onnx` reads the file, once a walk over its messages has shown that it will
take little more memory than the file has bytes.

Reference: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import contextlib
import importlib
import io
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from jaxart.weights.errors import WeightsError, refuse_bad_file
from jaxart.weights.readers.protobuf import BYTES, FIXED32, Schema, Walker, map_file

ModelProto: TypeAlias = Any  # of the package `onnx`, an optional dependency

# Messages by their field numbers, each with what is looked at in it. A tensor's
# numbers are its float_data and its raw_data.
_TENSOR = {4: ("numbers", {}), 9: ("numbers", {})}
_NODE = {5: ("attribute", {5: ("tensor", _TENSOR)})}
_MODEL = {7: ("graph", {1: ("node", _NODE), 5: ("tensor", _TENSOR)})}
_OUTER_MODEL = {7: ("graph", {1: ("node", {}), 5: ("tensor", {})})}

_MAX_BYTES = (2 << 30) - 1  # of protobuf
# An empty message takes a hundred times the two bytes that it has in the file.
_MAX_BYTES_BESIDE_NUMBERS = 4 << 20


def is_onnx(path: str | Path) -> bool:
    """Tells by the two outermost messages whether a file is a whole ONNX model."""
    with open(path, "rb") as stream:
        try:
            return "node" in dict(_walk(map_file(stream), _OUTER_MODEL))
        except ValueError:
            return False


def import_onnx() -> ModuleType:
    """The package `onnx`, or a `WeightsError` where it is not installed."""
    try:
        return importlib.import_module("onnx")
    except ImportError:
        raise WeightsError(
            "an .onnx file needs the package onnx: pip install 'jaxart[onnx]'"
        ) from None


@contextlib.contextmanager
def open_model(path: str | Path) -> Iterator[ModelProto]:
    """Gives the model; what goes wrong meanwhile is one `WeightsError`."""
    with open(path, "rb") as stream, refuse_bad_file(path):
        try:
            fields = list(_walk(map_file(stream), _MODEL))
        except ValueError as error:
            raise WeightsError(f"no ONNX model, or a damaged one: {error}") from None
        num_graphs = sum(name == "graph" for name, _ in fields)
        if num_graphs != 1:
            raise WeightsError(f"no ONNX model: it has {num_graphs} graphs, not one")
        num_bytes = stream.seek(0, io.SEEK_END)
        if num_bytes > _MAX_BYTES:
            raise WeightsError(
                f"{num_bytes:,} bytes; protobuf, and so onnx, ends at 2 GB"
            )
        num_others = num_bytes - sum(size for name, size in fields if name == "numbers")
        if num_others > _MAX_BYTES_BESIDE_NUMBERS:
            raise WeightsError(
                f"{num_others:,} bytes beside the weights, where few belong"
            )
        stream.seek(0)
        yield import_onnx().load(stream, "protobuf", load_external_data=False)


def _walk(
    message: memoryview, fields: dict, walker: Walker | None = None
) -> Iterator[tuple[str, int]]:
    """Yields the name and the size of every field of a message that is looked at."""
    walker = walker or Walker(unpacked_floats=4)
    schema: Schema = dict.fromkeys(fields, (BYTES, FIXED32))
    for number, _, value in walker.fields(message, schema):
        name, inner = fields[number]
        yield name, len(value)
        if inner:
            yield from _walk(value, inner, walker)
