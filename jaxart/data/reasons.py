"""What Pillow says of odd files, for people: why there is no picture, and how often."""

import atexit
import collections
import contextlib
import ctypes
import logging
import re
import warnings

from PIL import Image

_ADDRESS = re.compile(r"<[^<>]* at 0x[0-9a-f]+>")
_NUMBER = re.compile(r"\d+")
_MAX_LENGTH = 120  # of what an error says
_NUM_WARNINGS = 5  # that are named at the end
_MAX_KINDS = 1000  # that are told apart

logger = logging.getLogger(__name__)


def of(error: Exception) -> str:
    """Why a file gives no picture, of what a decoder raised: one line."""
    text = " ".join(_ADDRESS.sub("the file", str(error)).split())[:_MAX_LENGTH]
    if isinstance(error, Image.UnidentifiedImageError):
        return text
    if isinstance(error, Image.DecompressionBombError):
        return f"a picture within it is too large: {text.partition(', could')[0]}"
    if isinstance(error, MemoryError):
        return "there was too little memory to decode it"
    if isinstance(error, OSError) and text:
        return f"damaged: {text}"
    kind = type(error).__name__
    return f"damaged: its reader ends with {kind}{text and f' ({text})'}"


class _Counter(logging.Handler):
    """Counts messages by kind, instead of showing them."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.counts: collections.Counter[str] = collections.Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.add(record.getMessage())

    def add(self, message: str) -> None:
        if len(self.counts) < _MAX_KINDS:
            self.counts[" ".join(_NUMBER.sub("N", message).split())] += 1


def count_warnings() -> None:
    """Has what Pillow warns of, or logs, counted, and said in a line at the end."""
    counter = _Counter()
    counts, show = counter.counts, warnings.showwarning
    logging.getLogger("PIL").addHandler(counter)
    logging.getLogger("PIL").propagate = False

    def count(message, category, filename, lineno, file=None, line=None):
        if "/PIL/" not in filename.replace("\\", "/"):
            show(message, category, filename, lineno, file, line)
        else:
            counter.add(str(message))

    def say() -> None:
        if counts:
            named = (f"{text} ({n})" for text, n in counts.most_common(_NUM_WARNINGS))
            logger.info("Pillow warned of odd files: %s", "; ".join(named))

    warnings.filterwarnings("always", module=r"PIL\.")
    warnings.showwarning = count
    atexit.register(say)


def silence_libtiff() -> None:
    """Keeps what libtiff says of damaged files off this process's standard error.

    That they are damaged, Pillow says. It has no switch for libtiff's errors; where
    libtiff is no library of its own, as on Windows, they stay.
    """
    with contextlib.suppress(OSError, AttributeError):
        # Whichever libtiff Pillow's own library has loaded.
        ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)
