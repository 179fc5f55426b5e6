"""Checksums: of the bytes, whatever they are called."""

import ml_dtypes
import numpy as np
import pytest
import xxhash

from jaxart.storage import checksum


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
