"""What the painters of the procedural data set share: palettes, noise, ink, a motif."""

from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

Rng = np.random.Generator
Color = Float[np.ndarray, "3 1 1"]
Palette = Float[np.ndarray, "6 3 1 1"]
Plane = Float[np.ndarray, "size size"]
Points = Float[np.ndarray, "n 2"]
Picture = Float[np.ndarray, "3 size size"]  # nominally in 0..1

# Six colours each, from the darkest to the lightest.
_PALETTES = [
    "1b1b3a 5b2a5e c2455b f08a4b f9c66b fdf0d5",  # dusk
    "0b2239 1f5673 3f8ea3 e07a5f f2cc8f f4f1de",  # shore
    "2b2118 34623f 3b7ea1 c98a2b f2c14e f7ecd0",  # wheat
    "16261e 2f6b4f a13d63 e3879e b9cf8b f5f0e1",  # garden
    "14141a 1d4e9e c8281f e9a820 8fb8d9 f4efe2",  # primary
    "1e1512 5c3a21 9c5a2e 5f7d7e d9b27c efe3cb",  # earth
    "0d1128 24356e 4f74b3 e2b13c a9c6d9 f3ecd2",  # night
    "10222b 1f6f6b 6aa88d d1495b edae49 f6efdd",  # jade
]


def draw_palette(rng: Rng) -> Palette:
    """Draw one of the shared palettes, every colour moved a little."""
    colors = str(rng.choice(_PALETTES)).split()
    base = np.array([list(bytes.fromhex(color)) for color in colors]) / 255
    base = np.clip(base + rng.normal(0, 0.02, base.shape), 0, 1)
    return base.astype(np.float32)[..., None, None]


def inks(colors: np.ndarray) -> list[tuple[int, ...]]:
    """Turn colours, [n, 3] or [n, 3, 1, 1], into what Pillow draws with."""
    levels = (colors.reshape(-1, 3).clip(0, 1) * 255 + 0.5).astype(int)
    return [tuple(level) for level in levels.tolist()]


def ink(color: Color) -> tuple[int, ...]:
    """Turn one colour into what Pillow draws with."""
    return inks(color)[0]


def mix(a, b, t):
    """Go from `a` (t = 0) to `b` (t = 1); colours and planes broadcast."""
    return a + (b - a) * t


def step(distance: Plane) -> Plane:
    """Mask the places with a positive distance (in pixels); a smooth edge."""
    return np.clip(distance + 0.5, 0, 1)


def grid(size: int) -> tuple[Plane, Plane]:
    """Return the coordinates x and y of the pixel centres, in 0..1, y downwards."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    return np.meshgrid(axis, axis)


def noise(
    rng: Rng, size: int, cells: int, octaves: int = 1, rows: int | None = None
) -> np.ndarray:
    """Return smooth noise of about unit range: [rows or size, size]."""
    total = np.zeros((rows or size, size), np.float32)
    for octave in range(octaves):
        count = cells * 2**octave + 1
        knots = rng.uniform(-1, 1, (1 if rows == 1 else count, count))
        layer = Image.fromarray(knots.astype(np.float32))
        layer = layer.resize((size, rows or size), Image.Resampling.BICUBIC)
        total += np.asarray(layer) * np.float32(0.5**octave)
    return total


def noise_line(rng: Rng, size: int, cells: int, octaves: int = 1) -> np.ndarray:
    """Return smooth noise along a line: [size]."""
    return noise(rng, size, cells, octaves, rows=1)[0]


def halve(big: np.ndarray) -> np.ndarray:
    """Average 2 x 2 pixels of the last two axes, which smooths edges."""
    rows = big[..., ::2, :] + big[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def blank(color: Color, size: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Return a canvas of twice the size to draw on, and its pen."""
    canvas = Image.new("RGB", (2 * size, 2 * size), ink(color))
    return canvas, ImageDraw.Draw(canvas)


def planes(canvas: Image.Image) -> Picture:
    """Turn a Pillow image into planes."""
    return np.asarray(canvas, np.float32).transpose(2, 0, 1) / 255


def under(line: np.ndarray, size: int) -> list[tuple[Any, Any]]:
    """Return the polygon under a line of heights in 0..1, on a canvas `size` wide."""
    xs = np.linspace(0, size, len(line))
    return [(-size, 2 * size), *zip(xs, line * size, strict=True), (2 * size, 2 * size)]


def scene(rng: Rng, palette: Palette, size: int = 96) -> Picture:
    """Draw a motif in flat colours for some styles: hills or a still life."""
    wall, ground, body, fruit, petal = palette[rng.permutation(5)]
    low, high = [palette[5], wall] if rng.random() < 0.5 else [wall, palette[5]]
    back = np.broadcast_to(mix(high, low, grid(size)[1] * 0.6), (3, size, size))
    canvas = Image.fromarray((back.transpose(1, 2, 0) * 255).astype(np.uint8))
    pen = ImageDraw.Draw(canvas)

    def disc(
        x: float, y: float, radius: float, color: Color, tall: float = 1.0
    ) -> None:
        box = x - radius, y - radius * tall, x + radius, y + radius * tall
        pen.ellipse([size * v for v in box], ink(color))

    if rng.random() < 0.6:
        x, y = rng.uniform((0.15, 0.12), (0.85, 0.35))
        disc(x, y, rng.uniform(0.06, 0.13), petal)
        top = rng.uniform(0.4, 0.55)
        for level, color in zip((top, 0.65, 0.85), (body, ground, fruit), strict=True):
            line = level + 0.12 * noise_line(rng, size, int(rng.integers(2, 6)))
            pen.polygon(under(line, size), ink(color))
        for x in rng.uniform(0.05, 0.95, rng.integers(0, 4)):
            disc(x, rng.uniform(0.55, 0.7), 0.05, palette[0], rng.uniform(3, 5))
    else:
        pen.rectangle((0, rng.uniform(0.55, 0.7) * size, size, size), ink(ground))
        x, half, top = rng.uniform((0.3, 0.1, 0.3), (0.7, 0.15, 0.4))
        for _ in range(rng.integers(5, 10)):
            cx, cy = rng.normal((x, top - 0.05), (0.13, 0.08))
            disc(cx, cy, rng.uniform(0.06, 0.1), petal)
            disc(cx, cy, 0.03, palette[5])
        disc(x, top + 0.15, half / 2, body, 3.0)
        disc(x, 0.64, half, body, 1.4)
        for cx in rng.uniform(0.1, 0.9, rng.integers(2, 6)):
            disc(cx, 0.82, rng.uniform(0.06, 0.1), fruit)
    return planes(canvas)


def pick(scene: np.ndarray, at: Points) -> np.ndarray:
    """Return the scene's colours at points (x, y) in 0..1."""
    n = scene.shape[-1]
    column, row = np.clip(at * n, 0, n - 1).astype(int).T
    return scene[:, row, column].T


def cut(piece: Points, normal: np.ndarray, through: np.ndarray) -> list[np.ndarray]:
    """Cut a convex polygon in two by the line through a point."""
    halves, side = ([], []), (piece - through) @ normal
    corners = list(zip(piece, side, strict=True))
    for (p, s), (q, t) in zip(corners, corners[1:] + corners[:1], strict=True):
        halves[int(s > 0)].append(p)
        if (s > 0) != (t > 0):
            for half in halves:
                half.append(p + (q - p) * s / (s - t))
    return [np.array(half) for half in halves]
