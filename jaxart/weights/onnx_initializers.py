"""The weights of an ONNX file, found by following its graph.

Exporters name things as they like, so the layers are told by what the nodes do: `Conv`,
and `Gemm` or `MatMul` with an `Add`, one after another. Kernels are OIHW there, (out,
in) or (in, out), and the first fully connected layer reads its map as C, H, W. Nothing
of the graph is run.

Reference: https://onnx.ai/onnx/operators
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxart.weights import onnx_graph
from jaxart.weights.caffe_layout import hwio, in_out
from jaxart.weights.errors import WeightsError, refuse_bad_file
from jaxart.weights.vgg16_layout import CONVOLUTIONS, FULLY_CONNECTED

_ALEXNET = ("conv1", "conv2", "conv3", "conv4", "conv5")
# What the fully connected layers are where there are so many.
_HEADS = ((), ("fc8",), ("fc6", "fc8"), FULLY_CONNECTED)
_OTHER_VGGS = {8: "vgg11", 10: "vgg13", 16: "vgg19"}

# Of Gemm: alpha * a @ b + beta * c, a and b transposed or not.
_GEMM = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}


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
        return onnx_graph.is_model(stream)


def channel_order(path: str | Path) -> str | None:
    """Tells what a file says of its input.

    Args:
      path: the file.

    Returns:
      'bgr' where its metadata say so, as those of our own exports do; 'torchvision'
      where its weights have torchvision's names; None for any other.

    Raises:
      WeightsError: no ONNX file, or a damaged one.
      OSError: the file cannot be opened.
    """
    with _open_model(path) as model:
        if model.metadata.get("channel_order") == "bgr":
            return "bgr"
        return "torchvision" if "features.0.weight" in model.tensors else None


def read(path: str | Path) -> dict[str, dict[str, np.ndarray]]:
    """Reads AlexNet or VGG16 from an ONNX file.

    Args:
      path: the file.

    Returns:
      `{'conv1': {'kernel', 'bias'}, ...}` in network order, float32, in the file's
      channel order. Layers whose nodes have Caffe's names keep them; others are named
      by their order, where two fully connected layers are fc6 and fc8, and one is fc8.

    Raises:
      WeightsError: another network, weights that are computed or in another file, or
        a damaged file.
      OSError: the file cannot be opened.
    """
    with _open_model(path) as model:
        layers = _Chain(model).layers
        params = {}
        filters = None  # of the convolution just before, if there is one
        for name, layer in zip(_names(layers), layers, strict=True):
            if layer.kernel.ndim == 4:
                kernel, filters = hwio(layer.kernel), len(layer.bias)
            else:
                kernel, filters = in_out(layer.kernel, filters), None
            params[name] = {"kernel": kernel, "bias": np.array(layer.bias, np.float32)}
        return params


@contextlib.contextmanager
def _open_model(path) -> Iterator[onnx_graph.Model]:
    with open(path, "rb") as stream, refuse_bad_file(path):
        try:
            yield onnx_graph.read_model(stream)
        except ValueError as error:
            raise WeightsError(f"{path}: {error}") from error


class _Chain:
    """The layers with weights, found node by node in the order ONNX has sorted them in.

    Args:
      model: the model.

    Raises:
      ValueError: a node is none of these networks', or lacks its weights.
    """

    def __init__(self, model: onnx_graph.Model):
        self.layers: list[_Layer] = []
        self._stored = dict(model.tensors)
        self._kernels: set[str] = set()  # those taken: sharing would multiply memory
        self._products: dict[str, onnx_graph.Node] = {}  # MatMul whose Add is to come
        self._makers: dict[str, str] = {}  # the type of node that gives a value
        self._depths: dict[str, int] = {}  # the number of layers before a value
        self._transposed: set[int] = set()  # depths at which a value is transposed
        for node in model.nodes:
            self._follow(node)
        for node in self._products.values():
            raise ValueError(f"MatMul {node.name!r} has no bias: no Add follows it")

    def _follow(self, node: onnx_graph.Node) -> None:
        depth = max((self._depths.get(name, 0) for name in node.inputs), default=0)
        layer = self._find_layer(node)
        if layer is not None:
            self._append(layer, depth)
            depth += 1
        elif node.type == "Transpose":
            self._transposed.add(depth)
        for output in node.outputs:
            self._depths[output] = depth
            self._makers[output] = node.type

    def _find_layer(self, node: onnx_graph.Node) -> _Layer | None:
        """Returns the layer that ends with a node, if one does."""
        product = next((name for name in node.inputs if name in self._products), None)
        match node.type:
            case "Conv":
                return _Layer(node.name, self._kernel(node), self._bias(node, 2))
            case "Gemm":
                kernel = self._kernel(node)
                kernel = kernel if _is_out_in(node) else kernel.T
                return _Layer(node.name, kernel, self._bias(node, 2))
            case "MatMul":
                self._products[node.outputs[0]] = node
            case "Add" if product is not None:
                first = self._products.pop(product)
                bias = self._bias(node, 1 - node.inputs.index(product))
                return _Layer(first.name, self._kernel(first).T, bias)
            case "Identity" if self._stored.keys() & node.inputs[:1]:
                self._stored[node.outputs[0]] = self._stored[node.inputs[0]]
            case "Constant":
                value = node.attributes.get("value")
                if isinstance(value, onnx_graph.Tensor):
                    name = node.outputs[0]
                    self._stored[name] = value._replace(name=name)
            case _:
                self._refuse_weights(node)
        return None

    def _append(self, layer: _Layer, depth: int) -> None:
        kernel, bias = layer.kernel, layer.bias
        if kernel.ndim not in (2, 4) or bias.shape != kernel.shape[:1]:
            raise ValueError(
                f"{layer.name!r} has a kernel {kernel.shape} and a bias {bias.shape}, "
                "which belong to no convolution of images and no fully connected layer"
            )
        if depth != len(self.layers):
            raise ValueError(f"the network has a branch that ends at {layer.name!r}")
        if kernel.ndim == 2 and depth in self._transposed and self._ends_in_map():
            raise ValueError(
                f"a Transpose stands between the convolutions and {layer.name!r}, as "
                "TensorFlow's exports have it: the order of its inputs is not known"
            )
        self.layers.append(layer)

    def _ends_in_map(self) -> bool:
        return bool(self.layers) and self.layers[-1].kernel.ndim == 4

    def _kernel(self, node: onnx_graph.Node) -> np.ndarray:
        kernel = self._tensor(node, 1, "kernel")
        if kernel.name in self._kernels:
            raise ValueError(f"two layers share the kernel {kernel.name!r}")
        self._kernels.add(kernel.name)
        return kernel.array()

    def _bias(self, node: onnx_graph.Node, index: int) -> np.ndarray:
        return self._tensor(node, index, "bias").array()

    def _tensor(
        self, node: onnx_graph.Node, index: int, what: str
    ) -> onnx_graph.Tensor:
        name = node.inputs[index] if index < len(node.inputs) else ""
        if not name:
            raise ValueError(f"{node.type} {node.name!r} has no {what}")
        if name not in self._stored:
            maker = self._makers.get(name)
            raise ValueError(
                f"{node.type} {node.name!r}: its {what} {name!r} "
                + (
                    f"comes from {maker}, not from an initialiser"
                    if maker
                    else "is not there"
                )
            )
        return self._stored[name]

    def _refuse_weights(self, node: onnx_graph.Node) -> None:
        """Refuses nodes with weights, but for lone numbers, of which many have some."""
        if node.type == "BatchNormalization":
            raise ValueError(
                f"a network with batch norm (vgg16_bn?), {node.name!r}, which AlexNet "
                "and VGG16 do not have"
            )
        for name in node.inputs:
            tensor = self._stored.get(name)
            if tensor is not None and tensor.chunks and max(tensor.dims, default=1) > 1:
                raise ValueError(
                    f"{node.type} {node.name!r} has weights, {name!r}; those of Conv, "
                    "Gemm, and MatMul with Add are read"
                )


def _is_out_in(node: onnx_graph.Node) -> bool:
    """Whether a Gemm's kernel is (out, in); refuses one that is no plain layer."""
    found = _GEMM | node.attributes
    if any(found[key] != _GEMM[key] for key in ("alpha", "beta", "transA")):
        raise ValueError(
            f"Gemm {node.name!r} has alpha {found['alpha']}, beta {found['beta']} and "
            f"transA {found['transA']}; a fully connected layer has 1, 1 and 0"
        )
    return bool(found["transB"])


def _names(layers: list[_Layer]) -> tuple[str, ...]:
    """Names the layers as Caffe does, and refuses other networks."""
    kernels = [layer.kernel for layer in layers]
    count = sum(kernel.ndim == 4 for kernel in kernels)
    num_heads = len(layers) - count
    if any(kernel.ndim == 2 for kernel in kernels[:count]):
        raise ValueError("a convolution comes after a fully connected layer")
    if count and kernels[0].shape == (64, 3, 11, 11):
        raise ValueError(
            "torchvision's alexnet, another network than Caffe's AlexNet: 64 filters "
            "in the first layer instead of 96, no groups, no response norm, other sizes"
        )
    if count in _OTHER_VGGS and all(k.shape[2:] == (3, 3) for k in kernels[:count]):
        raise ValueError(f"{_OTHER_VGGS[count]}; the VGG read is vgg16")
    given = tuple(layer.name for layer in layers)
    for convolutions in (_ALEXNET, CONVOLUTIONS):
        if count != len(convolutions):
            continue
        if given == convolutions + tuple(n for n in FULLY_CONNECTED if n in given):
            return given
        if num_heads < len(_HEADS):
            return convolutions + _HEADS[num_heads]
    raise ValueError(
        f"{count} convolutions and {num_heads} fully connected layers; AlexNet has 5, "
        "VGG16 has 13, and either has up to 3"
    )
