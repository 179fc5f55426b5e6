"""What Pillow says of odd files, for people: why there is no picture, and how often."""

import atexit
import collections
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


def count_warnings() -> None:
    """Has what Pillow warns of counted, and said in a line when the program ends."""
    counts: collections.Counter[str] = collections.Counter()
    show = warnings.showwarning

    def count(message, category, filename, lineno, file=None, line=None):
        if "/PIL/" not in filename.replace("\\", "/"):
            show(message, category, filename, lineno, file, line)
        elif len(counts) < _MAX_KINDS:
            counts[" ".join(_NUMBER.sub("N", str(message)).split())] += 1

    def say() -> None:
        if counts:
            named = (f"{text} ({n})" for text, n in counts.most_common(_NUM_WARNINGS))
            logger.info("Pillow warned of odd files: %s", "; ".join(named))

    warnings.filterwarnings("always", module=r"PIL\.")
    warnings.showwarning = count
    atexit.register(say)
