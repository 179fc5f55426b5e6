"""Loss and accuracy by training step, from a run's event files.

TensorBoard's own reader imports TensorFlow wherever that is installed, for seconds, or
else sums each byte up in Python; and it reads no object stores of ours.
"""

import struct
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError
from tensorboard.compat.proto import event_pb2
from tensorboard.util import tensor_util

from jaxart import storage
from jaxart.storage import AnyPath

Curves = dict[str, list[tuple[int, float]]]  # of steps and values, by tag

_TAGS = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")
_START = event_pb2.SessionLog.START  # pyright: ignore[reportAttributeAccessIssue]
_LENGTH = struct.Struct("<Q")  # of a record; then a checksum of it
_CHECKSUM = 4  # bytes


def read(workdir: AnyPath) -> Curves:
    """Whichever writer wrote them; none if none did.

    A resumed run takes some steps again. What was written last counts; of what was
    written before, only the steps before the one that it began with.
    """
    values: dict[str, dict[int, float]] = {tag: {} for tag in _TAGS}
    for name in sorted(storage.names_in(workdir)):
        if ".tfevents." not in name:
            continue
        for event in _events((workdir / name).read_bytes()):
            if event.session_log.status == _START:
                for tag, of_tag in values.items():
                    values[tag] = {s: of_tag[s] for s in of_tag if s < event.step}
            for value in event.summary.value:
                if value.tag in values:
                    is_tensor = value.HasField("tensor")
                    values[value.tag][event.step] = (
                        float(tensor_util.make_ndarray(value.tensor))
                        if is_tensor
                        else value.simple_value
                    )
    return {tag: sorted(of_tag.items()) for tag, of_tag in values.items() if of_tag}


def _events(content: bytes) -> Iterator[Any]:
    """Of a file, up to its end, or to where a killed run left it."""
    start = 0
    while start + _LENGTH.size <= len(content):
        (length,) = _LENGTH.unpack_from(content, start)
        start += _LENGTH.size + _CHECKSUM
        try:
            yield event_pb2.Event.FromString(content[start : start + length])  # pyright: ignore[reportAttributeAccessIssue]
        except DecodeError:
            return
        start += length + _CHECKSUM
