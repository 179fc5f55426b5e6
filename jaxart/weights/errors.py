"""The one error that a bad weight file raises."""

import contextlib
from collections.abc import Iterator
from pathlib import PurePath


class WeightsError(ValueError):
    """A weight file that cannot be used; the message names the file and the fact."""


@contextlib.contextmanager
def refuse_bad_file(path: str | PurePath, note: str = "") -> Iterator[None]:
    """Turns whatever a damaged or hostile file sets off into one `WeightsError`.

    Args:
      path: the file being read, which a `WeightsError` of the block does not name.
      note: what else the user should know of any other error, put last.

    Raises:
      WeightsError: for every exception of the block, in one line.
    """
    try:
        yield
    except WeightsError as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{path}: {reason[:1000]}") from error
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise WeightsError(
            f"{path}: cannot be read as weights: {reason[:300].rstrip(': ')}{note}"
        ) from error
