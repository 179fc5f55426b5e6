"""Tiny weight files, and the bytes of the pickles that a `.npy` file may hold."""

import io
import pickle

import numpy as np
import pytest

OBJECT_HEADER = {"descr": "|O", "fortran_order": False, "shape": ()}


@pytest.fixture
def layers():
    """Two small layers, as a Caffe dict holds them."""
    rng = np.random.default_rng(0)
    return {
        "conv1": [
            rng.normal(size=(2, 2, 3, 4)).astype(np.float32),
            rng.normal(size=4).astype(np.float32),
        ],
        "fc6": [
            rng.normal(size=(5, 3)).astype(np.float32),
            rng.normal(size=3).astype(np.float32),
        ],
    }


@pytest.fixture
def write_npy(tmp_path):
    """Writes a `.npy` file around the bytes of a pickle; returns its path."""

    def write(pickled: bytes, header: dict = OBJECT_HEADER, name: str = "a.npy"):
        stream = io.BytesIO()
        np.lib.format.write_array_header_1_0(stream, header)
        path = tmp_path / name
        path.write_bytes(stream.getvalue() + pickled)
        return path

    return write


@pytest.fixture
def write_dict(write_npy):
    """Writes an object as `np.save` does, with any pickle protocol."""

    def write(content, protocol: int = 4):
        box = np.empty((), dtype=object)
        box[()] = content
        return write_npy(pickle.dumps(box, protocol=protocol))

    return write


@pytest.fixture
def assert_params_equal():
    """Compares parameter trees: names in order, values, dtype and contiguity."""

    def check(found, wanted):
        assert list(found) == list(wanted)
        for layer, arrays in wanted.items():
            assert set(found[layer]) == set(arrays)
            for name, array in arrays.items():
                assert found[layer][name].dtype == np.float32
                assert found[layer][name].flags.c_contiguous
                np.testing.assert_array_equal(found[layer][name], array)

    return check
