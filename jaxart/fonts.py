"""Text in pictures, in any script: a font for each of its characters.

ASCII is drawn by Pillow in Pillow's own font. All else is drawn by Matplotlib, which
has a font for accents, Greek, Cyrillic, Arabic and more (DejaVu Sans), takes several
fonts in one line and, from 3.11 on, joins and orders letters as their script does. What
DejaVu Sans lacks comes from the fonts of the system. Matplotlib is imported late.
"""

import functools
import logging
import os
import string
import threading
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt32
from PIL import Image, ImageDraw, ImageFont

logger = logging.getLogger(__name__)

Ink = str | tuple[int, ...]

# What Pillow draws: an ellipsis is where a line was cut.
_ASCII = frozenset(string.ascii_letters + string.digits + string.punctuation + " …")
_LOST = "?"  # in place of a character that no font has
_PLACELESS = {"Mn", "Mc", "Me", "Cf", "Cc"}  # categories: marks, joiners, controls
# Of two fonts that have the same characters, the one with fewer of these is plainer.
_STYLES = (
    *("bold", "italic", "oblique", "black", "heavy", "medium", "semi", "light", "thin"),
    *("condensed", "narrow", "mono", "serif", "emoji", "symbol", "hand", "script"),
)
_FROM_THE_LEFT = "\N{LEFT-TO-RIGHT MARK}"  # a line is read so, as on the pages
_LAST_RESORT = "lastresort"  # a font of boxes
_noted = threading.Event()


class Drawable(NamedTuple):
    """A text of which every character is in one of the fonts."""

    text: str
    fonts: tuple[str, ...]  # files, in order of preference


class _Line(NamedTuple):
    """A line of text as a picture."""

    mask: Image.Image  # its ink, 8-bit, without margins
    width: float  # pixels
    descent: float  # pixels of the ink below the baseline


def drawable(text: str) -> Drawable:
    """The text in its composed form (NFC), less what no font has, and its fonts.

    A character that no font has is drawn without its accents, or as '?'; the first time
    in a process, a warning says which fonts to install. Line breaks stay.
    """
    text = unicodedata.normalize("NFC", text)
    ours = _own_font()
    missing = _without(set(text) - {"\n"}, ours)
    others = _system_fonts(frozenset(missing)) if missing else ()
    lost = functools.reduce(_without, others, missing)
    if lost:
        # No font helps with codes that are no characters, or with marks alone.
        if letters := {
            char for char in lost if unicodedata.category(char)[0] in "LNPS"
        }:
            _note(letters)
        text = "".join(_plainer(char) if char in lost else char for char in text)
    return Drawable(text, (ours, *others))


def families(texts: Iterable[str]) -> list[str]:
    """The fonts of these texts, by the names that Matplotlib's `fontfamily` takes."""
    from matplotlib import font_manager  # noqa: PLC0415  (late: it takes a second)

    paths = dict.fromkeys(path for text in texts for path in drawable(text).fonts)
    names = []
    for path in paths:
        name = font_manager.get_font(path).family_name
        if name not in font_manager.get_font_names():  # installed after it listed them
            font_manager.fontManager.addfont(path)
        names.append(name)
    return names


def width(text: str, size: int) -> float:
    """How wide one line of text is, in pixels; `size` is the font's, in pixels."""
    if _ASCII.issuperset(text):
        return _pillows_font(size).getlength(text)
    return _line(text, size).width


def mask(text: str, size: int) -> Image.Image:
    """One line of text, 8-bit: 255 where its ink is, without margins."""
    return _line(text, size).mask


def write(
    canvas: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    ink: Ink,
    size: int,
    anchor: str,
) -> None:
    """Writes one line of text into a picture.

    `anchor` is which place of it is `at`, as Pillow's: 'l', 'm' or 'r' (its left end,
    middle, right end), then 'm' or 'b' (the middle of a line, the ink's lowest row).
    """
    font = _pillows_font(size)
    if _ASCII.issuperset(text):
        canvas.text(at, text, ink, font, anchor=anchor)
        return
    line = _line(text, size)
    left = at[0] - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * line.width
    bottom = float(at[1])
    if anchor[1] == "m":
        ascent, descent = font.getmetrics()
        bottom += (ascent - descent) / 2 + line.descent
    canvas.bitmap((round(left), round(bottom) - line.mask.height), line.mask, ink)


def _line(text: str, size: int) -> _Line:
    if _ASCII.issuperset(text):
        font = _pillows_font(size)
        left, top, right, bottom = map(round, font.getbbox(text, anchor="ls"))
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).text((-left, -top), text, 255, font, anchor="ls")
        return _Line(mask, font.getlength(text), bottom)
    text, paths = drawable(" ".join(text.split()))
    if _ASCII.issuperset(text):
        return _line(text, size)
    from matplotlib import font_manager  # noqa: PLC0415  (late: it takes a second)

    face = font_manager.get_font(list(paths))
    face.set_size(size, 72)  # pixels
    face.set_text(_FROM_THE_LEFT + text)
    face.draw_glyphs_to_bitmap(antialiased=True)
    mask = Image.fromarray(np.array(face.get_image()))
    mask = mask.crop(mask.getbbox())
    return _Line(mask, face.get_width_height()[0] / 64, face.get_descent() / 64)


@functools.cache
def _pillows_font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # as ever where a size is given
    return font


@functools.cache
def _own_font() -> str:
    """DejaVu Sans, which Matplotlib brings."""
    import matplotlib  # noqa: PLC0415  (late: it takes a second)

    return os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


@functools.cache
def _system_fonts(missing: frozenset[str]) -> tuple[str, ...]:
    """As few fonts of the system as have these characters, or most of them."""
    chosen = []
    while missing:
        remaining = {path: _without(missing, path) for path in _installed()}
        best = min(remaining, key=lambda path: len(remaining[path]), default=None)
        if best is None or remaining[best] == missing:
            break
        chosen.append(best)
        missing = frozenset(remaining[best])
    return tuple(chosen)


@functools.cache
def _installed() -> Sequence[str]:
    """The system's font files, the plainest first."""
    from matplotlib import font_manager  # noqa: PLC0415  (late: it takes a second)

    def plainness(path: str) -> tuple[int, bool, str]:
        name = PurePath(path).stem.lower()
        return sum(style in name for style in _STYLES), "sans" not in name, path

    paths = map(str, font_manager.findSystemFonts())
    return sorted(
        (path for path in paths if _LAST_RESORT not in path.lower()), key=plainness
    )


def _without(characters: Iterable[str], path: str) -> set[str]:
    """The characters that a font does not have."""
    wanted = sorted(characters)
    codes = np.array([ord(char) for char in wanted], np.uint32)
    has = np.isin(codes, _codes(path))
    return {char for char, is_there in zip(wanted, has, strict=True) if not is_there}


@functools.cache
def _codes(path: str) -> UInt32[np.ndarray, " n"]:
    """The characters of a font; of one that cannot be read, or scaled, none."""
    from matplotlib.ft2font import FT2Font  # noqa: PLC0415  (late)

    try:
        face: Any = FT2Font(path)
        codes = face.get_charmap() if face.scalable else ()
    except (OSError, RuntimeError):
        codes = ()
    return np.array(sorted(codes), np.uint32)


def _plainer(char: str) -> str:
    """What is drawn in place of a character that no font has."""
    if unicodedata.category(char) in _PLACELESS:
        return ""
    parts = unicodedata.normalize("NFKD", char)
    base = "".join(part for part in parts if not unicodedata.combining(part))
    return _LOST if base == char or _without(base, _own_font()) else base


def _note(lost: set[str]) -> None:
    """Says once in a process which characters are missing, and the remedy."""
    if not _noted.is_set():
        _noted.set()
        logger.warning(
            "no font here has %s, drawn as %r: install one, such as Debian's "
            "fonts-noto-cjk (Chinese, Japanese, Korean) or fonts-noto-core (most other "
            "scripts), or from https://fonts.google.com/noto",
            " ".join(sorted(lost)),
            _LOST,
        )
