"""One spelling for one artist."""

import pytest

from jaxart.paintings.curate.paintings import artist_key, from_file_name


@pytest.mark.parametrize(
    "spelling",
    [
        "Paul Cézanne",
        "paul-cezanne",
        "cezanne-paul",
        "CEZANNE, Paul",
        "Paul_Ce\u0301zanne",
    ],
)
def test_spellings_of_one_artist_are_one(spelling):
    assert artist_key(spelling) == "cezanne paul"


@pytest.mark.parametrize(
    "nobody", ["", " ", "Unknown Artist", "unknown", "Anonymous", "artist-unknown", "-"]
)
def test_nobody_has_no_spelling(nobody):
    assert artist_key(nobody) == ""


def test_other_scripts_keep_their_letters():
    assert artist_key("Илья Репин") == artist_key("репин-илья") != ""
    assert artist_key("葛飾北斎") == "葛飾北斎"


@pytest.mark.parametrize(
    ("stem", "said"),
    [
        (
            "vincent-van-gogh_the-starry-night-1889(1)",
            ("vincent-van-gogh", "the-starry-night-1889(1)", "1889"),
        ),
        ("lynd-ward_not_detected_272492", ("lynd-ward", "not_detected_272492", "")),
        ("gerhard-richter_grey-2003", ("gerhard-richter", "grey-2003", "2003")),
        ("a_view-of-1700-in-1850", ("a", "view-of-1700-in-1850", "1850")),
        ("joaquín-sorolla_beach", ("joaquín-sorolla", "beach", "")),
        ("man o'war_x", ("man o'war", "x", "")),
    ],
)
def test_file_names_of_wikiart(stem, said):
    assert from_file_name(stem) == said


@pytest.mark.parametrize(
    "stem",
    ["IMG_1234", "DSC_0012", "starry-night", "_title", "artist_", "12_title", ""],
)
def test_other_file_names_say_nothing(stem):
    assert from_file_name(stem) == ("", "", "")
