"""ONNX weights are found by the graph, whatever their names; damage is refused."""

import sys
import tracemalloc

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from jaxart import models
from jaxart.weights import WeightsError
from jaxart.weights.readers import caffemodel, onnx_initializers, protobuf
from tests.models import caffe_files

ALEXNET = "conv1 conv2 conv3 conv4 conv5".split()
VGG16 = (
    "conv1_1 conv1_2 conv2_1 conv2_2 conv3_1 conv3_2 conv3_3 conv4_1 conv4_2 conv4_3 "
    "conv5_1 conv5_2 conv5_3".split()
)
HEADS = "fc6 fc7 fc8".split()
SIDE = 3  # of the last map


def network(layers):
    """The parameters of narrow layers, in our layout; conv2, 4 and 5 are grouped."""
    rng = np.random.default_rng(0)
    params = {}
    inputs = 3
    for number, layer in enumerate(layers):
        outputs = 2 * (2 + number % 3)
        if layer.startswith("conv"):
            shape = (3, 2, inputs // (2 if layer in "conv2 conv4 conv5" else 1))
        else:
            is_first = not any(name.startswith("fc") for name in params)
            shape = (SIDE * SIDE * inputs if is_first else inputs,)
        params[layer] = {
            "kernel": rng.normal(size=(*shape, outputs)).astype(np.float32),
            "bias": rng.normal(size=outputs).astype(np.float32),
        }
        inputs = outputs
    return params


def theirs(params):
    """The same, OIHW and (out, in) with the first input C, H, W."""
    arrays = {}
    filters = None
    for layer, pair in params.items():
        kernel, bias = pair.values()
        if kernel.ndim == 4:
            kernel, filters = np.einsum("hwio->oihw", kernel), len(bias)
        elif filters:
            maps = kernel.reshape(SIDE, SIDE, filters, -1)
            kernel, filters = np.einsum("hwio->oihw", maps).reshape(len(bias), -1), None
        else:
            kernel = kernel.T
        arrays[layer] = [np.ascontiguousarray(kernel), bias]
    return arrays


def raw(name, array):
    return numpy_helper.from_array(array, name)


def typed(name, array):
    return helper.make_tensor(name, TensorProto.FLOAT, array.shape, array.ravel())


def gemm(node_name, x, weight, bias, y):
    return [helper.make_node("Gemm", [x, weight, bias], [y], node_name, transB=1)]


def plain_gemm(node_name, x, weight, bias, y):
    return [helper.make_node("Gemm", [x, weight, bias], [y], node_name, alpha=1.0)]


def matmul(node_name, x, weight, bias, y):
    return [
        helper.make_node("MatMul", [x, weight], [f"{y}_0"], node_name),
        helper.make_node("Add", [f"{y}_0", bias], [y], f"{node_name}/Add"),
    ]


def bias_first(node_name, x, weight, bias, y):
    nodes = matmul(node_name, x, weight, bias, y)
    nodes[1].input[:] = [bias, f"{y}_0"]
    return nodes


def build(params, head=gemm, store=raw, names="w{}".format, metadata=None):
    """A model of the layers, with a ReLU and a Flatten.

    Args:
      params: as `network` gives them.
      head: the nodes of a fully connected layer.
      store: a tensor of a name and an array.
      names: the name of layer i's node.
      metadata: of the model.
    """
    nodes, tensors, x = [], [], "image"
    for i, (layer, (kernel, bias)) in enumerate(theirs(params).items()):
        weight, offset, y = f"onnx::Conv_{90 - i}", f"b{i}", f"y{i}"
        inputs = [x, weight, offset]
        if kernel.ndim == 4:
            group = 2 if layer in "conv2 conv4 conv5" else 1
            nodes += [helper.make_node("Conv", inputs, [y], names(i), group=group)]
        else:
            if not any(node.op_type == "Flatten" for node in nodes):
                nodes += [helper.make_node("Flatten", [x], ["flat"])]
                inputs[0] = "flat"
            nodes += head(names(i), *inputs, y)
        if kernel.ndim == 2 and head is not gemm:
            kernel = np.ascontiguousarray(kernel.T)
        tensors += [store(weight, kernel), store(offset, bias)]
        x = y
        if i == 0:
            nodes += [helper.make_node("Relu", [y], ["r0"])]
            x = "r0"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"])
        for name in ("image", x)
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph)
    helper.set_model_props(model, metadata or {})
    return model


def read_model(path, layers=ALEXNET):
    """Reads a model as the network's that has the layers."""
    network = models.VGG16() if layers[0] == "conv1_1" else models.AlexNet()
    return onnx_initializers.read(path, network)


def tensor(model, name):
    return next(each for each in model.graph.initializer if each.name == name)


def node(model, op_type):
    return next(each for each in model.graph.node if each.op_type == op_type)


@pytest.fixture
def write(tmp_path):
    path = tmp_path / "a.onnx"

    def write_model(content):
        if not isinstance(content, bytes):
            content = content.SerializeToString()
        path.write_bytes(content)
        return path

    return write_model


@pytest.fixture
def refuse(write):
    """Reads a model that is to be refused."""

    def check(model, match: str):
        with pytest.raises(WeightsError, match=rf"a\.onnx: .*{match}") as info:
            read_model(write(model))
        assert "cannot be read as weights" not in str(info.value)

    return check


@pytest.fixture
def refuse_at_once(refuse, tmp_path):
    """The same, for models that would take memory."""

    def check(model, match: str):
        tracemalloc.start()
        try:
            refuse(model, match)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # `refuse` writes the model from a copy.
        assert peak < 3 * (tmp_path / "a.onnx").stat().st_size + (1 << 20)

    return check


@pytest.mark.parametrize(
    ("head", "store"),
    [(gemm, raw), (plain_gemm, typed), (matmul, typed), (bias_first, raw)],
)
@pytest.mark.parametrize("convolutions", [ALEXNET, VGG16], ids=["alexnet", "vgg16"])
@pytest.mark.parametrize("heads", [HEADS, ["fc6", "fc8"], ["fc8"], []], ids=str)
def test_reads_by_order(write, assert_params_equal, convolutions, heads, store, head):
    params = network([*convolutions, *heads])
    model = build(params, head, store)
    onnx.checker.check_model(model)
    path = write(model)
    assert onnx_initializers.is_onnx(path)
    read = read_model(path, convolutions)[0]
    path.unlink()
    assert_params_equal(read, params)
    # A view of the mapped file would be read-only.
    assert all(a.flags.writeable for pair in read.values() for a in pair.values())


@pytest.mark.parametrize("layers", [[*VGG16, "fc6", "fc7"], [*ALEXNET, *HEADS]])
def test_caffes_names_of_nodes_are_kept(write, assert_params_equal, layers):
    params = network(layers)
    path = write(build(params, names=layers.__getitem__))
    assert_params_equal(read_model(path, layers)[0], params)


def test_unpacked_floats_and_dims(write, assert_params_equal):
    """As writers of proto2 have them: a tag before every number."""
    params = network([*ALEXNET, *HEADS])
    model = build(params, store=typed)
    raw_graph = model.graph.SerializeToString()
    for stored in model.graph.initializer:
        dims, floats = list(stored.dims), np.array(stored.float_data, "<f4")
        packed = stored.SerializeToString()
        stored.ClearField("dims")
        stored.ClearField("float_data")
        unpacked = stored.SerializeToString()
        unpacked += b"".join(b"\x25" + value.tobytes() for value in floats)
        unpacked += b"\x0a" + bytes([len(dims), *dims])  # these packed
        raw_graph = raw_graph.replace(field(5, packed), field(5, unpacked))
    model.ClearField("graph")
    path = write(model.SerializeToString() + field(7, raw_graph))
    assert_params_equal(read_model(path)[0], params)


def field(number: int, content: bytes) -> bytes:
    length, groups = len(content), []
    while length > 127:
        groups.append(length & 127 | 128)
        length >>= 7
    return bytes([number << 3 | 2, *groups, length]) + content


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_are_converted(write, assert_params_equal, dtype):
    params = network([*ALEXNET, "fc8"])
    path = write(build(params, store=lambda name, x: raw(name, x.astype(dtype))))
    for pair in params.values():
        pair.update({key: x.astype(dtype).astype("f4") for key, x in pair.items()})
    assert_params_equal(read_model(path)[0], params)


def test_identities_and_constants(write, assert_params_equal):
    """PyTorch gives equal biases once, and leads the others to it by Identity."""
    params = network([*VGG16, *HEADS])
    for layer in ("conv1_1", "conv1_2", "conv2_1"):
        params[layer]["bias"] = params[layer]["bias"][:4] * 0
        params[layer]["kernel"] = params[layer]["kernel"][..., :4]
    params["conv1_2"]["kernel"] = params["conv1_2"]["kernel"][:, :, :4]
    params["conv2_1"]["kernel"] = params["conv2_1"]["kernel"][:, :, :4]
    params["conv2_2"]["kernel"] = params["conv2_2"]["kernel"][:, :, :4]
    model = build(params)
    for number in (1, 2):
        model.graph.initializer.remove(tensor(model, f"b{number}"))
        same = helper.make_node("Identity", [f"b{number - 1}"], [f"b{number}"])
        model.graph.node.insert(number - 1, same)
    kernel = tensor(model, "onnx::Conv_90")
    constant = helper.make_node("Constant", [], [kernel.name], value=kernel)
    model.graph.initializer.remove(kernel)
    model.graph.node.insert(0, constant)
    onnx.checker.check_model(model)
    assert_params_equal(read_model(write(model), VGG16)[0], params)


def test_other_nodes_and_inputs_do_not_matter(write, assert_params_equal):
    """Such as the image's own Transpose, shapes that are computed, lone numbers."""
    params = network([*ALEXNET, *HEADS])
    model = build(params)
    flatten = node(model, "Flatten")
    flatten.op_type = "Reshape"
    flatten.ClearField("attribute")
    flatten.input.append("shape")
    model.graph.initializer.append(raw("shape", np.array([1, -1])))
    model.graph.initializer.append(raw("zero", np.float32(0)))
    model.graph.node.insert(0, helper.make_node("Transpose", ["nhwc"], ["image"]))
    relu = node(model, "Relu")
    relu.op_type = "Clip"
    relu.input.append("zero")
    model.graph.input[0].name = "nhwc"
    onnx.checker.check_model(model)
    assert_params_equal(read_model(write(model))[0], params)


def test_channel_order_is_what_the_file_says(write):
    params = network([*VGG16, *HEADS])
    metadata = {"mean": "1", "channel_order": "bgr", "other": "x" * 10**4}
    assert read_model(write(build(params)), VGG16)[1] is None
    path = write(build(params, metadata=metadata))
    assert read_model(path, VGG16)[1] == "bgr"
    path = write(build(params, metadata={"channel_order": "rgb"}))
    assert read_model(path, VGG16)[1] is None
    model = build(params)
    names = {"onnx::Conv_90": "features.0.weight", "b0": "features.0.bias"}
    for old, new in names.items():
        tensor(model, old).name = new
    model.graph.node[0].input[1:] = names.values()
    assert read_model(write(model), VGG16)[1] == "torchvision"
    with pytest.raises(WeightsError, match=r"a\.onnx: no ONNX model"):
        read_model(write(b"\x3a\x99graph"))


def set_attribute(model, **attributes):
    node(model, "Gemm").ClearField("attribute")
    for key, value in attributes.items():
        node(model, "Gemm").attribute.append(helper.make_attribute(key, value))


def transpose_before(model, op_type, index):
    """Leads an input of a node through a Transpose."""
    after = node(model, op_type)
    before = helper.make_node("Transpose", [after.input[index]], ["turned"], "turn")
    after.input[index] = "turned"
    model.graph.node.insert(list(model.graph.node).index(after), before)


def insert(model, op_type, *stored):
    """Puts a node with stored inputs behind the first ReLU."""
    relu = node(model, "Relu")
    names = [f"s{i}" for i in range(len(stored))]
    new = helper.make_node(op_type, ["y0", *names], ["z"], "new")
    model.graph.initializer.extend(map(raw, names, stored))
    relu.input[0] = "z"
    model.graph.node.insert(1, new)


def swap(model):
    nodes = model.graph.node
    nodes[0].input[0], nodes[2].input[0] = "r0", "image"


def quantize(model):
    stored = raw("int8", np.ones((4, 3, 3, 2), "i1")), raw("scale", np.float32(0.1))
    model.graph.initializer.extend(stored)
    new = helper.make_node("DequantizeLinear", ["int8", "scale"], ["float"])
    node(model, "Conv").input[1] = "float"
    model.graph.node.insert(0, new)


def drop(model, op_type, index):
    del node(model, op_type).input[index:]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: set_attribute(m, transB=1, alpha=0.5), "has alpha 0.5, beta 1.0"),
        (lambda m: set_attribute(m, transB=1, beta=0.0), "alpha 1.0, beta 0.0"),
        (lambda m: set_attribute(m, transB=1, transA=1), "and transA 1; a fully"),
        (lambda m: set_attribute(m), r"'w5' has a kernel \(.*\) and a bias \(8,\)"),
        (lambda m: transpose_before(m, "Gemm", 0), "Transpose stands between the conv"),
        (lambda m: transpose_before(m, "Flatten", 0), "Transpose stands between the"),
        (lambda m: transpose_before(m, "Gemm", 1), "Transpose 'turn' has weights"),
        (lambda m: transpose_before(m, "Conv", 1), "Transpose 'turn' has weights"),
        (quantize, "kernel 'float' comes from DequantizeLinear, not from an initial"),
        (lambda m: insert(m, "BatchNormalization"), "network with batch norm"),
        (lambda m: insert(m, "Sub", np.ones((3, 1, 1), "f4")), "Sub 'new' has weights"),
        (
            lambda m: insert(m, "PRelu", np.ones(4, "f4")),
            "PRelu 'new' has weights, 's0",
        ),
        (
            lambda m: insert(m, "MatMul", np.ones((4, 4), "f4")),
            "MatMul 'new' has no bi",
        ),
        (swap, "has a branch that ends at 'w1'"),
        (lambda m: drop(m, "Conv", 2), "Conv 'w0' has no bias"),
        (lambda m: drop(m, "Conv", 1), "Conv 'w0' has no kernel"),
        (lambda m: drop(m, "Gemm", 2), "Gemm 'w5' has no bias"),
        (lambda m: m.graph.node[0].input.__setitem__(2, "b1"), "a bias"),
        (
            lambda m: m.graph.node[2].input.__setitem__(1, "onnx::Conv_90"),
            "share the k",
        ),
        (lambda m: m.graph.node[0].input.__setitem__(1, "w"), "'w' is not there"),
        (lambda m: m.graph.initializer.append(raw("b0", np.ones(1))), "'b0' is there"),
        (
            lambda m: tensor(m, "b0").CopyFrom(raw("b0", np.arange(4))),
            "'b0' is no tens",
        ),
        (lambda m: m.graph.node[0].ClearField("output"), "a node without outputs"),
    ],
)
def test_names_what_it_does_not_read(refuse, change, match):
    model = build(network([*ALEXNET, *HEADS]))
    change(model)
    refuse(model, match)


@pytest.mark.parametrize(
    ("layers", "match"),
    [
        (
            VGG16[:8],
            "8 convolutions and 0 fully connected layers; AlexNet has 5, and up",
        ),
        ([*VGG16, *HEADS], "13 convolutions and 3 fully connected layers; AlexNet has"),
        (["fc6", "fc7"], "0 convolutions and 2 fully"),
        ([*ALEXNET, *HEADS, "fc9"], "5 convolutions and 4 fully"),
        ([*ALEXNET[:4], "fc6", "conv5"], "comes after a fully"),
    ],
)
def test_other_networks_are_named(refuse, layers, match):
    refuse(build(network(layers)), match)


def test_torchvisions_alexnet_is_named(refuse):
    params = network([*ALEXNET, *HEADS])
    params["conv1"] = {
        "kernel": np.ones((11, 11, 3, 64), "f4"),
        "bias": np.ones(64, "f4"),
    }
    refuse(build(params), "torchvision's alexnet, another network")


def test_a_map_that_is_not_square(refuse):
    params = network([*ALEXNET, "fc8"])
    model = build(params)
    tensor(model, "onnx::Conv_85").CopyFrom(
        raw("onnx::Conv_85", np.ones((8, 12), "f4"))
    )
    refuse(model, "12 inputs are no square map of 6 channels")


@pytest.mark.parametrize(
    ("name", "store"), [("b0", typed), ("onnx::Conv_90", raw), ("onnx::Conv_85", typed)]
)
@pytest.mark.parametrize(
    "dims",
    [(10**18,), (10**18,) * 4, (2**62, 4), (-1, 6), (-4,), (0,), (5,), (1,) * 9],
    ids=str,
)
def test_refuses_a_shape_that_lies(refuse_at_once, dims, store, name):
    model = build(network([*ALEXNET, "fc8"]), store=store)
    tensor(model, name).dims[:] = dims
    refuse_at_once(
        model, rf"{name!r} says shape \(.*\) of float32, but holds [\d,]+ bytes"
    )


@pytest.mark.parametrize("location", [TensorProto.EXTERNAL, TensorProto.DEFAULT])
@pytest.mark.parametrize("target", ["../../etc/passwd", "other"])
def test_refuses_data_in_other_files(refuse_at_once, tmp_path, target, location):
    (tmp_path / "other").write_bytes(bytes(10**4))
    model = build(network([*ALEXNET, *HEADS]))
    stored = tensor(model, "onnx::Conv_85")
    stored.ClearField("raw_data")
    stored.data_location = location
    stored.external_data.add(key="location", value=target)
    refuse_at_once(model, "'onnx::Conv_85' are in another file, which is not opened")


def test_refuses_identities_in_a_circle(refuse):
    model = build(network([*ALEXNET, *HEADS]))
    for a, b in ["pq", "qp", "pp"]:
        model.graph.node.insert(0, helper.make_node("Identity", [a], [b]))
    node(model, "Conv").input[1] = "p"
    refuse(model, "kernel 'p' comes from Identity, not")


def test_sharing_does_not_multiply_memory(refuse_at_once):
    """A kernel may be had once, by whatever name, and a bias is no larger than it."""
    model = build(network(["conv1"]))
    big = raw("onnx::Conv_90", np.ones((4, 2**14, 1, 1), "f4"))
    tensor(model, big.name).CopyFrom(big)
    for i in range(50):
        model.graph.node.add(op_type="Identity", input=[big.name], output=[f"i{i}"])
        convolution = ["r0", f"i{i}", "b0"]
        model.graph.node.add(op_type="Conv", input=convolution, output=[f"c{i}"])
    refuse_at_once(model, "two layers share the kernel 'onnx::Conv_90'")


def test_refuses_endless_fields(refuse, monkeypatch):
    monkeypatch.setattr(protobuf, "_MAX_FIELDS", 1000)
    one = network(["conv1"])
    model = build(one)
    for content in [
        model.SerializeToString() + field(9, b"") * 2000,
        field(7, field(1, b"") * 2000),
        field(7, field(5, b"") * 2000),
        field(7, field(1, field(1, b"") * 2000)),
        field(7, field(5, (field(4, bytes(4))) * 2000)),
    ]:
        refuse(content, "more than 1,000 protobuf fields|without outputs|there twice")


@pytest.mark.parametrize("length", [101, 10**6])
def test_refuses_more_dimensions_than_there_are(refuse_at_once, length):
    content = field(7, field(5, field(1, b"\x01" * length)))
    refuse_at_once(content, f"'' has {length:,} dimensions")


def test_refuses_much_that_is_no_weight(refuse_at_once):
    """Messages of two bytes would take a hundred times as many in memory."""
    annotation = field(14, field(2, b"") * (1 << 22))
    content = field(7, field(1, b"") + annotation)
    refuse_at_once(content, r"8,388,\d{3} bytes beside the weights, where few")


def test_refuses_what_protobuf_does_not_read(write):
    path = write(build(network([*ALEXNET, "fc8"])))
    whole = path.read_bytes()
    padding = b"\xfa\x01" + b"\x80\x80\x80\x80\x08"  # field 31 has 2 GB
    path.write_bytes(whole + padding)
    with open(path, "r+b") as file:
        file.truncate(len(whole + padding) + (2 << 30))
    assert onnx_initializers.is_onnx(path)
    with pytest.raises(WeightsError, match=r"a\.onnx: 2,147,48.* ends at 2 GB"):
        read_model(path)
    path.unlink()


def test_tells_what_is_to_be_installed(refuse, write, monkeypatch):
    model = build(network([*ALEXNET, *HEADS]))
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert onnx_initializers.is_onnx(write(model))
    refuse(model, r"needs the package onnx: pip install 'jaxart\[onnx\]'")


def test_tells_the_format_by_content(write, tmp_path):
    model = build(network([*ALEXNET, *HEADS]), metadata={"channel_order": "bgr"})
    assert onnx_initializers.is_onnx(write(model))
    assert not caffemodel.is_caffemodel(write(model))
    # Without what the format's own writers put first.
    bare = onnx.ModelProto(graph=model.graph)
    assert onnx_initializers.is_onnx(write(bare))
    assert not caffemodel.is_caffemodel(write(bare))
    layer = caffe_files.Layer("fc6", "InnerProduct")
    net = caffe_files.caffemodel([layer], {"fc6": [np.ones((2, 2)), np.ones(2)]})
    assert caffemodel.is_caffemodel(write(net))
    v1 = field(2, field(4, b"fc6") + b"\x28\x0e")
    assert caffemodel.is_caffemodel(write(v1))
    without_nodes = onnx.ModelProto(graph=onnx.GraphProto(name="net"))
    for other in [
        *(net, v1, field(1, b"net") + v1, without_nodes, onnx.ModelProto(ir_version=9)),
        *(b"", b"PK\x03\x04" + bytes(99), b"\x89HDF\r\n\x1a\n" + bytes(99)),
        *(b"layer { }", b"\x93NUMPY\x01\x00v\x00{'descr'", model.graph),
    ]:
        assert not onnx_initializers.is_onnx(write(other))
        with pytest.raises(WeightsError, match=r"a\.onnx: "):
            read_model(write(other))
