"""Series: one composition in other colours, which makes other works."""

import colorsys

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from benchmarks import copies
from jaxart.paintings.curate.curation import Options, curate
from tests.paintings.curate.test_curation import rows

NUM_WORKS = 12
LIGHT = np.array([0.299, 0.587, 0.114])


def colour(hue, light, saturation=0.9):
    """RGB of a hue from 0 to 1, mixed with black or white until it is so light."""
    pure = 255 * np.array(colorsys.hsv_to_rgb(hue % 1, saturation, 1))
    if light < pure @ LIGHT:
        mixed = pure * light / (pure @ LIGHT)
    else:
        mixed = 255 - (255 - pure) * (255 - light) / (255 - pure @ LIGHT)
    return tuple(int(level) for level in mixed.round())


def squares(colours):
    """As Albers's homages."""
    picture = Image.new("RGB", (300, 300), colours[0])
    draw = ImageDraw.Draw(picture)
    for margin, fill in zip((30, 60, 90), colours[1:], strict=True):
        box = (margin, 1.5 * margin, 300 - margin, 300 - margin / 2)
        draw.rectangle(box, fill=fill)
    return picture


def bands(colours):
    """As Rothko's fields."""
    picture = Image.new("RGB", (240, 300), colours[0])
    draw = ImageDraw.Draw(picture)
    edges = ((15, 120), (135, 190), (205, 285))
    for (top, bottom), fill in zip(edges, colours[1:], strict=True):
        draw.rectangle((20, top, 220, bottom), fill=fill)
    return picture.filter(ImageFilter.GaussianBlur(4))


def flowers(colours):
    """As Warhol's prints."""
    picture = Image.new("RGB", (300, 300), colours[0])
    draw = ImageDraw.Draw(picture)
    for x in range(0, 300, 15):
        draw.line((x, 300, x + 20, 240), fill=colours[3], width=3)
    for x, y in ((80, 80), (200, 70), (90, 200), (210, 210)):
        for angle in np.linspace(x, x + 2 * np.pi, 5, endpoint=False):
            place = (x + 28 * np.cos(angle), y + 28 * np.sin(angle))
            draw.circle(place, 24, fill=colours[1])
        draw.circle((x, y), 12, fill=colours[2])
    return picture


LIGHTS = {squares: (60, 110, 160, 210), bands: (70, 150, 110, 190)}
PALETTES = {
    "all hues turned by 30 degrees": lambda i, j: i / NUM_WORKS + 0.03 * j,
    "any hues": lambda i, j: np.random.default_rng((i, j)).random(),
    "one of four in three hues": lambda i, j: 0.1 + (j == 1) * (i % 3) / 3 + i // 3 / 4,
}


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("paint", [squares, bands, flowers])
def test_no_work_of_a_series_is_a_copy_of_another(tmp_path, paint, palette):
    lights = LIGHTS.get(paint, (60, 170, 220, 110))
    for i in range(NUM_WORKS):
        hues = [PALETTES[palette](i, j) for j in range(4)]
        work = paint([colour(*both) for both in zip(hues, lights, strict=True)])
        for label in ("series", "other"):
            (tmp_path / "src" / label).mkdir(parents=True, exist_ok=True)
        work.save(tmp_path / f"src/series/{i}.png")
    Image.effect_noise((99, 99), 90).save(tmp_path / "src/other/noise.png")
    report = curate(tmp_path / "src", tmp_path / "out", Options(split="random"))
    assert report["copies"] == report["two_labels"] == 0
    assert rows(tmp_path / "out/duplicates.csv") == []


@pytest.mark.parametrize("split", ["random", "stratified", "artist"])
def test_grey_copies_are_dropped_or_kept_on_their_side(folder, tmp_path, split):
    originals = sorted((folder / "brush_strokes").glob("*.png"))
    for path in originals:
        with Image.open(path) as picture:
            grey = copies.COPIES["black and white"](picture.convert("RGB"))
        grey.resize((150, 150)).save(path.with_name(f"{path.stem}-grey.png"))
    num_found = 36 + len(originals)
    report = curate(folder, tmp_path / "drop", Options(split=split))
    listed = rows(tmp_path / "drop/duplicates.csv")
    assert report["copies"] == len(originals) and report["kept"] == 36
    assert {row["kind"] for row in listed} == {"grey"}
    assert all(row["path_b"].endswith("-grey.png") for row in listed)
    options = Options(split=split, grey_copies="keep")
    report = curate(folder, tmp_path / "keep", options)
    assert report["copies"] == 0 and report["kept"] == num_found
    side = {r["source"]: r["split"] for r in rows(tmp_path / "keep/metadata.csv")}
    for row in rows(tmp_path / "keep/duplicates.csv"):
        assert row["action"] == "keep_both"
        assert side[row["path_a"]] == side[row["path_b"]]
