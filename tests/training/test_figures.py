"""The confusion matrix picture, read back from its pixels."""

import numpy as np

from jaxart.training import figures


def cells(picture, num_classes):
    """The shade near the upper left corner of each cell."""
    first = picture.shape[0] - figures.MARGIN - figures.CELL * num_classes
    at = first + figures.CELL * np.arange(num_classes) + 3
    return picture[np.ix_(at, at)].astype(int)


def test_rows_are_classes_and_shades_are_shares_of_their_row():
    counts = np.array([[10, 0, 0], [5, 5, 0], [0, 1, 99]])
    picture = figures.confusion_matrix(counts, ("a", "b", "a long name"))
    assert picture.dtype == np.uint8 and picture.shape[0] == picture.shape[1]
    shades = cells(picture, 3)
    white = [255, 255, 255]
    np.testing.assert_array_equal(shades[0, 0], figures.BLUE)  # all of the row
    np.testing.assert_array_equal(shades[0, 1], white)
    np.testing.assert_array_equal(shades[2, 0], white)
    np.testing.assert_array_equal(shades[1, 0], shades[1, 1])  # half each
    np.testing.assert_allclose(shades[1, 0], (255 + figures.BLUE) / 2, atol=1)
    assert shades[2, 1].mean() > 250  # 1 in 100


def test_a_class_without_examples_is_a_white_row():
    picture = figures.confusion_matrix(np.array([[0, 0], [0, 3]]), ("a", "b"))
    assert (cells(picture, 2)[0] == 255).all()


def test_names_make_room_for_themselves():
    counts = np.eye(2, dtype=int)
    short = figures.confusion_matrix(counts, ("a", "b"))
    long = figures.confusion_matrix(counts, ("a", 3 * "post_impressionism"))
    assert long.shape[0] > short.shape[0] + 100
    # The long name is written in the left gutter beside row 1, and above column 1.
    left = long[-figures.CELL : -figures.MARGIN, : long.shape[1] // 3]
    assert (left.min(axis=(1, 2)) < 128).any()
