"""From a saliency map to pictures. NumPy, Pillow and cmap, never jax.

A map is drawn in 8-bit levels: its zero is level 0, or 128 if it is signed, and its
limit is level 255. Everything of a picture's own size is held in 8 bit, since pictures
may have 100 megapixels.
"""

import bisect
import difflib
import math
import unicodedata
from collections.abc import Sequence

import cmap
import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, ImageDraw

from jaxart import fonts

# Both perceptually uniform. CET-D1 (Kovesi 2015, arXiv:1509.03700) runs from blue over
# white to red, and its ends are bright enough to be seen on a dark picture.
SEQUENTIAL, DIVERGING = "inferno", "colorcet:CET_D1"
CATALOG_PAGE = "https://cmap-docs.readthedocs.io/en/latest/catalog/"

# Overlays: what a map's strongest place leaves of the picture, and how far the picture
# goes towards grey, so that (nearly) all colour is the map's.
TRANSPARENCY = 0.15
GREYNESS = 0.8
STRIP = 256  # rows that are laid over each other at once
PAPER, INK = (250, 250, 250), (40, 40, 40)
MARGIN, GAP, CAPTION, FONT_SIZE = 12, 4, 22, 14  # pixels


def magnitude(values: Float32[np.ndarray, "h w"], percentile: float) -> float:
    """A map's own scale: a percentile of its absolute values.

    A percentile of 99 keeps a few hot pixels from darkening all others, 100 is the
    maximum. Where the percentile is 0, the maximum is taken: 0 only of a map of zeros.

    Raises:
      ValueError: the map is not finite, or the percentile is out of range.
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile={percentile}: above 0 and at most 100")
    _check_finite(values)
    strengths = np.abs(values)
    return float(np.percentile(strengths, percentile) or strengths.max())


def to_levels(
    values: Float32[np.ndarray, "h w"], limit: float, signed: bool
) -> UInt8[np.ndarray, "h w"]:
    """Draws values as levels: zero + (255 - zero) * value / limit, rounded.

    Signed, -limit..limit becomes 1..255 with zero at 128; level 0 is unused. Unsigned,
    0..limit becomes 0..255. What is beyond is clipped; a limit of 0 draws all as zero.

    Raises:
      ValueError: the map is not finite.
    """
    _check_finite(values)
    zero = zero_level(signed)
    if limit == 0:
        return np.full(values.shape, zero, np.uint8)
    # In float64: float32 would round a limit below 1e-45 to zero.
    strengths = np.clip(values / np.float64(limit), -1 if signed else 0, 1)
    return np.rint(zero + (255 - zero) * strengths).astype(np.uint8)


def zero_level(signed: bool) -> int:
    """The level of a map's zero, which is also that of what a map does not cover."""
    return 128 if signed else 0


def _check_finite(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise ValueError("the map holds NaN or infinity")


def place(
    levels: UInt8[np.ndarray, "h w"],
    size: tuple[int, int],
    box: Sequence[float | int],
    background: int,
) -> UInt8[np.ndarray, "height width"]:
    """Lays a map over the part of a picture of that size that it explains.

    `box` is that part's left, top, right and bottom edge, in the picture's pixels and
    inside it. Edges are rounded, so that nothing moves by more than half a pixel, but a
    part is never less than one pixel.
    """
    left, top, right, bottom = map(round, box)
    left, top = min(left, size[0] - 1), min(top, size[1] - 1)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    image = Image.fromarray(levels)
    image = image.resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    placed = np.full(size[::-1], background, np.uint8)
    placed[top:bottom, left:right] = np.asarray(image)
    return placed


def color_table(name: str, signed: bool) -> UInt8[np.ndarray, "256 3"]:
    """The RGB colour of each level; signed, the table's centre is at level 128.

    `name` is 'auto', or a colour table of the cmap package: 'viridis', 'RdBu_r',
    'cmocean:balance'. Names of matplotlib mean matplotlib's tables.

    Raises:
      ValueError: there is no such table.
    """
    if name == "auto":
        name = DIVERGING if signed else SEQUENTIAL
    catalog = cmap.Colormap.catalog()
    forwards = name.removesuffix("_r")
    try:
        # A full name, since cmap logs a warning where a short one has namesakes.
        full_name = catalog.resolve(forwards) + name[len(forwards) :]
    except KeyError:
        near = difflib.get_close_matches(forwards, catalog)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        message = f"{name!r}: no such colour table.{hint} All: {CATALOG_PAGE}"
        raise ValueError(message) from None
    count = 255 if signed else 256
    colors = cmap.Colormap(full_name)(np.linspace(0, 1, count), N=count)
    table = np.rint(255 * colors[:, :3]).astype(np.uint8)
    return np.concatenate([table[:1], table]) if signed else table


def heatmap(
    levels: UInt8[np.ndarray, "h w"], table: UInt8[np.ndarray, "256 3"]
) -> Image.Image:
    """The map in colours, as a palette image: its pixels are still the levels."""
    image = Image.fromarray(levels)
    image.putpalette(table.tobytes())
    return image


def overlay(
    picture: UInt8[np.ndarray, "h w 3"],
    levels: UInt8[np.ndarray, "h w"],
    table: UInt8[np.ndarray, "256 3"],
    signed: bool,
) -> Image.Image:
    """Lays a map's colours over the picture, which is shown nearly grey.

    Opacity grows linearly with a level's distance from zero: a steeper start turns
    a map's weak noise into grain, and its changes of sign into contours.
    """
    zero = zero_level(signed)
    strengths = np.minimum(np.abs(np.arange(256) - zero) / (255 - zero), 1)
    opacity = np.rint(255 * (1 - TRANSPARENCY) * strengths).astype(np.uint8)
    whole = Image.new("RGB", picture.shape[1::-1])
    for top in range(0, whole.height, STRIP):
        rows = slice(top, top + STRIP)
        strip = Image.fromarray(picture[rows])
        strip = Image.blend(strip, strip.convert("L").convert("RGB"), GREYNESS)
        colors = Image.fromarray(table[levels[rows]])
        strip.paste(colors, mask=Image.fromarray(opacity[levels[rows]]))
        whole.paste(strip, (0, top))
    return whole


def sheet(
    cells: Sequence[tuple[Sequence[Image.Image], str]],
    columns: int = 2,
    side: int = 256,
) -> Image.Image:
    """Draws a contact sheet: pictures beside their maps, with captions below.

    Each picture and each map is scaled to fit a square of `side` pixels.
    """
    count = max((len(shown) for shown, _ in cells), default=2)
    columns = max(1, min(columns, len(cells)))
    rows = math.ceil(len(cells) / columns)
    width, height = count * (side + GAP) - GAP, side + CAPTION
    size = MARGIN + columns * (width + MARGIN), MARGIN + rows * (height + MARGIN)
    canvas = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(canvas)
    for i, (shown, caption) in enumerate(cells):
        left = MARGIN + i % columns * (width + MARGIN)
        top = MARGIN + i // columns * (height + MARGIN)
        for number, image in enumerate(shown):
            image = _scale(image, side)
            x = left + number * (side + GAP)
            shift = (side - image.width) // 2, (side - image.height) // 2
            canvas.paste(image, (x + shift[0], top + shift[1]))
        line = shorten(caption, FONT_SIZE, width)
        foot = (left + width // 2, top + height)
        fonts.write(draw, foot, line, INK, FONT_SIZE, anchor="mb")
    return canvas


def shorten(text: str, font_size: int, width: int) -> str:
    """One line, at most `width` pixels wide, with an ellipsis where it is cut."""
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    if fonts.width(text, font_size) <= width:
        return text

    def cut(length: int) -> float:
        return fonts.width(text[:length] + "…", font_size)

    kept = bisect.bisect(range(1, len(text)), width, key=cut)
    while kept and unicodedata.category(text[kept]).startswith("M"):
        kept -= 1  # a letter keeps its marks
    return text[:kept] + "…"


def fit(image: Image.Image, side: int) -> Image.Image:
    """Scales down, never up, to at most `side` pixels; a palette image becomes RGB."""
    if max(image.size) <= side and image.mode != "P":
        return image
    return _scale(image, min(side, max(image.size)))


def fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height of what `fit` makes of a picture of that size."""
    return _scaled(size, min(side, max(size)))


def _scale(image: Image.Image, long_side: int) -> Image.Image:
    if image.mode == "P":
        image = image.convert("RGB")
    return image.resize(_scaled(image.size, long_side), Image.Resampling.BICUBIC)


def _scaled(size: tuple[int, int], long_side: int) -> tuple[int, int]:
    scale = long_side / max(size)
    width, height = (max(1, round(edge * scale)) for edge in size)
    return width, height
