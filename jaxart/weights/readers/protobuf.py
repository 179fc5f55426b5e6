"""Walks the wire format of protobuf, for files that hold networks.

A walk reads the floats in place from a mapped file, where the protobuf runtime needs
the file and a copy in memory and stops at 2 GB. Every size is compared with the file
before memory is taken.

Reference: https://protobuf.dev/programming-guides/encoding
"""

import io
import mmap
import re
from collections.abc import Iterator, Mapping

import numpy as np

from jaxart.weights.errors import WeightsError

# Wire types.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# A float that is not packed: it comes after its tag.
TAGGED_FLOAT = np.dtype([("tag", "u1"), ("value", "<f4")])

# Networks here have hundreds; a large file of tiny ones would be walked for minutes.
_MAX_FIELDS = 20_000
_MAX_NAME_BYTES = 1000

Schema = Mapping[int, tuple[int, ...]]  # numbers of fields, each with its wire types


def map_file(stream: io.BufferedIOBase) -> memoryview:
    """Maps an open file; the map is closed with the last view of it.

    Raises:
      ValueError: the file is empty.
    """
    return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))


class Walker:
    """Walks messages of one file, and counts their fields: a hostile file has many.

    `unpacked_floats` is the number of a field of floats that may come one by one.
    """

    def __init__(self, unpacked_floats: int):
        self._num_fields = 0
        self._float_field = unpacked_floats
        tag = re.escape(bytes([unpacked_floats << 3 | FIXED32]))
        self._float_run = re.compile(rb"(?:%b.{4})++" % tag, re.DOTALL)

    def fields(
        self, message: memoryview, schema: Schema
    ) -> Iterator[tuple[int, int, memoryview]]:
        """Yields the fields of a schema, each as number, wire type and bytes.

        Floats that are not packed come as one field, as bytes of `TAGGED_FLOAT`:
        taken one by one, VGG16's would take minutes.

        Raises:
          WeightsError: not a message of that schema.
        """
        position = 0
        while position < len(message):
            self._num_fields += 1
            if self._num_fields > _MAX_FIELDS:
                raise WeightsError(f"more than {_MAX_FIELDS:,} protobuf fields")
            if run := self._float_run.match(message, position):
                number, wire, start = self._float_field, FIXED32, position
                end = run.end()
            else:
                tag, start = varint(message, position)
                number, wire = tag >> 3, tag & 7
                start, end = _value_range(message, start, wire)
            if number == 0 or wire not in schema.get(number, (wire,)):
                raise WeightsError(f"a protobuf field {number} of wire type {wire}")
            if end > len(message):
                raise WeightsError(
                    f"a protobuf field {number} of {end - start:,} bytes, where "
                    f"{len(message) - start:,} are left"
                )
            if number in schema:
                yield number, wire, message[start:end]
            position = end


def varint(message: memoryview, start: int) -> tuple[int, int]:
    """Returns the number that starts there, and where it ends."""
    value = 0
    for i, byte in enumerate(message[start : start + 10]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, start + i + 1
    raise WeightsError("a protobuf number without end")


def varints(message: memoryview) -> list[int]:
    """The numbers of a packed field, signed; refuses more than a shape has."""
    if len(message) > 100:
        raise WeightsError(f"{len(message):,} bytes of dimensions")
    numbers, position = [], 0
    while position < len(message):
        number, position = varint(message, position)
        numbers.append(_signed(number))
    return numbers


def integer(value: memoryview) -> int:
    """The number of a varint field, signed."""
    return _signed(varint(value, 0)[0])


def _signed(value: int) -> int:
    """Reads a varint's value as the 64-bit integer that it encodes."""
    return value - (1 << 64) if value >> 63 else value


def text(value: memoryview) -> str:
    """Decodes a name; refuses a long one."""
    if len(value) > _MAX_NAME_BYTES:
        raise WeightsError(f"a name of {len(value):,} bytes")
    return str(value, "utf-8")


def _value_range(message: memoryview, start: int, wire: int) -> tuple[int, int]:
    """Where a value starts and ends, if its message is not cut short."""
    if wire == VARINT:
        return start, varint(message, start)[1]
    if wire == BYTES:
        length, start = varint(message, start)
        return start, start + length
    if wire in (FIXED32, FIXED64):
        return start, start + (4 if wire == FIXED32 else 8)
    raise WeightsError(f"protobuf wire type {wire}")
