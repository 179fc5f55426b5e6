"""The painters of the procedural data set: ten styles, a function each.

A painter is handed a random generator, a size and a palette and returns a picture.
The palettes are shared by all styles, and three styles share their motifs as well
(`_scene`), so what tells one style from another is how the paint is laid on, not
its colour.
"""

import math
from collections.abc import Callable
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


def _inks(colors: np.ndarray) -> list[tuple[int, ...]]:
    """Turn colours, [n, 3] or [n, 3, 1, 1], into what Pillow draws with."""
    levels = (colors.reshape(-1, 3).clip(0, 1) * 255 + 0.5).astype(int)
    return [tuple(level) for level in levels.tolist()]


def _ink(color: Color) -> tuple[int, ...]:
    """Turn one colour into what Pillow draws with."""
    return _inks(color)[0]


def _mix(a, b, t):
    """Go from `a` (t = 0) to `b` (t = 1); colours and planes broadcast."""
    return a + (b - a) * t


def _step(distance: Plane) -> Plane:
    """Mask the places with a positive distance (in pixels); a smooth edge."""
    return np.clip(distance + 0.5, 0, 1)


def _grid(size: int) -> tuple[Plane, Plane]:
    """Return the coordinates x and y of the pixel centres, in 0..1, y downwards."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    return np.meshgrid(axis, axis)


def _noise(
    rng: Rng, size: int, cells: int, octaves: int = 1, rows: int | None = None
) -> np.ndarray:
    """Return smooth noise of about unit range: [rows or size, size]."""
    total = np.float32(0)
    for octave in range(octaves):
        count = cells * 2**octave + 1
        knots = rng.uniform(-1, 1, (1 if rows == 1 else count, count))
        layer = Image.fromarray(knots.astype(np.float32))
        layer = layer.resize((size, rows or size), Image.BICUBIC)
        total = total + np.asarray(layer) * np.float32(0.5**octave)
    return total


def _line(rng: Rng, size: int, cells: int, octaves: int = 1) -> np.ndarray:
    """Return smooth noise along a line: [size]."""
    return _noise(rng, size, cells, octaves, rows=1)[0]


def _halve(big: np.ndarray) -> np.ndarray:
    """Average 2 x 2 pixels of the last two axes, which smooths edges."""
    rows = big[..., ::2, :] + big[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def _blank(color: Color, size: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Return a canvas of twice the size to draw on, and its pen."""
    canvas = Image.new("RGB", (2 * size, 2 * size), _ink(color))
    return canvas, ImageDraw.Draw(canvas)


def _planes(canvas: Image.Image) -> Picture:
    """Turn a Pillow image into planes."""
    return np.asarray(canvas, np.float32).transpose(2, 0, 1) / 255


def _under(line: np.ndarray, size: int) -> list[tuple[Any, Any]]:
    """Return the polygon under a line of heights in 0..1, on a canvas `size` wide."""
    xs = np.linspace(0, size, len(line))
    return [(-size, 2 * size), *zip(xs, line * size, strict=True), (2 * size, 2 * size)]


def _scene(rng: Rng, palette: Palette, size: int = 96) -> Picture:
    """Draw a motif in flat colours for some styles: hills or a still life."""
    wall, ground, body, fruit, petal = palette[rng.permutation(5)]
    low, high = [palette[5], wall] if rng.random() < 0.5 else [wall, palette[5]]
    back = np.broadcast_to(_mix(high, low, _grid(size)[1] * 0.6), (3, size, size))
    canvas = Image.fromarray((back.transpose(1, 2, 0) * 255).astype(np.uint8))
    pen = ImageDraw.Draw(canvas)

    def disc(
        x: float, y: float, radius: float, color: Color, tall: float = 1.0
    ) -> None:
        box = x - radius, y - radius * tall, x + radius, y + radius * tall
        pen.ellipse([size * v for v in box], _ink(color))

    if rng.random() < 0.6:
        x, y = rng.uniform((0.15, 0.12), (0.85, 0.35))
        disc(x, y, rng.uniform(0.06, 0.13), petal)
        top = rng.uniform(0.4, 0.55)
        for level, color in zip((top, 0.65, 0.85), (body, ground, fruit), strict=True):
            line = level + 0.12 * _line(rng, size, int(rng.integers(2, 6)))
            pen.polygon(_under(line, size), _ink(color))
        for x in rng.uniform(0.05, 0.95, rng.integers(0, 4)):
            disc(x, rng.uniform(0.55, 0.7), 0.05, palette[0], rng.uniform(3, 5))
    else:
        pen.rectangle((0, rng.uniform(0.55, 0.7) * size, size, size), _ink(ground))
        x, half, top = rng.uniform((0.3, 0.1, 0.3), (0.7, 0.15, 0.4))
        for _ in range(rng.integers(5, 10)):
            cx, cy = rng.normal((x, top - 0.05), (0.13, 0.08))
            disc(cx, cy, rng.uniform(0.06, 0.1), petal)
            disc(cx, cy, 0.03, palette[5])
        disc(x, top + 0.15, half / 2, body, 3.0)
        disc(x, 0.64, half, body, 1.4)
        for cx in rng.uniform(0.1, 0.9, rng.integers(2, 6)):
            disc(cx, 0.82, rng.uniform(0.06, 0.1), fruit)
    return _planes(canvas)


def _pick(scene: np.ndarray, at: Points) -> np.ndarray:
    """Return the scene's colours at points (x, y) in 0..1."""
    n = scene.shape[-1]
    column, row = np.clip(at * n, 0, n - 1).astype(int).T
    return scene[:, row, column].T


def _brush_strokes(rng: Rng, size: int, palette: Palette) -> Picture:
    """Lay thick curved strokes that follow a swirling field, lit from one side."""
    canvas, pen = _blank(palette[rng.integers(5)], size)
    scene, scale = _scene(rng, palette), rng.uniform(0.8, 1.3)
    at = rng.uniform(0, 1, (int(1700 / scale**2), 1, 2))
    field = rng.uniform(0, np.pi) + 2.2 * _noise(rng, 96, int(rng.integers(2, 5)))
    angle = _pick(field[None], at[:, 0]) + [-0.3, 0, 0, 0.3]
    reach = rng.uniform(0.03, 0.065, (len(at), 1)) * scale * [-1, -0.3, 0.3, 1]
    paths = at + reach[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    colors = _pick(scene, at[:, 0]) + rng.normal(0, 0.06, (len(at), 1))
    colors += rng.normal(0, 0.03, colors.shape)
    width = max(2, round(0.04 * size * scale))
    paths = (paths.reshape(-1, 8) * 2 * size).tolist()
    for path, color in zip(paths, _inks(colors), strict=True):
        pen.line(path, color, width)
    picture = _planes(canvas.reduce(2))
    light, shift = picture.mean(0), max(1, size // 128)
    return picture + 0.45 * (light - np.roll(light, (shift, shift), (0, 1)))


def _candlelit_forms(rng: Rng, size: int, palette: Palette) -> Picture:
    """Lift one to three turned forms out of the dark with a low light."""
    x, y = _grid(size)
    side, table = 1 - 2 * int(rng.integers(2)), rng.uniform(0.68, 0.8)
    light = np.float32([side * rng.uniform(0.5, 0.8), -0.5, 0.5])
    light /= np.linalg.norm(light)
    ground = 0.25 * palette[0] + 0.04 * palette[rng.integers(1, 5)]
    glow = np.exp(-((x - 0.5 - 0.3 * side) ** 2 + (y - 0.35) ** 2) / 0.12)
    picture = _mix(ground, palette[2], 0.18 * glow + 0.06 * _noise(rng, size, 6, 3))
    pool = np.exp(-((x - 0.5 - 0.1 * side) ** 2) / 0.08 - (y - table) ** 2 / 0.02)
    picture = _mix(picture, palette[3], 0.5 * pool * _step((y - table) * size))
    count = int(rng.integers(1, 4))
    places = [0.5 + 0.28 * (i - (count - 1) / 2) for i in range(count)]
    for place, color in zip(places, rng.permutation(palette[1:]), strict=False):
        ball, egg, vase = (1, 0, 0), (1.3, 0.35, 0), (1.9, 0.6, 0.28)
        tall, neck, lip = rng.choice([ball, egg, vase]).tolist()
        half = rng.uniform(0.11, 0.15) / (1 if count > 1 else 0.6 * tall**0.5)
        foot, height = table + rng.uniform(0.03, 0.14), 2 * half * tall
        away = ((x - place + side * half) / half / 1.5) ** 2
        shadow = np.exp(-away - ((y - foot) / 0.03) ** 2)
        picture = _mix(picture, ground, 0.8 * shadow)
        v = np.clip((foot - y[:, :1]) / height, 0, 1)  # 0 at the foot, 1 at the top
        radius = np.sqrt(4 * v * (1 - v)) * (1 - neck * v) + lip * v**4
        radius = half * np.maximum(radius, 0.01)
        u = np.clip((x - place) / radius, -1, 1)
        inside = _step((radius - np.abs(x - place)) * size)
        inside *= _step(np.minimum(foot - y, y - foot + height) * size)
        lean = np.gradient(radius, axis=0) * size  # how the side faces up or down
        lit = u * light[0] - lean * light[1] + np.sqrt(1 - u * u) * light[2]
        lit = np.clip(lit / np.sqrt(1 + lean**2), 0, 1) ** 1.5
        color = _mix(color, palette[5], 0.15) * (0.04 + 1.1 * lit) + 0.3 * lit**12
        picture = _mix(picture, color, inside)
    return picture


def _color_fields(rng: Rng, size: int, palette: Palette) -> Picture:
    """Float two to four soft-edged rectangles on a toned ground."""
    x, y = _grid(size) if rng.random() < 0.8 else _grid(size)[::-1]
    ground, *colors = rng.permutation(palette)
    veil = 0.12 + 0.1 * _noise(rng, size, 3, 4)
    picture = _mix(ground, palette[rng.integers(6)], veil)
    margin, soft = rng.uniform(0.06, 0.12), rng.uniform(0.015, 0.04)
    parts = rng.dirichlet(np.full(rng.integers(2, 5), 6))
    edges = (0.06 + 0.88 * np.cumsum([0, *parts])).tolist()
    for top, bottom, color in zip(edges, edges[1:], colors, strict=False):
        inset = np.minimum(y - top, bottom - y) - 0.02
        inset = np.minimum(inset, 0.5 - margin - abs(x - 0.5))
        cover = np.clip(0.5 + (inset + 0.012 * _noise(rng, size, 8, 3)) / soft, 0, 1)
        cover = 0.94 * cover * cover * (3 - 2 * cover)
        picture = _mix(picture, _mix(color, colors[-1], veil), cover)
    return picture + 0.012 * rng.standard_normal((size, size), np.float32)


def _dot_mosaic(rng: Rng, size: int, palette: Palette) -> Picture:
    """Set a scene in small separate dots of unmixed colour."""
    canvas, pen = _blank(_mix(palette[5], palette[4], 0.3), size)
    scene, step = _scene(rng, palette), rng.uniform(0.02, 0.029)
    at = np.stack(np.meshgrid(*[np.arange(0, 1 + step, step)] * 2), -1).reshape(-1, 2)
    at = np.concatenate([at, at + step / 2])
    at = rng.permutation(at + rng.normal(0, 0.18 * step, at.shape))
    colors = _pick(scene, at) + rng.normal(0, 0.09, (len(at), 3))
    spark = rng.random(len(at)) < 0.1
    colors[spark] = palette[rng.integers(0, 6, spark.sum()), :, 0, 0]
    radius = step * rng.uniform(0.34, 0.46, (len(at), 1))
    boxes = np.concatenate([at - radius, at + radius], 1) * 2 * size
    for box, color in zip(boxes.tolist(), _inks(colors), strict=True):
        pen.ellipse(box, color)
    return _planes(canvas.reduce(2))


def _drip_tangle(rng: Rng, size: int, palette: Palette) -> Picture:
    """Pour looping threads of paint, with the splatter around them."""
    ground, *colors = palette[[rng.choice([0, 4, 5, 5]), *rng.permutation(6)]]
    canvas, pen = _blank(ground, size)
    steps, bold = 36, rng.uniform(0.003, 0.006)
    colors = rng.permutation(np.tile(colors, (rng.integers(8, 14), 1, 1, 1)))
    for color in _inks(colors):
        heading = rng.uniform(0, 7) + rng.uniform(2, 5) * _line(rng, steps, 4, 2)
        path = np.stack([np.cos(heading), np.sin(heading)], -1).cumsum(0)
        path = (path - path.mean(0)) * rng.uniform(0.015, 0.035)
        path = (path + rng.uniform(0, 1, 2)) * 2 * size
        spots = path[rng.integers(0, steps, 10)] + rng.normal(0, 0.08 * size, (10, 2))
        drops = np.concatenate([path, spots])
        radius = np.exp(1.2 * _line(rng, len(drops), 9) + rng.normal(-0.8, 0.5))
        radius = (radius.clip(0.1, 2.5) * 2 * size * bold).clip(0.5)[:, None]
        boxes = np.concatenate([drops - radius, drops + radius], 1)
        for box in boxes[radius[:, 0] > 0.8].tolist():
            pen.ellipse(box, color)
        lines = np.concatenate([path[:-1], path[1:]], 1).tolist()
        for line, wide in zip(lines, (2 * radius[:, 0]).tolist(), strict=False):
            pen.line(line, color, round(wide))
    return _planes(canvas.reduce(2))


def _cut(piece: Points, normal: np.ndarray, through: np.ndarray) -> list[np.ndarray]:
    """Cut a convex polygon in two by the line through a point."""
    halves, side = ([], []), (piece - through) @ normal
    corners = list(zip(piece, side, strict=True))
    for (p, s), (q, t) in zip(corners, corners[1:] + corners[:1], strict=True):
        halves[int(s > 0)].append(p)
        if (s > 0) != (t > 0):
            for half in halves:
                half.append(p + (q - p) * s / (s - t))
    return [np.array(half) for half in halves]


def _faceted_planes(rng: Rng, size: int, palette: Palette) -> Picture:
    """Break a scene into straight-edged facets, each with its own light."""
    pieces, sizes = [np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])], [1.0]
    lean = rng.uniform(0, np.pi)
    for _ in range(rng.integers(45, 90)):
        largest = int(np.argmax(rng.uniform(0.3, 1, len(sizes)) * sizes))
        piece, _ = pieces.pop(largest), sizes.pop(largest)
        angle = lean + rng.choice([0, np.pi / 3, np.pi / 2]) + rng.normal(0, 0.25)
        through = rng.dirichlet(np.full(len(piece), 3)) @ piece
        pieces += _cut(piece, np.array([np.cos(angle), np.sin(angle)]), through)
        sizes += [np.ptp(half, 0).sum() for half in pieces[-2:]]
    ids = Image.new("L", (2 * size, 2 * size))
    for i, piece in enumerate(pieces):
        ImageDraw.Draw(ids).polygon((piece * 2 * size).ravel().tolist(), i)
    index, (x, y) = np.asarray(ids), _grid(2 * size)
    centre = np.array([piece.mean(0) for piece in pieces])
    color = _pick(_scene(rng, palette), centre) + rng.normal(0, 0.04, (len(pieces), 1))
    slope = rng.normal((1, 0), 1.1, centre.shape)
    a, b, c = np.float32([*slope.T, -(slope * centre).sum(1)])
    light = 1 + np.clip(a[index] * x + b[index] * y + c[index], -0.45, 0.35)
    return _halve(np.stack([c[index] for c in np.float32(color.T)]) * light)


def _ink_mist(rng: Rng, size: int, palette: Palette) -> Picture:
    """Brush ridge behind ridge in thinning ink, each sinking into mist."""
    _, y = _grid(size)
    ink = _mix(palette[rng.integers(0, 2)], palette[0].mean(), 0.5)
    paper = _mix(palette[rng.integers(4, 6)], palette[5], 0.6)
    grain = _noise(rng, size, 5, 5)
    picture = paper + 0.02 * grain
    (top, bottom), count = rng.uniform((0.25, 0.75), (0.4, 0.9)), rng.integers(3, 6)
    for near in np.linspace(0, 1, count).tolist():
        level, swing = float(_mix(top, bottom, near)), rng.uniform(0.08, 0.2)
        under = y - level - swing * _line(rng, size, int(rng.integers(2, 5)), 6)
        wash = np.exp(-np.maximum(under, 0) / rng.uniform(0.08, 0.2))
        blot = 0.85 + 0.3 * np.roll(grain, int(near * size / 2), 1)
        wash *= (0.2 + 0.7 * near) * blot
        picture = _mix(picture, ink, _step(under * size) * np.clip(wash, 0, 1))
    if rng.random() < 0.6:  # the painter's seal
        left, top = (rng.uniform(0.05, 0.2, 2) * size).astype(int)
        red = np.float32([0.7, 0.16, 0.12])[:, None, None]
        picture[:, top : top + size // 16, left : left + size // 22] = red
    return picture + 0.01 * rng.standard_normal((size, size), np.float32)


def _op_stripes(rng: Rng, size: int, palette: Palette) -> Picture:
    """Bend stripes or checks of two hard colours by a lens or a wave."""
    x, y = _grid(2 * size)
    (cx, cy), turn = rng.uniform(0.3, 0.7, 2).tolist(), rng.uniform(0, np.pi)
    x, y, cos, sin = x - cx, y - cy, math.cos(turn), math.sin(turn)
    x, y = x * cos + y * sin, y * cos - x * sin
    r, angle, count = np.hypot(x, y), np.arctan2(y, x), int(rng.integers(9, 16))
    kind = rng.choice(["waves", "rings", "checks", "rays"])
    if kind == "waves":
        wave = np.sin(x * rng.uniform(7, 16) + 2 * y) * rng.uniform(0.03, 0.07)
        field = np.sin(2 * math.pi * count * (y + wave))
    elif kind == "rings":
        bend = 1 + 0.12 * np.sin(int(rng.integers(2, 6)) * angle)
        field = np.sin(2 * math.pi * count * r * bend)
    elif kind == "checks":
        lens = rng.uniform(0.5, 0.75) * np.exp(-((r / rng.uniform(0.22, 0.35)) ** 2))
        swell = math.pi * count * (1 - lens)
        field = np.sin(x * swell) * np.sin(y * swell)
    else:
        field = np.sin(count * angle + rng.uniform(5, 25) * r)
    dark, light = palette[[rng.choice([0, 0, 1, 2]), rng.choice([5, 5, 4])]]
    return _mix(dark, light, _halve(np.clip(field * size * 0.05 + 0.5, 0, 1)))


def _ruled_grid(rng: Rng, size: int, palette: Palette) -> Picture:
    """Rule upright rectangles with heavy black bars and colour a few."""
    canvas, pen = _blank(palette[5], size)
    cells = [(0.0, 0.0, 1.0, 1.0)]
    for _ in range(rng.integers(7, 16)):
        rank = [(r - x) * (b - y) * rng.uniform(0.1, 1) for x, y, r, b in cells]
        x, y, r, b = cells.pop(int(np.argmax(rank)))
        cut = rng.uniform(0.25, 0.75)
        if (r - x) * rng.uniform(0.6, 1.6) > b - y:
            cut = _mix(x, r, cut)
            cells += [(x, y, cut, b), (cut, y, r, b)]
        else:
            cut = _mix(y, b, cut)
            cells += [(x, y, r, cut), (x, cut, r, b)]
    bar, black = max(1, round(size * rng.uniform(0.012, 0.032))), _ink(0.5 * palette[0])
    full, tint = rng.uniform(0.35, 0.65), _mix(palette[5], 1, rng.uniform(0, 0.5))
    for i, cell in enumerate(cells):
        filled = i < 2 or rng.random() < full
        color = palette[rng.integers(0, 5)] if filled else tint
        pen.rectangle([2 * size * v for v in cell], _ink(color), black, bar)
    return _planes(canvas.reduce(2))


def _woodblock_waves(rng: Rng, size: int, palette: Palette) -> Picture:
    """Print flat outlined shapes: a sun, a peak, and rows of cresting waves."""
    canvas, pen = _blank(palette[5], size)
    big, black = 2 * size, _ink(palette[0])
    sky, width = palette[rng.integers(1, 5)], max(1, round(0.012 * size))
    for i in range(big // 3):  # a printed gradient
        pen.line((0, i, big, i), _ink(_mix(sky, palette[5], i / (big // 3))))
    sun = tuple(rng.uniform((0.15, 0.12), (0.85, 0.35)) * big)
    disc = palette[rng.integers(2, 4)]
    pen.circle(sun, rng.uniform(0.08, 0.14) * big, _ink(disc), black, width)
    t = np.linspace(0, 1, 160)
    top, peak, steep, first = rng.uniform((0.2, 0.2, 0.7, 0.45), (0.4, 0.8, 1.3, 0.65))
    slope = top + steep * np.abs(t - peak) ** 1.2
    pen.polygon(_under(slope, big), _ink(palette[rng.integers(1, 4)]), black, width)
    colors = rng.permutation(palette[1:5])
    for i, level in enumerate(np.linspace(first, 0.95, rng.integers(4, 8))):
        crest = np.abs(np.sin(np.pi * (t * rng.uniform(2, 5) + rng.random())))
        wave = level + rng.uniform(0.05, 0.12) * (crest - 1)
        for j, fill in enumerate((colors[i % 4], palette[5], colors[i % 4])):
            pen.polygon(_under(wave + 0.02 * j, big), _ink(fill), black, width)
    return _planes(canvas.reduce(2))


PAINTERS: dict[str, Callable[[Rng, int, Palette], Picture]] = {
    "brush_strokes": _brush_strokes,
    "candlelit_forms": _candlelit_forms,
    "color_fields": _color_fields,
    "dot_mosaic": _dot_mosaic,
    "drip_tangle": _drip_tangle,
    "faceted_planes": _faceted_planes,
    "ink_mist": _ink_mist,
    "op_stripes": _op_stripes,
    "ruled_grid": _ruled_grid,
    "woodblock_waves": _woodblock_waves,
}
