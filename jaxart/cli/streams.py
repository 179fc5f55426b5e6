"""Standard streams that nobody reads: the work goes on, and its status counts."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

# The reader has gone, the stream was closed, the terminal has gone.
_UNREAD = (errno.EPIPE, errno.EBADF, errno.EIO)


class _Output(io.FileIO):
    """A stream's descriptor; once it cannot be written, what is left goes nowhere."""

    def write(self, data) -> int | None:
        try:
            return super().write(data)
        except OSError as error:
            _open_nowhere(self.fileno())
            if error.errno not in _UNREAD:
                raise
            return memoryview(data).nbytes


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Lets the process write to its standard streams, whoever still reads them.

    A name that the stream's encoding cannot write is written with escapes. Streams that
    somebody has put in the place of the process's own stay as they are.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file would be taken for it
            _open_nowhere(number)
    own = sys.stdout, sys.stderr
    sys.stdout = _kept(sys.stdout, sys.__stdout__, 1)
    sys.stderr = _kept(sys.stderr, sys.__stderr__, 2)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = own


def _kept(stream: Any, own: Any, number: int) -> Any:
    if stream is None:  # it was closed when Python began
        return io.TextIOWrapper(_Output(number, "w", closefd=False), "utf-8")
    if stream is not own or not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    raw = _Output(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        raw if stream.write_through else io.BufferedWriter(raw),  # pyright: ignore[reportArgumentType]
        stream.encoding,
        "backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _open_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
