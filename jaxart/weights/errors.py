"""The one error that a bad weight file raises."""

import contextlib
from collections.abc import Iterator
from pathlib import PurePath


class WeightsError(ValueError):
    """A weight file that cannot be used; the message names the file and the fact."""


@contextlib.contextmanager
def refuse_bad_file(path: str | PurePath, note: str = "") -> Iterator[None]:
    """Turns whatever a damaged or hostile file sets off into a `WeightsError`.

    It is one line, which names the file; a `note` follows an error of another kind.
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
