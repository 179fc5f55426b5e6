"""Maps become the right levels, in the right place, colour and file."""

import math
import unicodedata

import numpy as np
import pytest
from PIL import Image

from jaxart import fonts
from jaxart.saliency import pictures, render
from jaxart.saliency.render import color_table, magnitude, place, to_levels

GREYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


def f32(values):
    return np.array(values, np.float32)


def u8(values):
    return np.array(values, np.uint8)


# --- From values to levels ------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "percentile", "wanted"),
    [
        pytest.param([[0, -1, 2, -3, 4]], 50.0, 2, id="median of the absolute values"),
        pytest.param([[0, -1, 2, -3, 4]], 100.0, 4, id="maximum"),
        # Index 0.9 * 4 = 3.6 of the sorted values: between 3 and 4.
        pytest.param([[4, 3, -2, 1, 0]], 90.0, 3.6, id="between two values"),
        pytest.param([[0] * 200 + [-5]], 99.0, 5, id="too sparse for its percentile"),
        pytest.param([[0, 0], [0, 0]], 99.0, 0, id="zeros"),
        pytest.param([[7]], 0.5, 7, id="one pixel"),
        pytest.param([[3e38, -3e38]], 99.0, 3e38, id="no overflow"),
    ],
)
def test_magnitude(values, percentile, wanted):
    found = magnitude(f32(values), percentile)
    assert isinstance(found, float)
    assert found == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_map_that_is_not_finite_is_refused(value):
    values = f32([[0, value]])
    with pytest.raises(ValueError, match="the map holds NaN or infinity"):
        magnitude(values, 99.0)
    with pytest.raises(ValueError, match="the map holds NaN or infinity"):
        to_levels(values, 1.0, True)


@pytest.mark.parametrize("percentile", [0.0, -1.0, 100.1, float("nan")])
def test_percentile_out_of_range(percentile):
    with pytest.raises(ValueError, match="percentile="):
        magnitude(f32([[1]]), percentile)


@pytest.mark.parametrize(
    ("signed", "wanted"),
    [
        # 255 * value / 2, what is negative clipped: 0.4 is 51, 1 is 127.5.
        (False, [0, 0, 0, 0, 51, 128, 255, 255]),
        # 128 + 127 * value / 2: 0.4 is 25.4 above, -1 is 63.5 below.
        (True, [1, 1, 64, 128, 153, 192, 255, 255]),
    ],
)
def test_levels_golden(signed, wanted):
    values = f32([[-9, -2, -1, 0, 0.4, 1, 2, 9]])
    found = to_levels(values, 2.0, signed)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, [wanted])


def test_signed_levels_are_symmetric():
    values = f32(np.random.default_rng(0).standard_normal((50, 40)))
    up, down = (to_levels(v, 1.5, True).astype(int) for v in (values, -values))
    np.testing.assert_array_equal(up - 128, 128 - down)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("value", [0, 1, -1, 1e-45, 3e38])
def test_constant_maps_have_a_picture(value, signed):
    values = f32(np.full((3, 5), value))
    limit = magnitude(values, 99.0)
    zero = render.zero_level(signed)
    wanted = {0: zero, -1: 1 if signed else 0}.get(value, 255)
    np.testing.assert_array_equal(to_levels(values, limit, signed), wanted)
    np.testing.assert_array_equal(to_levels(values, 0.0, signed), zero)


def test_a_limit_that_float32_rounds_to_zero():
    found = to_levels(f32([[0, 1]]), 1e-60, False)
    np.testing.assert_array_equal(found, [[0, 255]])


# --- Where a map lies -----------------------------------------------------------------

SIZES = {"wide": (300, 80), "tall": (60, 410), "tiny": (23, 17), "large": (1501, 997)}


def whole(size):
    return (0, 0, *size)


def centre_crop(size):
    """The 227 pixels in the middle of a short side of 256, in the picture's pixels."""
    crop = min(size) * 227 / 256
    left, top = ((side - crop) / 2 for side in size)
    return left, top, left + crop, top + crop


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("box_of", [whole, centre_crop])
@pytest.mark.parametrize("shape", [(9, 9), (9, 13), (64, 48)])
@pytest.mark.parametrize("at", [(0.5, 0.5), (0.3, 0.65), (0.75, 0.3)])
def test_a_hot_place_is_where_it_should_be(size, box_of, shape, at):
    """The centre of mass of a hot cell and its neighbours, to half a pixel."""
    box = box_of(size)
    row, column = (int(a * side) for a, side in zip(at, shape, strict=True))
    # Three cells wide, so that reducing leaves enough levels to weigh.
    levels = np.zeros(shape, np.uint8)
    levels[row - 1 : row + 2, column - 1 : column + 2] = 255
    found = place(levels, size, box, 0).astype(float)
    assert found.shape == size[::-1]
    x = box[0] + (column + 0.5) / shape[1] * (box[2] - box[0])
    y = box[1] + (row + 0.5) / shape[0] * (box[3] - box[1])
    # A pixel's centre is half a pixel from its edges.
    found_x = found.sum(axis=0) @ (np.arange(size[0]) + 0.5) / found.sum()
    found_y = found.sum(axis=1) @ (np.arange(size[1]) + 0.5) / found.sum()
    assert abs(found_x - x) <= 0.5 and abs(found_y - y) <= 0.5


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("box_of", [whole, centre_crop])
@pytest.mark.parametrize("corner", [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_a_hot_corner_fills_the_corner_of_its_box(size, box_of, corner):
    levels = np.zeros((5, 5), np.uint8)
    levels[corner] = 255
    box = box_of(size)
    left, top, right, bottom = (round(edge) for edge in box)
    found = place(levels, size, box, 0)
    part = found[top:bottom, left:right]
    assert part[corner] == part.max() > 0.9 * 255
    opposite = [-1 - index for index in corner]
    assert part[*opposite] == 0
    assert part.sum(dtype=int) == found.sum(dtype=int)  # nothing outside
    assert (part > 127).mean() == pytest.approx(1 / 25, abs=0.02)


def test_what_a_box_leaves_is_background():
    found = place(np.full((4, 4), 9, np.uint8), (6, 5), (1.4, 0.6, 4.4, 3.5), 128)
    wanted = np.full((5, 6), 128)
    wanted[1:4, 1:4] = 9
    np.testing.assert_array_equal(found, wanted)


def test_place_golden():
    levels = u8([[0, 100]])
    # Pixel centres at 0.25, 0.75, 1.25, 1.75 of two cells with centres 0.5 and 1.5.
    found = place(levels, (4, 1), (0, 0, 4, 1), 0)
    np.testing.assert_array_equal(found, [[0, 25, 75, 100]])
    np.testing.assert_array_equal(
        place(levels, (2, 1), (0.0, 0.0, 2.0, 1.0), 7), levels
    )
    # Reducing averages all cells: none of a map's specks is lost.
    specks = np.zeros((64, 64), np.uint8)
    specks[::8, ::8] = 255
    found = place(specks, (8, 8), (0, 0, 8, 8), 0)
    assert found.min() > 0
    assert found.mean() == pytest.approx(specks.mean(), abs=1)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 2)])
@pytest.mark.parametrize("box_of", [whole, centre_crop])
@pytest.mark.parametrize("signed", [False, True])
def test_thin_pictures_get_through(tmp_path, size, box_of, signed):
    values = f32(np.random.default_rng(0).standard_normal((11, 11)))
    levels = to_levels(values, magnitude(values, 99.0), signed)
    levels = place(levels, size, box_of(size), render.zero_level(signed))
    table = color_table("auto", signed)
    laid = render.overlay(np.zeros((*size[::-1], 3), np.uint8), levels, table, signed)
    heat = render.heatmap(levels, table)
    assert laid.size == heat.size == size
    assert render.fit(laid, 64).size == tuple(min(side, 64) for side in size)
    sheet = render.sheet([([laid, heat], "thin")], side=16)
    pictures.save(sheet, tmp_path / "sheet.png")


def test_a_box_below_a_pixel_is_a_pixel():
    found = place(u8([[50]]), (3, 1), (2.6, 0.1, 2.9, 0.2), 0)
    np.testing.assert_array_equal(found, [[0, 0, 50]])


# --- Colours --------------------------------------------------------------------------


def lightness(table):
    return table @ [0.2126, 0.7152, 0.0722]


def test_auto_gets_lighter_with_the_level_of_an_unsigned_map():
    table = color_table("auto", False)
    assert table.shape == (256, 3) and table.dtype == np.uint8
    assert (np.diff(lightness(table)) > -0.5).all()
    assert lightness(table)[0] < 5 and lightness(table)[-1] > 230


def test_auto_is_light_and_grey_in_the_middle_of_a_signed_map():
    table = color_table("auto", True)
    light = lightness(table)
    assert light.argmax() in range(126, 131) and light[128] > 225
    assert np.ptp(table[128].astype(int)) < 8
    below, above = table[1].astype(int), table[255].astype(int)
    assert below[2] - below[0] > 150 and above[0] - above[2] > 150  # blue, red


def test_the_centre_of_a_table_is_the_zero_of_a_signed_map():
    table = color_table("bwr", True)
    wanted = {0: [0, 0, 255], 1: [0, 0, 255], 128: [255] * 3, 255: [255, 0, 0]}
    for level, color in wanted.items():
        np.testing.assert_array_equal(table[level], color)
    np.testing.assert_array_equal(table[1:], table[:0:-1, ::-1])  # symmetric


# As matplotlib 3.11 draws their first and last colour.
@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("viridis", [68, 1, 84], [253, 231, 37]),
        ("coolwarm", [59, 76, 192], [180, 4, 38]),
        ("coolwarm_r", [180, 4, 38], [59, 76, 192]),
        ("RdBu_r", [5, 48, 97], [103, 0, 31]),
        ("rainbow", [128, 0, 255], [255, 0, 0]),
        ("jet", [0, 0, 128], [128, 0, 0]),
        ("gray", [0, 0, 0], [255, 255, 255]),
        ("tab10", [31, 119, 180], [23, 190, 207]),
        ("cmocean:balance", [24, 28, 67], [60, 9, 18]),
    ],
)
@pytest.mark.parametrize("signed", [False, True])
def test_named_tables(name, first, last, signed, caplog, capfd):
    table = color_table(name, signed)
    assert table.shape == (256, 3)
    np.testing.assert_allclose(table[[0, -1]].astype(int), [first, last], atol=1)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_grey_is_its_level():
    np.testing.assert_array_equal(color_table("gray", False), GREYS)


def test_an_unknown_table_names_its_neighbours():
    with pytest.raises(ValueError, match="'virids': .*viridis.*https://"):
        color_table("virids", False)
    with pytest.raises(ValueError, match="'': no such colour table. All: https://"):
        color_table("", True)


@pytest.mark.parametrize("signed", [False, True])
def test_levels_are_read_back_from_the_heatmap(tmp_path, signed):
    levels = np.arange(256, dtype=np.uint8).reshape(8, 32)
    table = color_table("auto", signed)
    pictures.save(render.heatmap(levels, table), tmp_path / "heat.png")
    with Image.open(tmp_path / "heat.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(image, levels)
        np.testing.assert_array_equal(image.convert("RGB"), table[levels])


def test_overlay_golden():
    grey = np.full((1, 4, 3), 100, np.uint8)
    levels = u8([[0, 51, 128, 255]])
    white = np.full((256, 3), 255, np.uint8)
    # 100 + 155 * 0.85 * strength, where strength is level / 255 ...
    found = np.asarray(render.overlay(grey, levels, white, False), int)
    wanted = [100, 126.4, 166.1, 231.8]
    np.testing.assert_allclose(found, np.dstack([[wanted]] * 3), atol=1)
    assert (found[0, 0] == 100).all()
    # ... or |level - 128| / 127, at most 1.
    found = np.asarray(render.overlay(grey, levels, white, True), int)
    wanted = [231.8, 179.9, 100, 231.8]
    np.testing.assert_allclose(found, np.dstack([[wanted]] * 3), atol=1)
    assert (found[0, 2] == 100).all()


def test_overlay_shows_the_picture_nearly_grey():
    red = np.zeros((1, 1, 3), np.uint8)
    red[..., 0] = 255
    found = render.overlay(red, u8([[0]]), color_table("auto", False), False)
    # Red's luma is 76: a fifth of the colour and four of the grey.
    np.testing.assert_allclose(np.asarray(found, int), [[[112, 61, 61]]], atol=1)


def test_overlay_has_no_seams():
    rng = np.random.default_rng(0)
    height = 2 * render.STRIP + 9
    picture = rng.integers(0, 256, (height, 3, 3), np.uint8)
    levels = rng.integers(0, 256, (height, 3), np.uint8)
    table = color_table("auto", True)
    found = np.asarray(render.overlay(picture, levels, table, True))
    for top in range(0, height, 100):
        rows = slice(top, top + 100)
        part = render.overlay(picture[rows], levels[rows], table, True)
        np.testing.assert_array_equal(found[rows], part)


# --- Sheets ---------------------------------------------------------------------------


def plain(color, size):
    return Image.new("RGB", size, color)


def test_sheet_golden():
    """3 cells of side 32 in 2 columns: 12 + 2 * (68 + 12) by 12 + 2 * (54 + 12)."""
    heat = render.heatmap(np.full((64, 16), 200, np.uint8), GREYS)
    cells = [([plain("red", (8, 4)), heat], "caption")] * 3
    found = render.sheet(cells, columns=2, side=32)
    assert found.mode == "RGB" and found.size == (172, 144)
    pixels = np.asarray(found)
    for left, top in ((12, 12), (92, 12), (12, 78)):
        cell = pixels[top : top + 54, left : left + 68]
        # The picture is scaled to 32 x 16, the map to 8 x 32; 4 pixels in between.
        wanted = np.full((32, 68, 3), render.PAPER)
        wanted[8:24, :32] = 255, 0, 0
        wanted[:, 36 + 12 : 36 + 20] = 200
        np.testing.assert_array_equal(cell[:32], wanted)
        assert cell[32:].min() < 100  # the caption
    assert (pixels[66:, 92:] == render.PAPER).all()  # no fourth cell
    margins = np.r_[0:12, 80:92, 160:172]
    assert (pixels[:, margins] == render.PAPER).all()


def test_sheet_is_as_wide_as_its_cells():
    red, blue = plain("red", (9, 9)), plain("blue", (9, 9))
    cell = ([red, blue], "")
    assert render.sheet([cell]).size == (12 + 528, 12 + 290)
    assert render.sheet([cell] * 7, columns=3, side=100).size == (660, 414)
    assert render.sheet([([red, blue, red], "")]).width == 12 + 776 + 12
    assert render.sheet([]).mode == "RGB"


@pytest.mark.parametrize(
    "caption",
    [
        "Mönch am Meer",
        "猫 👍",
        "浮世絵" * 40,
        "العربية" * 40,
        "two\nlines\t",
        "\udcff",
        "é" * 5000,
        "a\0b",
        "",
    ],
)
def test_any_caption_can_be_drawn_and_stays_in_its_cell(caption):
    cell = ([plain("red", (9, 9)), plain("blue", (9, 9))], caption)
    pixels = np.asarray(render.sheet([cell], side=40))
    border = np.concatenate([pixels[:, :11], pixels[:, -11:]], axis=1)
    assert (border == render.PAPER).all()


@pytest.mark.parametrize(
    "text",
    [
        "paintings/impressionism/impression-sunrise.jpg",
        "Česká škola: Łódź, Ünlü, Ắnh",
        "Русский авангард: Ελληνικά",
        "العربية " * 5,
        "浮世絵、北斎と広重、" * 3,
        "हिन्दी चित्रकला " * 3,
    ],
)
def test_captions_are_cut_where_they_must_be(text):
    size, text = 14, text.strip()
    full = math.ceil(fonts.width(text, size))
    assert render.shorten(text, size, full) == text
    for width in range(20, full - 1, 7):
        short = render.shorten(text, size, width)
        kept = short.removesuffix("…")
        assert short != kept and text.startswith(kept)
        assert not unicodedata.category(text[len(kept)]).startswith("M")
        assert fonts.width(short, size) <= width or not kept
        if text.isascii():
            assert fonts.width(text[: len(kept) + 1] + "…", size) > width


def test_a_caption_is_one_line_with_its_accents():
    assert render.shorten("  Été à\n Noël ", 14, 500) == "Été à Noël"


@pytest.mark.parametrize(
    ("size", "side", "wanted"),
    [
        ((400, 300), 100, (100, 75)),
        ((300, 400), 100, (75, 100)),
        ((40, 30), 100, (40, 30)),
        ((1000, 1), 100, (100, 1)),
        ((1, 1), 1, (1, 1)),
    ],
)
def test_fit(size, side, wanted):
    assert render.fit(plain("red", size), side).size == wanted


def test_fit_averages_colours_and_not_levels():
    table = np.zeros((256, 3), np.uint8)
    table[0], table[200] = (255, 0, 0), (0, 0, 255)  # level 100 is black
    levels = np.tile(u8([[0, 200], [200, 0]]), (8, 8))
    found = render.fit(render.heatmap(levels, table), 4)
    np.testing.assert_allclose(
        np.asarray(found)[1:3, 1:3], [[[127.5, 0, 127.5]] * 2] * 2, atol=6
    )
