"""Pictures become squares of the right size, and what a network sees is known."""

import numpy as np
import pytest
from PIL import Image

from jaxart.data.images import load
from jaxart.data.resizing import VIEWS, field_of_view, tf1_bilinear
from jaxart.data.resizing import resize_to as resize_image


def resize_to(pixels, *rule):
    return resize_image(Image.fromarray(pixels), *rule)


def random_pixels(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


# --- Resizing -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixels", "wanted"),
    [
        # Sources 0 and 1.5: [0, (1+2)/2], then both 1.5 rows of 3 further down.
        pytest.param(np.arange(9).reshape(3, 3), [[0, 1.5], [4.5, 6]], id="3x3 to 2x2"),
        # Sources 0 and 2: every other pixel, no averaging.
        pytest.param(
            np.arange(16).reshape(4, 4), [[0, 2], [8, 10]], id="4x4 to 2x2 picks"
        ),
        # Sources 0 and 2.5: (20 + 30) / 2.
        pytest.param([[0, 10, 20, 30, 40]], [[0, 25]], id="1x5 to 1x2"),
        # Sources 0, 4/3 and 8/3, at 4 a pixel.
        pytest.param([[0, 4, 8, 12]], [[0, 16 / 3, 32 / 3]], id="1x4 to 1x3"),
        # Sources 0, 2/3 and 4/3; past the last pixel it is repeated.
        pytest.param([[0, 30]], [[0, 20, 30]], id="1x2 to 1x3"),
        # Sources 0, 0.5, 1, 1.5 both ways.
        pytest.param(
            [[0, 10], [20, 30]],
            [[0, 5, 10, 10], [10, 15, 20, 20], [20, 25, 30, 30], [20, 25, 30, 30]],
            id="2x2 to 4x4",
        ),
        pytest.param([[7]], [[7, 7, 7]] * 2, id="1x1 to 2x3"),
        # Down by 2 (sources 0, 2) and up by 2 (sources 0, 0.5, 1, 1.5) at once.
        pytest.param(
            [[0, 8], [1, 1], [100, 200], [1, 1]],
            [[0, 4, 8, 8], [100, 150, 200, 200]],
            id="4x2 to 2x4",
        ),
    ],
)
def test_tf1_bilinear_golden(pixels, wanted):
    found = tf1_bilinear(np.array(pixels, np.uint8), *np.shape(wanted))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def naive_tf1(pixels, height, width):
    """resize_bilinear_op.cc, one output pixel at a time, in float32."""

    def source(position, size_in, size_out):
        at = np.float32(position) * (np.float32(size_in) / np.float32(size_out))
        low = int(at)
        return low, min(low + 1, size_in - 1), at - np.float32(low)

    result = np.empty((height, width, pixels.shape[2]), np.float32)
    pixels = pixels.astype(np.float32)
    for y in range(height):
        top, bottom, y_lerp = source(y, pixels.shape[0], height)
        for x in range(width):
            left, right, x_lerp = source(x, pixels.shape[1], width)
            above, below = (
                pixels[row, left] + (pixels[row, right] - pixels[row, left]) * x_lerp
                for row in (top, bottom)
            )
            result[y, x] = above + (below - above) * y_lerp
    return result


@pytest.mark.parametrize(
    ("size_in", "size_out"),
    [
        ((37, 53), (17, 23)),
        ((17, 23), (37, 53)),
        ((41, 7), (13, 29)),
        ((1, 5), (3, 3)),
        ((227, 3), (5, 227)),
        ((31, 31), (31, 31)),
    ],
)
def test_tf1_bilinear_equals_a_loop_over_pixels(size_in, size_out):
    pixels = random_pixels(*size_in)
    np.testing.assert_array_equal(
        tf1_bilinear(pixels, *size_out), naive_tf1(pixels, *size_out)
    )


@pytest.mark.parametrize("rule", ["tf1_bilinear", "antialias"])
def test_the_same_size_is_the_same_picture(rule):
    pixels = random_pixels(19, 19)
    found = resize_to(pixels, 19, rule)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("shape", [(64, 40), (10, 33), (1, 1), (20, 900)])
def test_antialias_is_pillows_resize(shape):
    pixels = random_pixels(*shape)
    image = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resize_to(pixels, 32, "antialias"), np.array(image))


@pytest.mark.parametrize(
    ("width", "height", "scaled_width", "scaled_height", "left", "top"),
    [
        # Short side to 256, the long one alike; the margins are half of what
        # 224 pixels leave over: (512 - 224) / 2 = 144, (256 - 224) / 2 = 16.
        pytest.param(240, 120, 512, 256, 144, 16, id="landscape"),
        pytest.param(120, 240, 256, 512, 16, 144, id="portrait"),
        pytest.param(160, 160, 256, 256, 16, 16, id="square"),
        pytest.param(1024, 512, 512, 256, 144, 16, id="large landscape"),
        pytest.param(512, 768, 256, 384, 16, 80, id="large portrait"),
    ],
)
def test_crop_keeps_the_centre(width, height, scaled_width, scaled_height, left, top):
    # Red says how far right a pixel lies, green how far down, on 0 to 255.
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[..., 0] = np.rint(np.linspace(0, 255, width))
    pixels[..., 1] = np.rint(np.linspace(0, 255, height))[:, None]
    pixels[..., 2] = 77

    def ramp(first, side, scaled):
        centre = (first + np.arange(224) + 0.5) * side / scaled - 0.5
        return centre * 255 / (side - 1)

    found = resize_to(pixels, 224, "crop")
    assert found.shape == (224, 224, 3)
    red = found[..., 0] - ramp(left, width, scaled_width)
    green = found[..., 1] - ramp(top, height, scaled_height)[:, None]
    for error in (red, green):
        assert np.abs(error).max() <= 1.01  # rounded twice
        assert np.abs(error.mean()) < 0.25  # a shift of one pixel is 0.5
    np.testing.assert_array_equal(found[..., 2], 77)


@pytest.mark.parametrize(
    ("width", "height", "scaled", "size"),
    [
        (300, 200, (384, 256), 227),
        (206, 300, (256, 373), 227),  # 300 * 256 / 206 = 372.8
        (2000, 20, (25600, 256), 227),
        (20, 2000, (256, 25600), 227),
        (1, 1, (256, 256), 227),
        (1, 3, (256, 768), 227),
        (150, 100, (450, 300), 300),  # more than 256 is the short side itself
    ],
)
def test_crop_equals_cropping_the_whole_resized_picture(width, height, scaled, size):
    pixels = random_pixels(height, width)
    whole = Image.fromarray(pixels).resize(scaled, Image.Resampling.BILINEAR)
    left, top = (scaled[0] - size) // 2, (scaled[1] - size) // 2
    wanted = np.array(whole, int)[top : top + size, left : left + size]
    # One level of rounding: 8-bit weights of a window and of the whole.
    assert np.abs(resize_to(pixels, size, "crop") - wanted).max() <= 1


def test_unknown_rules_and_views_are_refused_with_the_choices():
    with pytest.raises(ValueError, match="'bicubic': one of tf1_bilinear, antialias"):
        resize_to(random_pixels(3, 3), 2, "bicubic")
    with pytest.raises(ValueError, match="'left': one of whole, center, top_left"):
        resize_to(random_pixels(3, 3), 2, "crop", "left")


# --- Views ----------------------------------------------------------------------------


def positions(height, width):
    """A picture whose red says how far right a pixel lies, its green how far down."""
    pixels = np.full((height, width, 3), 99, np.uint8)
    pixels[..., 0] = np.arange(width)
    pixels[..., 1] = np.arange(height)[:, None]
    return pixels


# Rules and pictures that they take as they are for windows of 14 pixels, whose square
# has round(14 * 8 / 7) = 16; and where that square lies: for 'crop' in the centre,
# (24 - 16) / 2 = 4 pixels to the right, (21 - 16) // 2 = 2 pixels down.
SQUARES = [
    ("tf1_bilinear", 16, 16, 0, 0),
    ("antialias", 16, 16, 0, 0),
    ("crop", 16, 16, 0, 0),
    ("crop", 16, 24, 4, 0),
    ("crop", 21, 16, 0, 2),
]


@pytest.mark.parametrize(
    ("view", "left", "top"),
    # The margin is 16 - 14 = 2 pixels; half of it for the centre.
    [
        ("center", 1, 1),
        ("top_left", 0, 0),
        ("top_right", 2, 0),
        ("bottom_left", 0, 2),
        ("bottom_right", 2, 2),
    ],
)
@pytest.mark.parametrize(("rule", "height", "width", "x", "y"), SQUARES)
def test_windows_lie_in_the_corners_and_the_centre(
    rule, height, width, x, y, view, left, top
):
    found = resize_to(positions(height, width), 14, rule, view)
    assert found.dtype == np.float32
    columns, rows = x + left + np.arange(14), y + top + np.arange(14)
    np.testing.assert_array_equal(found[..., 0], np.tile(columns, (14, 1)))
    np.testing.assert_array_equal(found[..., 1], np.tile(rows, (14, 1)).T)
    box = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    assert field_of_view(width, height, 14, rule, view) == box
    # Mirrored: the same window, its columns from right to left.
    mirrored = resize_to(positions(height, width), 14, rule, view + "_mirrored")
    np.testing.assert_array_equal(mirrored[..., 0], np.tile(columns[::-1], (14, 1)))
    np.testing.assert_array_equal(mirrored[..., 1], found[..., 1])


@pytest.mark.parametrize("rule", ["tf1_bilinear", "antialias", "crop"])
def test_mirrored_twice_is_the_picture_itself(rule):
    pixels = positions(16, 16)
    flipped = pixels[:, ::-1].copy()
    for view, other in [("top_left", "top_right"), ("center", "center")]:
        np.testing.assert_array_equal(
            resize_to(flipped, 14, rule, f"{view}_mirrored"),
            resize_to(pixels, 14, rule, other),
        )
    if rule != "crop":
        found = resize_to(flipped, 16, rule, "whole_mirrored")
        np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("rule", ["tf1_bilinear", "antialias", "crop"])
def test_the_whole_is_what_the_rule_alone_gives(rule):
    # 'crop' of 300 x 200 to 224: 384 x 256, and a centre of (80, 16, 304, 240) there.
    pixels = random_pixels(200, 300)
    image = Image.fromarray(pixels)
    side, filter_ = (224, 224), Image.Resampling.BILINEAR
    wanted = {
        "tf1_bilinear": tf1_bilinear(pixels, *side),
        "antialias": np.array(image.resize(side, filter_)),
        "crop": np.array(
            image.resize(side, filter_, box=(62.5, 12.5, 237.5, 187.5)),
        ),
    }
    for found in (resize_to(pixels, 224, rule), resize_to(pixels, 224, rule, "whole")):
        np.testing.assert_array_equal(found, wanted[rule])
    mirrored = resize_to(pixels, 224, rule, "whole_mirrored")
    np.testing.assert_array_equal(mirrored, wanted[rule][:, ::-1])
    # The square of 224 has 256: the centre of a crop is the usual one.
    same = np.array_equal(resize_to(pixels, 224, rule, "center"), wanted[rule])
    assert same == (rule == "crop")


@pytest.mark.parametrize(("size", "square"), [(224, 256), (227, 259), (16, 18)])
@pytest.mark.parametrize("view", ["center", "bottom_left", "top_right"])
def test_windows_equal_cutting_them_out_of_the_resized_square(size, square, view):
    pixels = random_pixels(150, 90)
    margin = square - size
    left = {"center": margin // 2, "bottom_left": 0, "top_right": margin}[view]
    top = {"center": margin // 2, "bottom_left": margin, "top_right": 0}[view]
    rows, columns = slice(top, top + size), slice(left, left + size)
    np.testing.assert_array_equal(
        resize_to(pixels, size, "tf1_bilinear", view),
        tf1_bilinear(pixels, square, square)[rows, columns],
    )
    image = Image.fromarray(pixels)
    warped = image.resize((square, square), Image.Resampling.BILINEAR)
    # The long side alike, and the square in its centre.
    long = round(150 * square / 90)
    start = (long - square) // 2
    kept = image.resize((square, long), Image.Resampling.BILINEAR)
    kept = kept.crop((0, start, square, start + square))
    for rule, whole in (("antialias", warped), ("crop", kept)):
        found = resize_to(pixels, size, rule, view)
        # One level of rounding, as for the crop above.
        assert np.abs(found - np.array(whole, int)[rows, columns]).max() <= 1


def test_load_takes_a_view_before_colours_and_mean(tmp_path):
    assert len(VIEWS) == 12
    Image.fromarray(positions(16, 16)).save(tmp_path / "a.png")
    facts = {"size": 14, "channel_order": "bgr", "mean": (1.0, 2.0, 3.0)}
    found = load(tmp_path / "a.png", resize="crop", view="top_right_mirrored", **facts)
    # Blue is 99; the window begins in row 0, and its columns are 15 ... 2.
    np.testing.assert_array_equal(found[..., 0], 99 - 1)
    np.testing.assert_array_equal(found[:, 0, 1], np.arange(14) - 2)
    np.testing.assert_array_equal(found[0, :, 2], np.arange(15, 1, -1) - 3)


# --- What the network sees ------------------------------------------------------------


@pytest.mark.parametrize("rule", ["tf1_bilinear", "antialias"])
@pytest.mark.parametrize("size", [(640, 480), (1, 1), (3, 999)])
def test_a_warped_picture_is_seen_whole(rule, size):
    assert field_of_view(*size, 227, rule) == (0, 0, *size)


@pytest.mark.parametrize(
    ("width", "height", "size", "box"),
    [
        # The short side becomes 256: margins of (256 - 224) / 2 = 16 there, and of
        # (512 - 224) / 2 = 144 along; in the picture's own pixels, and the same size.
        pytest.param(512, 256, 224, (144, 16, 368, 240), id="as it is"),
        pytest.param(1024, 512, 224, (288, 32, 736, 480), id="twice as large"),
        pytest.param(64, 128, 224, (4, 36, 60, 92), id="a quarter, portrait"),
        # 227: margins of 29 // 2 = 14 before, 15 behind.
        pytest.param(256, 256, 227, (14, 14, 241, 241), id="odd"),
        pytest.param(1, 1, 224, (1 / 16, 1 / 16, 15 / 16, 15 / 16), id="one pixel"),
        # 300 x 206: 256 / 206 makes 372.8, so 373, of the long side.
        pytest.param(
            300,
            206,
            224,
            (74 * 300 / 373, 16 * 206 / 256, 298 * 300 / 373, 240 * 206 / 256),
            id="rounded",
        ),
        # More than 256: the short side becomes the size itself, and is seen whole.
        pytest.param(150, 100, 300, (25, 0, 125, 100), id="large input"),
    ],
)
def test_a_cropped_picture_is_seen_in_its_centre(width, height, size, box):
    assert field_of_view(width, height, size, "crop") == pytest.approx(box, abs=1e-9)


@pytest.mark.parametrize("size", [(300, 200), (37, 91), (2, 2000), (1000, 7)])
def test_the_view_is_a_square_inside_the_picture(size):
    left, top, right, bottom = field_of_view(*size, 224, "crop")
    assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
    # Sides are rounded to whole pixels of the resized picture before the crop.
    side = 224 / 256 * min(size)
    assert (right - left, bottom - top) == pytest.approx((side, side), rel=3e-3)
    centre = (left + right) / 2, (top + bottom) / 2
    pixel = min(size) / 256
    assert centre == pytest.approx((size[0] / 2, size[1] / 2), abs=pixel)
