"""The weights of an ONNX file, found by following its graph.

Exporters name things as they like, so the layers are told by what the nodes do: `Conv`,
and `Gemm` or `MatMul` with an `Add`, one after another. Kernels are OIHW there, (out,
in) or (in, out), and the first fully connected layer reads its map as C, H, W. Nothing
of the graph is run. The package `onnx` reads the file, once a walk over its messages
has shown that it will take little more memory than the file has bytes.

Reference: https://onnx.ai/onnx/operators
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import contextlib
import importlib
import io
import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from jaxart.models import Network
from jaxart.models.layers import trainable
from jaxart.weights.errors import WeightsError, refuse_bad_file
from jaxart.weights.layout import (
    TORCHVISION_ALEXNET,
    Params,
    from_caffe,
    names_by_order,
)
from jaxart.weights.readers.protobuf import BYTES, FIXED32, Schema, Walker, map_file

# Messages of the package `onnx`, which is an optional dependency.
ModelProto: TypeAlias = Any
NodeProto: TypeAlias = Any
TensorProto: TypeAlias = Any

# Of Gemm: alpha * a @ b + beta * c, a and b transposed or not.
_GEMM = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}

# By data_type. float_data is for the first, the others are read from raw_data.
_FLOAT = 1
_ITEM_BYTES = {_FLOAT: 4, 10: 2, 11: 8}
_MAX_DIMS = 8

# Messages by their field numbers, each with what is looked at in it. A tensor's
# numbers are its float_data and its raw_data.
_TENSOR = {4: ("numbers", {}), 9: ("numbers", {})}
_NODE = {5: ("attribute", {5: ("tensor", _TENSOR)})}
_MODEL = {7: ("graph", {1: ("node", _NODE), 5: ("tensor", _TENSOR)})}
_OUTER_MODEL = {7: ("graph", {1: ("node", {}), 5: ("tensor", {})})}

_MAX_BYTES = (2 << 30) - 1  # of protobuf
# An empty message takes a hundred times the two bytes that it has in the file.
_MAX_BYTES_BESIDE_NUMBERS = 4 << 20


class _Layer(NamedTuple):
    """Views of the file: (out, in, height, width) or (out, in), and (out,)."""

    name: str
    kernel: np.ndarray
    bias: np.ndarray


def is_onnx(path: str | Path) -> bool:
    """Tells by the two outermost messages whether a file is a whole ONNX model.

    Raises:
      OSError: the file cannot be opened.
    """
    with open(path, "rb") as stream:
        try:
            return "node" in dict(_walk(map_file(stream), _OUTER_MODEL))
        except ValueError:
            return False


def read(path: str | Path, network: Network) -> tuple[Params, str | None]:
    """Reads a network's layers from an ONNX file, and what it says of its input.

    Returns:
      The parameters in network order, float32, in the file's channel order. Layers
      whose nodes have Caffe's names keep them; others are named by their order, where
      two fully connected layers are fc6 and fc8, and one is fc8.
      And the channel order: 'bgr' where the metadata say so, as those of our own
      exports do; 'torchvision' where the weights have its names; None for any other.

    Raises:
      WeightsError: another network, weights that are computed or in another file, a
        damaged file, or onnx is not installed.
      OSError: the file cannot be opened.
    """
    with _open_model(path) as model:
        layers = _Chain(model).layers
        named = zip(_names(layers, network), layers, strict=True)
        params = from_caffe(layer._replace(name=name) for name, layer in named)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        if metadata.get("channel_order") == "bgr":
            return params, "bgr"
        names = [tensor.name for tensor in model.graph.initializer]
        return params, "torchvision" if "features.0.weight" in names else None


def import_onnx() -> ModuleType:
    """The package `onnx`, an optional dependency.

    Raises:
      WeightsError: it is not installed.
    """
    try:
        return importlib.import_module("onnx")
    except ImportError:
        raise WeightsError(
            "an .onnx file needs the package onnx: pip install 'jaxart[onnx]'"
        ) from None


@contextlib.contextmanager
def _open_model(path) -> Iterator[ModelProto]:
    """Gives the model; what goes wrong meanwhile is one `WeightsError`."""
    with open(path, "rb") as stream, refuse_bad_file(path):
        try:
            parts = list(_walk(map_file(stream), _MODEL))
        except ValueError as error:
            raise WeightsError(f"no ONNX model, or a damaged one: {error}") from None
        num_graphs = sum(name == "graph" for name, _ in parts)
        if num_graphs != 1:
            raise WeightsError(f"no ONNX model: it has {num_graphs} graphs, not one")
        num_bytes = stream.seek(0, io.SEEK_END)
        if num_bytes > _MAX_BYTES:
            raise WeightsError(
                f"{num_bytes:,} bytes; protobuf, and so onnx, ends at 2 GB"
            )
        num_others = num_bytes - sum(size for name, size in parts if name == "numbers")
        if num_others > _MAX_BYTES_BESIDE_NUMBERS:
            raise WeightsError(
                f"{num_others:,} bytes beside the weights, where few belong"
            )
        stream.seek(0)
        yield import_onnx().load(stream, "protobuf", load_external_data=False)


def _walk(
    message: memoryview, fields: dict, walker: Walker | None = None
) -> Iterator[tuple[str, int]]:
    """Yields the name and the size of every part of a message that is looked at."""
    walker = walker or Walker(unpacked_floats=4)
    schema: Schema = dict.fromkeys(fields, (BYTES, FIXED32))
    for number, _, value in walker.fields(message, schema):
        name, inner = fields[number]
        yield name, len(value)
        if inner:
            yield from _walk(value, inner, walker)


class _Chain:
    """The layers with weights, found node by node in the order ONNX has sorted them in.

    Raises:
      WeightsError: a node is none of such a network's, or lacks its weights.
    """

    def __init__(self, model: ModelProto):
        self.layers: list[_Layer] = []
        self._stored: dict[str, TensorProto] = {}
        self._kernels: set[str] = set()  # those taken: sharing would multiply memory
        self._products: dict[str, NodeProto] = {}  # MatMul whose Add is to come
        self._makers: dict[str, str] = {}  # the type of node that gives a value
        self._depths: dict[str, int] = {}  # the number of layers before a value
        self._transposed: set[int] = set()  # depths at which a value is transposed
        for tensor in model.graph.initializer:
            if tensor.name in self._stored:
                raise WeightsError(f"the initialiser {tensor.name!r} is there twice")
            self._store(tensor.name, tensor)
        for node in model.graph.node:
            self._follow(node)
        for node in self._products.values():
            raise WeightsError(f"MatMul {node.name!r} has no bias: no Add follows it")

    def _store(self, name: str, tensor: TensorProto) -> None:
        """Keeps a tensor under a name, if it is as long as its shape says."""
        tensor.name = name
        if tensor.external_data or tensor.data_location:
            raise WeightsError(
                f"the numbers of {name!r} are in another file, which is not opened: "
                "onnx.save_model(onnx.load(PATH), OUT) puts them into one"
            )
        if item_bytes := _ITEM_BYTES.get(tensor.data_type):
            dims = tensor.dims
            num_stored = len(tensor.raw_data)
            if tensor.data_type == _FLOAT:
                num_stored += item_bytes * len(tensor.float_data)
            is_shape = len(dims) <= _MAX_DIMS and min(dims, default=1) > 0
            if not is_shape or math.prod(dims) * item_bytes != num_stored:
                raise WeightsError(
                    f"{name!r} says shape {tuple(dims[:_MAX_DIMS])} of "
                    f"float{8 * item_bytes}, but holds {num_stored:,} bytes of it"
                )
        elif len(tensor.dims) > _MAX_DIMS:
            raise WeightsError(f"{name!r} has {len(tensor.dims):,} dimensions")
        self._stored[name] = tensor

    def _follow(self, node: NodeProto) -> None:
        if not node.output:
            raise WeightsError(f"a node without outputs, {node.name!r}")
        depth = max((self._depths.get(name, 0) for name in node.input), default=0)
        layer = self._find_layer(node)
        if layer is not None:
            self._append(layer, depth)
            depth += 1
        elif node.op_type == "Transpose":
            self._transposed.add(depth)
        for output in node.output:
            self._depths[output] = depth
            self._makers[output] = node.op_type

    def _find_layer(self, node: NodeProto) -> _Layer | None:
        """Returns the layer that ends with a node, if one does."""
        product = next((name for name in node.input if name in self._products), None)
        match node.op_type:
            case "Conv":
                kernel = self._array(node, 1, "kernel")
                return _Layer(node.name, kernel, self._array(node, 2))
            case "Gemm":
                kernel = self._array(node, 1, "kernel")
                kernel = kernel if _is_out_in(node) else kernel.T
                return _Layer(node.name, kernel, self._array(node, 2))
            case "MatMul":
                self._products[node.output[0]] = node
            case "Add" if product is not None:
                first = self._products.pop(product)
                bias = self._array(node, 1 - list(node.input).index(product))
                return _Layer(first.name, self._array(first, 1, "kernel").T, bias)
            case "Identity" if self._stored.keys() & node.input[:1]:
                self._stored[node.output[0]] = self._stored[node.input[0]]
            case "Constant":
                for attribute in node.attribute:
                    if attribute.name == "value" and attribute.HasField("t"):
                        self._store(node.output[0], attribute.t)
            case _:
                self._refuse_weights(node)
        return None

    def _append(self, layer: _Layer, depth: int) -> None:
        kernel, bias = layer.kernel, layer.bias
        if kernel.ndim not in (2, 4) or bias.shape != kernel.shape[:1]:
            raise WeightsError(
                f"{layer.name!r} has a kernel {kernel.shape} and a bias {bias.shape}, "
                "which belong to no convolution of images and no fully connected layer"
            )
        if depth != len(self.layers):
            raise WeightsError(f"the network has a branch that ends at {layer.name!r}")
        follows_map = bool(self.layers) and self.layers[-1].kernel.ndim == 4
        if kernel.ndim == 2 and depth in self._transposed and follows_map:
            raise WeightsError(
                f"a Transpose stands between the convolutions and {layer.name!r}, as "
                "TensorFlow's exports have it: the order of its inputs is not known"
            )
        self.layers.append(layer)

    def _array(self, node: NodeProto, index: int, what: str = "bias") -> np.ndarray:
        """The floats that a node has for an input; a kernel is for one node alone."""
        name = node.input[index] if index < len(node.input) else ""
        if not name:
            raise WeightsError(f"{node.op_type} {node.name!r} has no {what}")
        if name not in self._stored:
            maker = self._makers.get(name)
            origin = maker and f"comes from {maker}, not from an initialiser"
            raise WeightsError(
                f"{node.op_type} {node.name!r}: its {what} {name!r} "
                f"{origin or 'is not there'}"
            )
        tensor = self._stored[name]
        if tensor.data_type not in _ITEM_BYTES:
            raise WeightsError(f"{tensor.name!r} is no tensor of floats")
        if what == "kernel":
            if tensor.name in self._kernels:
                raise WeightsError(f"two layers share the kernel {tensor.name!r}")
            self._kernels.add(tensor.name)
        return import_onnx().numpy_helper.to_array(tensor)

    def _refuse_weights(self, node: NodeProto) -> None:
        """Refuses nodes with weights, but for lone numbers, of which many have some."""
        if node.op_type == "BatchNormalization":
            raise WeightsError(
                f"a network with batch norm (vgg16_bn?), {node.name!r}, which those "
                "here do not have"
            )
        for name in node.input:
            tensor = self._stored.get(name)
            if tensor is None or tensor.data_type not in _ITEM_BYTES:
                continue
            if max(tensor.dims, default=1) > 1:
                raise WeightsError(
                    f"{node.op_type} {node.name!r} has weights, {name!r}; those of "
                    "Conv, Gemm, and MatMul with Add are read"
                )


def _is_out_in(node: NodeProto) -> bool:
    """Whether a Gemm's kernel is (out, in); refuses one that is no plain layer."""
    found = _GEMM | {a.name: a.f if a.HasField("f") else a.i for a in node.attribute}
    if any(found[key] != _GEMM[key] for key in ("alpha", "beta", "transA")):
        raise WeightsError(
            f"Gemm {node.name!r} has alpha {found['alpha']}, beta {found['beta']} and "
            f"transA {found['transA']}; a fully connected layer has 1, 1 and 0"
        )
    return bool(found["transB"])


def _names(layers: list[_Layer], network: Network) -> tuple[str, ...]:
    """Names the layers as Caffe does, and refuses other networks."""
    kernels = [layer.kernel for layer in layers]
    count = sum(kernel.ndim == 4 for kernel in kernels)
    if any(kernel.ndim == 2 for kernel in kernels[:count]):
        raise WeightsError("a convolution comes after a fully connected layer")
    if count and kernels[0].shape == (64, 3, 11, 11):
        raise WeightsError(TORCHVISION_ALEXNET)
    given = tuple(layer.name for layer in layers)
    names = trainable(network.layers())
    has_convolutions = given[:count] == trainable(network.convolutions())
    if has_convolutions and given == tuple(name for name in names if name in given):
        return given
    return names_by_order(network, count, len(layers) - count)
