"""A classifier as an ONNX model, built from the network's list of layers.

Nodes have the names of Caffe's layers, the input is Caffe's, [N, 3, size, size], and
the metadata say how to prepare it.

Reference: https://onnx.ai/onnx/operators
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxart import __version__
from jaxart.classifier import Classifier
from jaxart.export.description import describe
from jaxart.export.weight_files import arrays
from jaxart.models.layers import (
    HEAD,
    Convolution,
    Dropout,
    InnerProduct,
    Layer,
    LocalResponseNorm,
    MaxPool,
)
from jaxart.weights.readers.onnx_file import import_onnx

# Those of ONNX 1.8 (2020), which has all operators: what came later reads it.
OPSET, IR_VERSION = 13, 7

INPUT = "data"


def write(path: Path, network: Classifier) -> None:
    """Writes the ONNX model of a classifier, images -> logits; raises as `build`."""
    path.write_bytes(build(network).SerializeToString())


def build(network: Classifier) -> Any:
    """The ONNX model of a classifier.

    Returns:
      An `onnx.ModelProto` with the input `data` [N, 3, size, size], the output `fc8`
      [N, k], for any N, and the facts of `describe` as metadata: text as it is,
      everything else as JSON.

    Raises:
      WeightsError: the package `onnx` is not installed.
    """
    onnx = import_onnx()
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    facts = describe(network, "NCHW")
    shape = ["N", 3, facts["size"], facts["size"]]
    logits_shape = ["N", len(facts["class_names"])]
    graph = helper.make_graph(
        _nodes(network.model.layers(), helper.make_node),
        facts["model"],
        [helper.make_tensor_value_info(INPUT, float32, shape)],
        [helper.make_tensor_value_info(HEAD, float32, logits_shape)],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="jaxart",
        producer_version=__version__,
        doc_string=f"Input {INPUT}: {facts['preprocessing']}.\n"
        f"Output {HEAD}: {facts['output']}.",
    )
    texts = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in facts.items()
    }
    helper.set_model_props(model, texts)
    # Put into the finished model: the helpers above copy what they are given.
    for name, array in _initializers(network):
        model.graph.initializer.add(
            name=name, data_type=float32, dims=array.shape, raw_data=array.tobytes()
        )
    return model


def _nodes(layers: dict[str, Layer], make_node: Callable) -> list:
    """A node for each layer; dropout does nothing once a network is trained."""
    nodes = []
    source, is_map = INPUT, True
    for name, layer in layers.items():
        if isinstance(layer, Dropout):
            continue
        if isinstance(layer, InnerProduct) and is_map:
            nodes.append(make_node("Flatten", [source], ["flatten"], name="flatten"))
            source, is_map = "flatten", False
        inputs = [source]
        if isinstance(layer, Convolution | InnerProduct):
            inputs += [f"{name}.weight", f"{name}.bias"]
        operator, attributes = _operator(layer)
        nodes.append(make_node(operator, inputs, [name], name=name, **attributes))
        source = name
    return nodes


def _operator(layer: Layer) -> tuple[str, dict[str, Any]]:
    """A layer's operator, and its attributes."""
    match layer:
        case Convolution():
            return "Conv", {
                "kernel_shape": [layer.kernel_size] * 2,
                "strides": [layer.stride] * 2,
                "pads": [layer.pad] * 4,
                "group": layer.groups,
            }
        case InnerProduct():
            return "Gemm", {"transB": 1}
        case LocalResponseNorm():  # ONNX, too, divides alpha by the size.
            return "LRN", {
                "size": layer.size,
                "alpha": layer.alpha,
                "beta": layer.beta,
                "bias": layer.k,
            }
        case MaxPool():
            return "MaxPool", {
                "kernel_shape": [layer.window] * 2,
                "strides": [layer.stride] * 2,
            }
        case _:
            return "Relu", {}


def _initializers(network: Classifier) -> Iterator[tuple[str, np.ndarray]]:
    """Names and arrays: OIHW, and (out, in) with the inputs in C, H, W order."""
    channels = 0  # of the layer's input
    for name, pair in arrays(network).items():
        kernel, bias = pair["kernel"], pair["bias"]
        if kernel.ndim == 4:
            weight = kernel.transpose(3, 2, 0, 1)
        else:  # from H, W, C order; a vector is a map of one pixel
            weight = kernel.reshape(-1, channels, bias.size).transpose(2, 1, 0)
            weight = weight.reshape(bias.size, -1)
        yield f"{name}.weight", weight.astype("<f4", copy=False)
        yield f"{name}.bias", bias.astype("<f4", copy=False)
        channels = bias.size
