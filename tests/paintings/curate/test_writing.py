"""Names that are safe anywhere."""

import re

import pytest

from jaxart.paintings.curate.writing import slug


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vincent-van-gogh_the-starry-night-1889(1)", None),
        ("joaquín-sorolla_on the beach", "joaquín-sorolla_on-the-beach"),
        ("../../etc/passwd", "etc-passwd"),
        ("..", "-"),
        ("", "-"),
        (".hidden", "hidden"),
        ("a\\b:c*?\n\0d\udc80", "a-b-c-d"),
        ("葛飾北斎", None),
        ("हिन्दी कला", "हिन्दी-कला"),
        ("ศิลปะไทย", None),
        ("été", None),
    ],
)
def test_slug(text, expected):
    assert slug(text) == (text if expected is None else expected)


def test_long_names_are_cut_between_characters():
    short = slug("é" * 500)
    assert set(short) == {"é"} and len(short.encode()) == 120
    assert re.fullmatch("a+", slug("a" * 119 + "é" * 10))
