"""Text files as people and their programs leave them."""

import codecs
import io

from jaxart.storage import AnyPath

# UTF-32's begins as UTF-16's does.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class DataError(ValueError):
    """A list, table or folder that cannot be used; the message says where."""


def read(path: AnyPath) -> str:
    r"""A text file's content, as its byte-order mark says, or UTF-8; `\n` ends lines.

    Raises:
      DataError: it is no such text.
    """
    content = path.read_bytes()
    marked = (name for mark, name in _MARKS.items() if content.startswith(mark))
    encoding = next(marked, "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        kind = encoding.removesuffix("-sig").upper()
        raise DataError(
            f"{path}: not a {kind} text file ({error}); save it as UTF-8"
        ) from None
    if "\0" in text:  # as UTF-16 has, beside each letter
        raise DataError(f"{path}: not a UTF-8 text file (it holds NUL); save it as one")
    return io.StringIO(text, newline=None).read()
