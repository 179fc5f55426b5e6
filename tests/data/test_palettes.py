"""Copies of a picture, and the same in other colours."""

import numpy as np
import pytest
from PIL import Image

from benchmarks import copies
from jaxart.data import fingerprints, palettes, procedural


def fields(picture):
    return fingerprints.take(picture).colours


@pytest.fixture(scope="module")
def pictures():
    return [
        Image.fromarray(procedural.paint(style, (7, seed), 160))
        for style in ("brush_strokes", "color_fields")
        for seed in range(4)
    ]


def differences(pictures, alter, **options):
    ours = [fields(picture) for picture in pictures]
    return palettes.compare(ours, [fields(alter(p)) for p in pictures], **options)


def test_fields_are_mean_colours_row_by_row():
    colour_of = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    picture = Image.fromarray(colour_of).resize((512, 1024), Image.Resampling.NEAREST)
    assert bytes.fromhex(fields(picture)) == colour_of.tobytes()


GREY = ("black and white", "sepia")


@pytest.mark.parametrize("name", sorted({*copies.COPIES} - {*GREY}))
def test_copies_keep_their_colours(pictures, name):
    options = {"is_mirrored": name.startswith("mirrored")}
    difference, is_grey = differences(pictures, copies.COPIES[name], **options)
    assert max(difference) < 1 and not is_grey.any()


@pytest.mark.parametrize(
    "name", [name for name in copies.SERIES if name != "hues turned by 20 degrees"]
)
def test_other_colours_are_told_apart(pictures, name):
    difference, _ = differences(pictures, copies.SERIES[name])
    assert np.mean(difference > 1) >= 0.75


def test_a_black_and_white_copy_is_grey_whichever_comes_first(pictures):
    ours = [fields(picture) for picture in pictures]
    grey = [fields(copies.COPIES["black and white"](p)) for p in pictures]
    for pair in ((ours, grey), (grey, ours)):
        difference, is_grey = palettes.compare(*pair)
        assert max(difference) < 0.1 and is_grey.all()
    difference, is_grey = palettes.compare(grey, grey)
    assert max(difference) < 0.1 and not is_grey.any()
    assert max(palettes.strengths(grey)) < 1 < min(palettes.strengths(ours))
