"""The painters of the procedural data set: ten styles, a function each.

A painter is handed a random generator, a size and a palette and returns a picture.
The palettes are shared by all styles, and three styles share their motifs as well
(`brushes.scene`), so what tells one style from another is how the paint is laid on,
not its colour.
"""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from jaxart.data.brushes import (
    Palette,
    Picture,
    Rng,
    blank,
    cut,
    grid,
    halve,
    ink,
    inks,
    mix,
    noise,
    noise_line,
    pick,
    planes,
    scene,
    step,
    under,
)


def _brush_strokes(rng: Rng, size: int, palette: Palette) -> Picture:
    """Lay thick curved strokes that follow a swirling field, lit from one side."""
    canvas, pen = blank(palette[rng.integers(5)], size)
    motif, scale = scene(rng, palette), rng.uniform(0.8, 1.3)
    at = rng.uniform(0, 1, (int(1700 / scale**2), 1, 2))
    field = rng.uniform(0, np.pi) + 2.2 * noise(rng, 96, int(rng.integers(2, 5)))
    angle = pick(field[None], at[:, 0]) + [-0.3, 0, 0, 0.3]
    reach = rng.uniform(0.03, 0.065, (len(at), 1)) * scale * [-1, -0.3, 0.3, 1]
    paths = at + reach[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    colors = pick(motif, at[:, 0]) + rng.normal(0, 0.06, (len(at), 1))
    colors += rng.normal(0, 0.03, colors.shape)
    width = max(2, round(0.04 * size * scale))
    paths = (paths.reshape(-1, 8) * 2 * size).tolist()
    for path, color in zip(paths, inks(colors), strict=True):
        pen.line(path, color, width)
    picture = planes(canvas.reduce(2))
    light, shift = picture.mean(0), max(1, size // 128)
    return picture + 0.45 * (light - np.roll(light, (shift, shift), (0, 1)))


def _candlelit_forms(rng: Rng, size: int, palette: Palette) -> Picture:
    """Lift one to three turned forms out of the dark with a low light."""
    x, y = grid(size)
    side, table = 1 - 2 * int(rng.integers(2)), rng.uniform(0.68, 0.8)
    light = np.array([side * rng.uniform(0.5, 0.8), -0.5, 0.5], np.float32)
    light /= np.linalg.norm(light)
    ground = 0.25 * palette[0] + 0.04 * palette[rng.integers(1, 5)]
    glow = np.exp(-((x - 0.5 - 0.3 * side) ** 2 + (y - 0.35) ** 2) / 0.12)
    picture = mix(ground, palette[2], 0.18 * glow + 0.06 * noise(rng, size, 6, 3))
    pool = np.exp(-((x - 0.5 - 0.1 * side) ** 2) / 0.08 - (y - table) ** 2 / 0.02)
    picture = mix(picture, palette[3], 0.5 * pool * step((y - table) * size))
    count = int(rng.integers(1, 4))
    places = [0.5 + 0.28 * (i - (count - 1) / 2) for i in range(count)]
    for place, color in zip(places, rng.permutation(palette[1:]), strict=False):
        ball, egg, vase = (1, 0, 0), (1.3, 0.35, 0), (1.9, 0.6, 0.28)
        tall, neck, lip = rng.choice([ball, egg, vase]).tolist()
        half = rng.uniform(0.11, 0.15) / (1 if count > 1 else 0.6 * tall**0.5)
        foot, height = table + rng.uniform(0.03, 0.14), 2 * half * tall
        away = ((x - place + side * half) / half / 1.5) ** 2
        shadow = np.exp(-away - ((y - foot) / 0.03) ** 2)
        picture = mix(picture, ground, 0.8 * shadow)
        v = np.clip((foot - y[:, :1]) / height, 0, 1)  # 0 at the foot, 1 at the top
        radius = np.sqrt(4 * v * (1 - v)) * (1 - neck * v) + lip * v**4
        radius = half * np.maximum(radius, 0.01)
        u = np.clip((x - place) / radius, -1, 1)
        inside = step((radius - np.abs(x - place)) * size)
        inside *= step(np.minimum(foot - y, y - foot + height) * size)
        lean = np.gradient(radius, axis=0) * size  # how the side faces up or down
        lit = u * light[0] - lean * light[1] + np.sqrt(1 - u * u) * light[2]
        lit = np.clip(lit / np.sqrt(1 + lean**2), 0, 1) ** 1.5
        color = mix(color, palette[5], 0.15) * (0.04 + 1.1 * lit) + 0.3 * lit**12
        picture = mix(picture, color, inside)
    return picture


def _color_fields(rng: Rng, size: int, palette: Palette) -> Picture:
    """Float two to four soft-edged rectangles on a toned ground."""
    x, y = grid(size) if rng.random() < 0.8 else grid(size)[::-1]
    ground, *colors = rng.permutation(palette)
    veil = 0.12 + 0.1 * noise(rng, size, 3, 4)
    picture = mix(ground, palette[rng.integers(6)], veil)
    margin, soft = rng.uniform(0.06, 0.12), rng.uniform(0.015, 0.04)
    parts = rng.dirichlet(np.full(rng.integers(2, 5), 6))
    edges = (0.06 + 0.88 * np.cumsum([0, *parts])).tolist()
    for top, bottom, color in zip(edges, edges[1:], colors, strict=False):
        inset = np.minimum(y - top, bottom - y) - 0.02
        inset = np.minimum(inset, 0.5 - margin - abs(x - 0.5))
        cover = np.clip(0.5 + (inset + 0.012 * noise(rng, size, 8, 3)) / soft, 0, 1)
        cover = 0.94 * cover * cover * (3 - 2 * cover)
        picture = mix(picture, mix(color, colors[-1], veil), cover)
    return picture + 0.012 * rng.standard_normal((size, size), np.float32)


def _dot_mosaic(rng: Rng, size: int, palette: Palette) -> Picture:
    """Set a scene in small separate dots of unmixed colour."""
    canvas, pen = blank(mix(palette[5], palette[4], 0.3), size)
    motif, gap = scene(rng, palette), rng.uniform(0.02, 0.029)
    at = np.stack(np.meshgrid(*[np.arange(0, 1 + gap, gap)] * 2), -1).reshape(-1, 2)
    at = np.concatenate([at, at + gap / 2])
    at = rng.permutation(at + rng.normal(0, 0.18 * gap, at.shape))
    colors = pick(motif, at) + rng.normal(0, 0.09, (len(at), 3))
    spark = rng.random(len(at)) < 0.1
    colors[spark] = palette[rng.integers(0, 6, spark.sum()), :, 0, 0]
    radius = gap * rng.uniform(0.34, 0.46, (len(at), 1))
    boxes = np.concatenate([at - radius, at + radius], 1) * 2 * size
    for box, color in zip(boxes.tolist(), inks(colors), strict=True):
        pen.ellipse(box, color)
    return planes(canvas.reduce(2))


def _drip_tangle(rng: Rng, size: int, palette: Palette) -> Picture:
    """Pour looping threads of paint, with the splatter around them."""
    ground, *colors = palette[[rng.choice([0, 4, 5, 5]), *rng.permutation(6)]]
    canvas, pen = blank(ground, size)
    steps, bold = 36, rng.uniform(0.003, 0.006)
    colors = rng.permutation(np.tile(colors, (int(rng.integers(8, 14)), 1, 1, 1)))
    for color in inks(colors):
        heading = rng.uniform(0, 7) + rng.uniform(2, 5) * noise_line(rng, steps, 4, 2)
        path = np.stack([np.cos(heading), np.sin(heading)], -1).cumsum(0)
        path = (path - path.mean(0)) * rng.uniform(0.015, 0.035)
        path = (path + rng.uniform(0, 1, 2)) * 2 * size
        spots = path[rng.integers(0, steps, 10)] + rng.normal(0, 0.08 * size, (10, 2))
        drops = np.concatenate([path, spots])
        radius = np.exp(1.2 * noise_line(rng, len(drops), 9) + rng.normal(-0.8, 0.5))
        radius = (radius.clip(0.1, 2.5) * 2 * size * bold).clip(0.5)[:, None]
        boxes = np.concatenate([drops - radius, drops + radius], 1)
        for box in boxes[radius[:, 0] > 0.8].tolist():
            pen.ellipse(box, color)
        lines = np.concatenate([path[:-1], path[1:]], 1).tolist()
        for line, wide in zip(lines, (2 * radius[:, 0]).tolist(), strict=False):
            pen.line(line, color, round(wide))
    return planes(canvas.reduce(2))


def _faceted_planes(rng: Rng, size: int, palette: Palette) -> Picture:
    """Break a scene into straight-edged facets, each with its own light."""
    pieces, sizes = [np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])], [1.0]
    lean = rng.uniform(0, np.pi)
    for _ in range(rng.integers(45, 90)):
        largest = int(np.argmax(rng.uniform(0.3, 1, len(sizes)) * sizes))
        piece, _ = pieces.pop(largest), sizes.pop(largest)
        angle = lean + rng.choice([0, np.pi / 3, np.pi / 2]) + rng.normal(0, 0.25)
        through = rng.dirichlet(np.full(len(piece), 3)) @ piece
        pieces += cut(piece, np.array([np.cos(angle), np.sin(angle)]), through)
        sizes += [np.ptp(half, 0).sum() for half in pieces[-2:]]
    ids = Image.new("L", (2 * size, 2 * size))
    for i, piece in enumerate(pieces):
        ImageDraw.Draw(ids).polygon((piece * 2 * size).ravel().tolist(), i)
    index, (x, y) = np.asarray(ids), grid(2 * size)
    centre = np.array([piece.mean(0) for piece in pieces])
    color = pick(scene(rng, palette), centre) + rng.normal(0, 0.04, (len(pieces), 1))
    slope = rng.normal((1, 0), 1.1, centre.shape)
    a, b, c = np.array([*slope.T, -(slope * centre).sum(1)], np.float32)
    light = 1 + np.clip(a[index] * x + b[index] * y + c[index], -0.45, 0.35)
    return halve(np.stack([c[index] for c in color.T.astype(np.float32)]) * light)


def _ink_mist(rng: Rng, size: int, palette: Palette) -> Picture:
    """Brush ridge behind ridge in thinning ink, each sinking into mist."""
    _, y = grid(size)
    tone = mix(palette[rng.integers(0, 2)], palette[0].mean(), 0.5)
    paper = mix(palette[rng.integers(4, 6)], palette[5], 0.6)
    grain = noise(rng, size, 5, 5)
    picture = paper + 0.02 * grain
    (top, bottom), count = rng.uniform((0.25, 0.75), (0.4, 0.9)), rng.integers(3, 6)
    for near in np.linspace(0, 1, count).tolist():
        level, swing = float(mix(top, bottom, near)), rng.uniform(0.08, 0.2)
        depth = y - level - swing * noise_line(rng, size, int(rng.integers(2, 5)), 6)
        wash = np.exp(-np.maximum(depth, 0) / rng.uniform(0.08, 0.2))
        blot = 0.85 + 0.3 * np.roll(grain, int(near * size / 2), 1)
        wash *= (0.2 + 0.7 * near) * blot
        picture = mix(picture, tone, step(depth * size) * np.clip(wash, 0, 1))
    if rng.random() < 0.6:  # the painter's seal
        left, top = (rng.uniform(0.05, 0.2, 2) * size).astype(int)
        red = np.array([0.7, 0.16, 0.12], np.float32)[:, None, None]
        picture[:, top : top + size // 16, left : left + size // 22] = red
    return picture + 0.01 * rng.standard_normal((size, size), np.float32)


def _op_stripes(rng: Rng, size: int, palette: Palette) -> Picture:
    """Bend stripes or checks of two hard colours by a lens or a wave."""
    x, y = grid(2 * size)
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
    return mix(dark, light, halve(np.clip(field * size * 0.05 + 0.5, 0, 1)))


def _ruled_grid(rng: Rng, size: int, palette: Palette) -> Picture:
    """Rule upright rectangles with heavy black bars and colour a few."""
    canvas, pen = blank(palette[5], size)
    cells = [(0.0, 0.0, 1.0, 1.0)]
    for _ in range(rng.integers(7, 16)):
        rank = [(r - x) * (b - y) * rng.uniform(0.1, 1) for x, y, r, b in cells]
        x, y, r, b = cells.pop(int(np.argmax(rank)))
        edge = rng.uniform(0.25, 0.75)
        if (r - x) * rng.uniform(0.6, 1.6) > b - y:
            edge = mix(x, r, edge)
            cells += [(x, y, edge, b), (edge, y, r, b)]
        else:
            edge = mix(y, b, edge)
            cells += [(x, y, r, edge), (x, edge, r, b)]
    bar, black = max(1, round(size * rng.uniform(0.012, 0.032))), ink(0.5 * palette[0])
    full, tint = rng.uniform(0.35, 0.65), mix(palette[5], 1, rng.uniform(0, 0.5))
    for i, cell in enumerate(cells):
        filled = i < 2 or rng.random() < full
        color = palette[rng.integers(0, 5)] if filled else tint
        pen.rectangle([2 * size * v for v in cell], ink(color), black, bar)
    return planes(canvas.reduce(2))


def _woodblock_waves(rng: Rng, size: int, palette: Palette) -> Picture:
    """Print flat outlined shapes: a sun, a peak, and rows of cresting waves."""
    canvas, pen = blank(palette[5], size)
    big, black = 2 * size, ink(palette[0])
    sky, width = palette[rng.integers(1, 5)], max(1, round(0.012 * size))
    for i in range(big // 3):  # a printed gradient
        pen.line((0, i, big, i), ink(mix(sky, palette[5], i / (big // 3))))
    sun = tuple(rng.uniform((0.15, 0.12), (0.85, 0.35)) * big)
    disc = palette[rng.integers(2, 4)]
    pen.circle(sun, rng.uniform(0.08, 0.14) * big, ink(disc), black, width)
    t = np.linspace(0, 1, 160)
    top, peak, steep, first = rng.uniform((0.2, 0.2, 0.7, 0.45), (0.4, 0.8, 1.3, 0.65))
    slope = top + steep * np.abs(t - peak) ** 1.2
    pen.polygon(under(slope, big), ink(palette[rng.integers(1, 4)]), black, width)
    colors = rng.permutation(palette[1:5])
    for i, level in enumerate(np.linspace(first, 0.95, rng.integers(4, 8))):
        crest = np.abs(np.sin(np.pi * (t * rng.uniform(2, 5) + rng.random())))
        wave = level + rng.uniform(0.05, 0.12) * (crest - 1)
        for j, fill in enumerate((colors[i % 4], palette[5], colors[i % 4])):
            pen.polygon(under(wave + 0.02 * j, big), ink(fill), black, width)
    return planes(canvas.reduce(2))


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
