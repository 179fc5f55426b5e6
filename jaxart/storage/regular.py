"""Files that are opened only if they are files: nothing that may never end."""

import errno
import io
import os
import stat

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path: str | os.PathLike) -> io.BufferedReader:
    """Opens a local file, or what a link leads to, for its bytes.

    Raises:
      OSError: it is missing, a folder, pipe, device or socket, or cannot be opened.
    """
    try:
        return open(path, "rb", opener=_open)
    except ValueError as error:  # a text that is no name of a file
        raise OSError(errno.EINVAL, str(error)) from error


def _open(path: str, flags: int) -> int:
    # To open a pipe or a device would wait for who is at its other end.
    try:
        descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise _no_file(os.stat(path).st_mode) from error
        raise
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # which `open` itself refuses
        return descriptor
    os.close(descriptor)
    raise _no_file(mode)


def _no_file(mode: int) -> OSError:
    kind = _KINDS.get(stat.S_IFMT(mode), "of an unknown kind")
    return OSError(errno.EINVAL, f"it is {kind}, not a file")
