"""A `.caffemodel` of either encoding reads; anything else in one is named.

Reference for the field numbers: caffe.proto, github.com/BVLC/caffe, src/caffe/proto.
"""

import tracemalloc

import numpy as np
import pytest
from cv2 import dnn

from jaxart.weights import WeightsError
from jaxart.weights.readers import caffemodel, protobuf
from tests.models import caffe_files

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
TYPES = {"conv1": "Convolution", "conv2": "Convolution"}  # the others: InnerProduct
V1_TYPES = {"Convolution": 4, "InnerProduct": 14, "PReLU": 39}


def varint(value: int) -> bytes:
    value %= 1 << 64  # two's complement, as protobuf has negative numbers
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])


def field(number: int, value: int | bytes, wire: int = BYTES) -> bytes:
    tag = varint(number << 3 | wire)
    if wire == VARINT:
        return tag + varint(value)
    return tag + (varint(len(value)) + value if wire == BYTES else value)


def packed(array) -> bytes:
    return field(5, array.astype("<f4").tobytes())


def unpacked(array) -> bytes:
    floats = array.astype("<f4").ravel()
    return b"".join(field(5, value.tobytes(), FIXED32) for value in floats)


def in_pieces(array) -> bytes:
    first, second, third = np.array_split(array.ravel(), 3)
    return unpacked(first) + packed(second) + unpacked(third)


def v1_dims(*dims: int) -> bytes:
    """As V1 writers do: four dimensions, filled up with ones from the front."""
    dims = (1,) * (4 - len(dims)) + dims
    return b"".join(field(i + 1, dim, VARINT) for i, dim in enumerate(dims))


def packed_dims(*dims: int) -> bytes:
    return field(7, field(1, b"".join(map(varint, dims))))


def unpacked_dims(*dims: int) -> bytes:
    return field(7, b"".join(field(1, dim, VARINT) for dim in dims))


def blob(array, dims=v1_dims, data=packed) -> bytes:
    return dims(*array.shape) + data(array)


def v1_layer(name: str, kind: str, blobs: list[bytes]) -> bytes:
    blobs = b"".join(field(6, each) for each in blobs)
    head = field(2, b"data") + field(4, name.encode())
    return field(2, head + field(5, V1_TYPES[kind], VARINT) + blobs)


def new_layer(name: str, kind: str, blobs: list[bytes]) -> bytes:
    blobs = b"".join(field(7, each) for each in blobs)
    return field(100, field(1, name.encode()) + field(2, kind.encode()) + blobs)


def write_net(arrays, layer=v1_layer, dims=v1_dims, data=packed) -> bytes:
    return field(1, b"net") + b"".join(
        layer(
            name,
            TYPES.get(name, "InnerProduct"),
            [blob(array, dims, data) for array in pair],
        )
        for name, pair in arrays.items()
    )


@pytest.fixture
def arrays():
    """Kernels OIHW and (out, in), biases; conv2 has two groups, fc6 a 5 x 5 map."""
    rng = np.random.default_rng(0)
    shapes = {"conv1": (4, 3, 3, 2), "conv2": (6, 2, 3, 3)}
    shapes |= {"fc6": (7, 6 * 5 * 5), "fc7": (7, 7)}
    return {
        name: [rng.normal(size=n).astype(np.float32) for n in (shape, shape[0])]
        for name, shape in shapes.items()
    }


@pytest.fixture
def params(arrays):
    """The same, as `read` is to return them."""
    params = {}
    for name, (kernel, bias) in arrays.items():
        if name == "fc6":
            kernel = np.moveaxis(kernel.reshape(7, 6, 5, 5), 1, 3).reshape(7, -1).T
        elif name == "fc7":
            kernel = kernel.T
        else:
            kernel = np.einsum("oihw->hwio", kernel)
        params[name] = {"kernel": kernel, "bias": bias}
    return params


@pytest.fixture
def write(tmp_path):
    path = tmp_path / "a.caffemodel"

    def write_bytes(content: bytes):
        path.write_bytes(content)
        return path

    return write_bytes


@pytest.fixture
def refuse(write):
    """Reads bytes that are to be refused, in little memory."""

    def check(content: bytes, match: str):
        path = write(content)
        tracemalloc.start()
        try:
            with pytest.raises(WeightsError, match=rf"a\.caffemodel: .*{match}"):
                caffemodel.read(path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 2 * len(content) + (1 << 20)

    return check


@pytest.mark.parametrize("data", [packed, unpacked, in_pieces])
@pytest.mark.parametrize("dims", [v1_dims, packed_dims, unpacked_dims])
@pytest.mark.parametrize("layer", [v1_layer, new_layer])
def test_reads_both_encodings(
    write, arrays, params, assert_params_equal, layer, dims, data
):
    path = write(write_net(arrays, layer, dims, data))
    read = caffemodel.read(path)
    path.unlink()
    assert_params_equal(read, params)
    # A view of the mapped file would be read-only.
    assert all(
        array.flags.writeable for pair in read.values() for array in pair.values()
    )


def test_fc6_reads_a_map_of_ours(write, arrays):
    features = np.random.default_rng(1).normal(size=(6, 5, 5)).astype(np.float32)
    kernel, bias = arrays["fc6"]
    fc6 = caffemodel.read(write(write_net(arrays)))["fc6"]
    np.testing.assert_allclose(
        features.transpose(1, 2, 0).ravel() @ fc6["kernel"] + fc6["bias"],
        kernel @ features.ravel() + bias,
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("name, shape", [("fc6", (7, 5)), ("conv1", (4, 3, 3, 2))])
def test_nets_of_one_kind_of_layer(write, name, shape):
    kernel = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    path = write(write_net({name: [kernel, kernel.ravel()[: shape[0]]]}))
    wanted = kernel.transpose(2, 3, 1, 0) if name == "conv1" else kernel.T
    np.testing.assert_array_equal(caffemodel.read(path)[name]["kernel"], wanted)


def test_skips_what_it_does_not_know(write, arrays, params, assert_params_equal):
    unknown = (
        field(900, b"\xff" * 300)
        + field(901, 7, VARINT)
        + field(902, b"12345678", FIXED64)
        + field(903, b"1234", FIXED32)
    )
    layers = [
        layer(
            name,
            TYPES.get(name, "InnerProduct"),
            [unknown + blob(array) + field(6, b"") + unknown for array in pair],
        )
        for layer, (name, pair) in zip(
            [v1_layer, new_layer] * 2, arrays.items(), strict=True
        )
    ]
    without_blobs = v1_layer("relu", "PReLU", []) + new_layer("pool", "Pooling", [])
    path = write(unknown + without_blobs + b"".join(layers) + unknown)
    assert_params_equal(caffemodel.read(path), params)
    assert caffemodel.is_caffemodel(path)


@pytest.mark.parametrize("layer", [v1_layer, new_layer])
def test_opencv_reads_the_same(write, arrays, params, assert_params_equal, layer):
    settings = {
        "conv1": "num_output: 4 kernel_h: 3 kernel_w: 2",
        "conv2": "num_output: 6 kernel_size: 3 group: 2",
        "fc6": "num_output: 7",
        "fc7": "num_output: 7",
    }
    layers = [
        caffe_files.Layer(name, TYPES.get(name, "InnerProduct"), settings[name])
        for name in arrays
    ]
    text = caffe_files.prototxt(layers, (1, 3, 9, 8))
    content = write_net(arrays, layer)
    net = dnn.readNetFromCaffe(
        *(np.frombuffer(each, np.uint8) for each in (text, content))
    )
    for name, pair in arrays.items():
        for i, array in enumerate(pair):
            np.testing.assert_array_equal(net.getParam(name, i).squeeze(), array)
    assert_params_equal(caffemodel.read(write(content)), params)


@pytest.mark.parametrize("dims", [v1_dims, packed_dims, unpacked_dims])
@pytest.mark.parametrize(
    "shape",
    [
        (10**9, 10**9),
        (2**62, 4),  # 0 modulo 2**64
        (-1, -6),
        (-1, 6),
        (0, 6),
        (2, 2),
        (2, 4),
        (2**63 - 1,) * 4,
    ],
    ids=str,
)
def test_refuses_a_shape_that_lies(refuse, dims, shape):
    kernel = dims(*shape) + packed(np.ones(6))
    layer = v1_layer("fc6", "InnerProduct", [kernel, blob(np.ones(2))])
    refuse(layer, r"layer 'fc6': a blob says shape \(.*\), but holds 6 floats")


@pytest.mark.parametrize(
    "layer, match",
    [
        (
            v1_layer("fc6", "InnerProduct", [blob(np.ones((2, 3)))]),
            "layer 'fc6': 1 blobs; a kernel and a bias are read",
        ),
        (
            v1_layer("fc6", "InnerProduct", [blob(np.ones((2, 2)))] * 3),
            "layer 'fc6': 3 blobs; a kernel and a bias are read",
        ),
        (
            v1_layer("fc6", "InnerProduct", [blob(np.ones((2, 3))), blob(np.ones(3))]),
            r"layer 'fc6': kernel \(1, 1, 2, 3\) and bias .* no InnerProduct's",
        ),
        (
            v1_layer("fc6", "InnerProduct", [blob(np.ones((2, 2, 3))), b""]),
            r"layer 'fc6': a blob says shape \(\), but holds 0 floats",
        ),
        (
            v1_layer(
                "fc6", "InnerProduct", [blob(np.ones((2, 2, 3))), blob(np.ones(2))]
            ),
            r"kernel \(1, 2, 2, 3\) and bias .* no InnerProduct's",
        ),
        (
            new_layer(
                "conv1",
                "Convolution",
                [blob(np.ones((2, 3)), packed_dims), blob(np.ones(2))],
            ),
            r"layer 'conv1': kernel \(2, 3\) and bias .* no Convolution's",
        ),
        (
            v1_layer("act", "PReLU", [blob(np.ones(3))]),
            "layer 'act' has weights and is of type '39 of V1LayerParameter'; the "
            "types read are Convolution and InnerProduct",
        ),
        (
            new_layer("norm", "BatchNorm", [blob(np.ones(3))] * 3),
            "layer 'norm' has weights and is of type 'BatchNorm'",
        ),
        (
            2 * v1_layer("a", "InnerProduct", [blob(np.ones((1, 1)))] * 2),
            "layer 'a' is there twice",
        ),
        (
            v1_layer(
                "a", "Convolution", [blob(np.ones((2, 1, 1, 1))), blob(np.ones(2))]
            )
            + v1_layer("fc", "InnerProduct", [blob(np.ones((1, 6))), blob(np.ones(1))]),
            "layer 'fc': 6 inputs are no square map of 2 channels",
        ),
        (
            v1_layer("fc6", "InnerProduct", [field(8, bytes(8))] * 2),
            "layer 'fc6': weights in double precision, which are not read",
        ),
        (new_layer("relu", "ReLU", []), "a caffemodel without weights"),
    ],
)
def test_names_what_it_does_not_read(refuse, layer, match):
    refuse(layer, match)


@pytest.mark.parametrize(
    "content, match",
    [
        (b"", "empty"),
        (b'name: "AlexNet"\nlayer {\n  name: "data"\n', "text, as a .prototxt is"),
        (field(1, b"net"), "no caffemodel.*no layers"),
        (b"\x93NUMPY\x01\x00v\x00{'descr'", "no caffemodel"),
        (b"PK\x03\x04" + bytes(100), "no caffemodel"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "no caffemodel"),
        (field(2, b"layer") + field(1, 8, VARINT), "field 1 of wire type 0"),
        (b"\x12" + b"\xff" * 10 + b"\x01", "number without end"),
        (b"\x12\x80", "number without end"),
        (b"\x12" + varint(50) + b"a", "field 2 of 50 bytes, where 1 are left"),
        (b"\x12" + varint(2**63) + b"a", "field 2 of .* bytes, where 1 are left"),
        (b"\x00\x00" + field(2, b""), "field 0"),
        (field(2, b"\x23\x24"), "wire type 3"),
        (field(2, field(4, b"\xff")), "utf-8"),
        (field(2, field(4, b"a" * 5000)), "a name of 5,000 bytes"),
        (field(2, field(4, 1, VARINT)), "field 4 of wire type 0"),
    ],
)
def test_refuses_other_files(refuse, content, match):
    refuse(content, match)


def test_refuses_endless_fields(refuse, monkeypatch):
    monkeypatch.setattr(protobuf, "_MAX_FIELDS", 1000)
    ones = blob(np.ones((1, 1)), data=lambda _: field(5, bytes(4)) * 2000)
    for content in [
        field(2, b"") * 2000,
        field(2, field(1, 0, VARINT) * 2000),
        v1_layer("fc6", "InnerProduct", [ones, ones]),
    ]:
        refuse(content, "more than 1,000 protobuf fields")


def test_refuses_more_dimensions_than_there_are(refuse):
    for dims in [packed_dims(*[1] * 10**6), unpacked_dims(*[1] * 5)]:
        bad = dims + packed(np.ones(1))
        refuse(v1_layer("fc6", "InnerProduct", [bad, bad]), "layer 'fc6': .*dim|shape")


def test_nesting_is_not_followed(refuse):
    content = b""
    for _ in range(2000):
        content = field(2, content)
    refuse(content, "without weights")


def test_tells_the_format_by_content(write, tmp_path, arrays):
    assert caffemodel.is_caffemodel(write(write_net(arrays)))
    assert caffemodel.is_caffemodel(write(write_net(arrays, new_layer)))
    for other in [
        b"",
        b"PK\x03\x04" + bytes(100),
        b"layer { }",
        write_net(arrays)[:-1],
    ]:
        assert not caffemodel.is_caffemodel(write(other))
    np.savez(tmp_path / "a.npz", **{name: pair[0] for name, pair in arrays.items()})
    np.save(tmp_path / "a.npy", arrays["conv1"][0])
    assert not caffemodel.is_caffemodel(tmp_path / "a.npz")
    assert not caffemodel.is_caffemodel(tmp_path / "a.npy")
