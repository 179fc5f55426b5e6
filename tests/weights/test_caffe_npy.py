"""Every spelling of a Caffe dict reads to the same arrays."""

import struct

import numpy as np
import pytest

from jaxart.weights import WeightsError
from jaxart.weights.readers import caffe_npy


def as_params(layers):
    return {name: {"kernel": w, "bias": b} for name, (w, b) in layers.items()}


def object_pair(first, second):
    pair = np.empty(2, dtype=object)
    pair[:] = [first, second]
    return pair


LAYOUTS = {
    "lists": lambda w, b: [w, b],
    "tuples": lambda w, b: (w, b),
    "object arrays": object_pair,
    "dicts": lambda w, b: {"weights": w, "biases": b},
    "dicts of bytes": lambda w, b: {b"biases": b, b"weights": w},
    "fortran": lambda w, b: [np.asfortranarray(w), b],
    "transposed": lambda w, b: [np.ascontiguousarray(w.T).T, b],
    "permuted": lambda w, b: [np.moveaxis(np.moveaxis(w, 0, -1).copy(), -1, 0), b],
    "big endian": lambda w, b: [w.astype(">f4"), b.astype(">f8")],
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("key", [str, str.encode], ids=["str", "bytes"])
def test_reads_every_layout(
    layers, write_dict, assert_params_equal, layout, protocol, key
):
    content = {key(name): LAYOUTS[layout](w, b) for name, (w, b) in layers.items()}
    params = caffe_npy.read(write_dict(content, protocol))
    assert_params_equal(params, as_params(layers))


def test_reads_what_numpy_saves(layers, tmp_path, assert_params_equal):
    np.save(tmp_path / "a.npy", layers)
    assert_params_equal(caffe_npy.read(tmp_path / "a.npy"), as_params(layers))


@pytest.mark.parametrize("dtype", ["f2", "f8", "i4", "u1"])
def test_converts_to_float32(write_dict, assert_params_equal, dtype):
    kernel, bias = np.arange(6).reshape(2, 3), np.arange(3)
    path = write_dict({"fc6": [kernel.astype(dtype), bias.astype(dtype)]})
    params = {"fc6": {"kernel": kernel, "bias": bias}}
    assert_params_equal(caffe_npy.read(path), params)


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"


def python2_binary(layers) -> bytes:
    """Spells protocol 2 as Python 2 does: bytes are BINSTRINGs, keys too."""

    def text(value: bytes):
        return b"T" + struct.pack("<i", len(value)) + value

    def dtype(code, order):
        arguments = text(code) + b"K\x00K\x01\x87R"
        return (
            b"cnumpy\ndtype\n" + arguments + b"(K\x03" + text(order) + b"NNN"
            b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        )

    def array(value):
        shape = b"(" + b"".join(b"K" + bytes([n]) for n in value.shape) + b"t"
        return (
            RECONSTRUCT
            + b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
            + shape
            + dtype(b"f4", b"<")
            + b"\x89"
            + text(value.tobytes())
            + b"tb"
        )

    items = b"".join(
        text(name.encode()) + b"](" + array(kernel) + array(bias) + b"es"
        for name, (kernel, bias) in layers.items()
    )
    return (
        b"\x80\x02"
        + RECONSTRUCT
        + b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01)"
        + dtype(b"O8", b"|")
        + b"\x89]}"
        + items
        + b"atb."
    )


def python2_text(layers) -> bytes:
    """Spells protocol 0 as Python 2 does: quoted strings with escapes."""

    def quoted(value: bytes):
        return b"S" + repr(value)[1:].encode() + b"\n"

    def dtype(code, order):
        arguments = b"(" + quoted(code) + b"I0\nI1\ntR"
        state = b"(I3\n" + quoted(order) + b"NNNI-1\nI-1\nI0\ntb"
        return b"cnumpy\ndtype\n" + arguments + state

    def array(value):
        shape = b"(" + b"".join(b"L%dL\n" % n for n in value.shape) + b"t"
        return (
            RECONSTRUCT
            + b"(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n"
            + shape
            + dtype(b"f4", b"<")
            + b"I00\n"
            + quoted(value.tobytes())
            + b"tb"
        )

    items = b"".join(
        quoted(name.encode()) + b"(l" + array(kernel) + b"a" + array(bias) + b"as"
        for name, (kernel, bias) in layers.items()
    )
    return (
        RECONSTRUCT
        + b"(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(t"
        + dtype(b"O8", b"|")
        + b"I00\n(l(dp1\n"
        + items
        + b"atb."
    )


@pytest.mark.parametrize("spell", [python2_binary, python2_text])
def test_reads_python_2_pickles(layers, write_npy, assert_params_equal, spell):
    path = write_npy(spell(layers))
    assert_params_equal(caffe_npy.read(path), as_params(layers))


KERNEL, BIAS = np.ones((2, 3), np.float32), np.ones(3, np.float32)


@pytest.mark.parametrize(
    "layer",
    [
        [KERNEL],
        [KERNEL, BIAS, BIAS],
        [KERNEL, None],
        [KERNEL, KERNEL],
        ["kernel", "bias"],
        {"weights": KERNEL},
        {"weights": KERNEL, "biases": BIAS, "scale": BIAS},
        {"W": KERNEL, "b": BIAS},
        KERNEL,
        3,
        None,
    ],
    ids=repr,
)
def test_names_a_layer_of_another_kind(write_dict, layer):
    path = write_dict({"conv1": [KERNEL, BIAS], "conv2": layer})
    with pytest.raises(WeightsError, match=r"a\.npy: layer conv2 is neither"):
        caffe_npy.read(path)


@pytest.mark.parametrize("content", [[KERNEL, BIAS], {}, "conv1", None, KERNEL])
def test_refuses_an_object_that_is_no_dict(write_dict, content):
    with pytest.raises(WeightsError, match="not a dict of layers"):
        caffe_npy.read(write_dict(content))


def test_refuses_a_layer_under_two_spellings(write_dict):
    path = write_dict({"conv1": [KERNEL, BIAS], b"conv1": [KERNEL, BIAS]})
    with pytest.raises(WeightsError, match="conv1 is there twice"):
        caffe_npy.read(path)


def test_refuses_one_array_under_many_names(write_dict):
    pair = [np.ones((100, 100)), np.ones(100)]
    path = write_dict({f"conv{n}": pair for n in range(1000)})
    with pytest.raises(WeightsError, match="share arrays"):
        caffe_npy.read(path)
