"""Sheets: pictures from all over a class, whole, in their cells."""

import numpy as np
import pytest
from PIL import Image

from jaxart.paintings.curate.inspection import CELL, COLUMNS, ROWS, draw_sheet


@pytest.fixture
def make(tmp_path):
    """Writes pictures of one colour each: red counts them."""

    def make(count, size=(40, 20)):
        paths = [tmp_path / f"{i}.png" for i in range(count)]
        for i, path in enumerate(paths):
            Image.new("RGB", size, (i, 0, 255)).save(path)
        return paths

    return make


def cells(sheet):
    """The colour in the middle of each cell."""
    step = CELL + 4
    pixels = np.asarray(sheet)
    middles = pixels[4 + CELL // 2 :: step, 4 + CELL // 2 :: step]
    return middles.reshape(-1, 3)


def test_pictures_stand_in_order_and_whole(make):
    sheet = draw_sheet(make(10))
    assert sheet.size == (COLUMNS * (CELL + 4) + 4, 2 * (CELL + 4) + 4)
    assert cells(sheet)[:10, 0].tolist() == list(range(10))
    assert (cells(sheet)[10:] == 255).all()
    blue = (np.asarray(sheet) == (3, 0, 255)).all(-1)
    columns, rows = (np.flatnonzero(blue.any(axis)) for axis in (0, 1))
    assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == (CELL, CELL // 2)
    assert rows[0] == 4 + CELL // 4 and columns[0] == 4 + 3 * (CELL + 4)


def test_of_many_pictures_some_from_all_over_are_shown(make):
    count = COLUMNS * ROWS
    shown = cells(draw_sheet(make(2 * count, (8, 8))))[:, 0]
    assert shown.tolist() == list(range(0, 2 * count, 2))
