"""What is odd in labelled pictures is said in words, with names."""

import numpy as np
import pytest

from jaxart.data import checks
from jaxart.data.examples import Examples
from jaxart.data.files import File


def examples(root, labels, class_names):
    names = tuple(f"{i}.jpg" for i in range(len(labels)))
    return Examples(root, names, np.array(labels, np.int32), class_names)


@pytest.mark.parametrize(
    ("train", "val", "class_names", "warnings"),
    [
        ([0] * 5 + [1] * 5, [0], ("pop", "zen"), []),
        ([0] * 5, [0], ("pop", "zen"), ["Classes without a training picture (1): zen"]),
        (
            [0] * 5 + [1],
            [2],
            ("pop", "zen", "op"),
            [
                "Classes without a training picture (1): op",
                "Classes that validation has and training lacks (1): op",
                "Classes with fewer than 5 training pictures (1): zen 1",
            ],
        ),
        (
            [i for i in range(5) for _ in range(5)],
            [],
            ("Caf\u00e9", "cafe", "op art", "Op_Art", "pop"),
            [
                "Classes that differ in case, accents or spaces alone (2): "
                "'Caf\u00e9' and 'cafe', 'op art' and 'Op_Art'"
            ],
        ),
        (
            [],
            [],
            tuple("abcdefghijkl"),
            [
                "Classes without a training picture (12): a, b, c, d, e, f, g, h, i, j "
                "and 2 more"
            ],
        ),
    ],
)
def test_classes_that_are_odd_are_named(tmp_path, train, val, class_names, warnings):
    both = [examples(tmp_path, labels, class_names) for labels in (train, val)]
    assert checks.of_classes(*both) == warnings


def test_pictures_that_are_listed_twice_or_under_two_labels_are_named(tmp_path):
    listed = examples(tmp_path, [0, 1, 0, 0, 0, 1], ("pop", "zen"))
    contents = ["a", "a", "b", "c", "b", ""]
    files = [File(content, reason="" if content else "empty") for content in contents]
    assert checks.of_pictures("training", listed, files) == [
        "Training pictures under two labels (1): 0.jpg = 1.jpg (pop and zen)",
        "Training pictures that are listed twice (1): 2.jpg = 4.jpg",
    ]
    assert checks.of_pictures("training", listed._replace(names=("x.jpg",) * 6), files)[
        0
    ].endswith(": x.jpg (pop and zen)")
