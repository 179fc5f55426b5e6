"""Checksums: of the bytes, whatever they are called."""

import ml_dtypes
import numpy as np
import pytest
import xxhash

from jaxart.storage import checksum, checksum_of_file


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.arange(6.0).reshape(2, 3).T,
        np.zeros((0, 3), np.float32),
        np.array(3, np.int32),
        np.arange(4).astype(ml_dtypes.bfloat16),
    ],
    ids=["rows", "not contiguous", "empty", "a number", "bfloat16"],
)
def test_an_arrays_checksum_is_that_of_its_bytes(array):
    assert checksum(array) == xxhash.xxh3_128(array.tobytes()).hexdigest()


def test_pieces_are_one_text():
    assert checksum(b"ab", np.frombuffer(b"c", np.uint8)) == checksum(b"abc")
    assert checksum(b"abc") != checksum(b"abd")


@pytest.mark.parametrize("num_bytes", [0, 5, 3_000_001])
def test_a_file_is_what_it_holds(tmp_path, num_bytes):
    content = np.random.default_rng(0).bytes(num_bytes)
    (tmp_path / "file").write_bytes(content)
    with open(tmp_path / "file", "rb") as file:
        assert checksum_of_file(file) == checksum(content)
