"""The output folder: what is in it counts, and nothing gets out of it."""

import csv
import io
import re

import pytest
from PIL import Image

from jaxart.data import examples
from jaxart.paintings.download.errors import Refused, WikiartError
from jaxart.paintings.download.painting import (
    Painting,
    parse_styles,
    plain_text,
    safe_id,
)
from jaxart.paintings.download.store import COLUMNS, opened
from tests.paintings.download.fake_site import picture

HOSTILE = [
    "../../x",
    "/etc/passwd",
    "..",
    "",
    "a\0b",
    "a/b\\c",
    "x" * 300,
    "日本",
    "C:\\x",
    "a\r\nb,\"c'",
    "\ud800",
    "CON",
    "-rf",
]


def painting(number=1, style="baroque", **fields):
    values = {
        "id": f"id{number}",
        "artist": "Rembrandt van Rijn",
        "title": f"No. {number}",
        "year": "1642",
        "url": "",
        "source": "https://example.org/1",
    }
    return Painting(style=style, **values | fields)


def writes(content):
    return lambda path: path.write_bytes(content)


def fails(path):
    raise AssertionError("fetched")


def names_in(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "parent/out"


RECORDS = {".lock", "downloads.jsonl", "metadata.csv", "failed.csv"}


def test_an_image_and_its_row(out):
    with opened(out, 10**9) as store:
        store.obtain(
            painting(artist="Édouard Manet", title="L'Été"), writes(picture(1))
        )
        store.obtain(painting(2, artist="", title=""), writes(picture(2)))
        store.write_tables([])
        assert store.counts == {"baroque": 2}
    name = "baroque/edouard-manet_l-ete_id1.jpg"
    assert (out / name).read_bytes() == picture(1)
    assert names_in(out) == RECORDS | {name, "baroque/unknown_untitled_id2.jpg"}
    row = rows_of(out / "metadata.csv")[0]
    assert tuple(row) == COLUMNS
    values = [name, "baroque", "Édouard Manet", "L'Été", "1642"]
    assert list(row.values()) == [*values, "https://example.org/1"]
    assert examples.read(out / "metadata.csv", num_classes=1).paths[0].is_file()


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_name_leads_out(out, text):
    line = plain_text(text)
    found = painting(id=safe_id(text), artist=line, title=line, year=line)
    assert re.fullmatch(
        r"[a-z0-9-]{1,60}_[a-z0-9-]{1,60}_[A-Za-z0-9]{1,40}", found.stem
    )
    with opened(out, 10**9) as store:
        store.obtain(found, writes(picture(1)))
        store.write_tables([])
    assert names_in(out.parent) == {
        f"out/{name}" for name in RECORDS | {f"baroque/{found.stem}.jpg"}
    }
    [row] = rows_of(out / "metadata.csv")
    assert (out / row["path"]).is_file()


def test_odd_ids_stay_apart():
    assert safe_id("57726d7eedc2cb3880b47e36") == "57726d7eedc2cb3880b47e36"
    assert len({safe_id(text) for text in HOSTILE}) == len(HOSTILE)


@pytest.mark.parametrize("value", [None, True, 1.5, [], {}, ["a"]])
def test_values_of_odd_types_are_no_text(value):
    assert plain_text(value) == ""


def test_text_is_one_line():
    assert plain_text(" a\n\tb\0c\ud800 ") == "a b c"
    assert plain_text(1889) == "1889"


def test_styles():
    text = "art-nouveau, Art_Nouveau,Pop Art,ukiyo-e"
    assert parse_styles(text) == ("art_nouveau", "pop_art", "ukiyo_e")
    for bad in [*set(HOSTILE) - {"x" * 300, "CON"}, "a,,b", ".pages", "a__b", "a.b"]:
        with pytest.raises(WikiartError, match="is no style"):
            parse_styles(bad)


@pytest.mark.parametrize(
    "fmt, suffix", [("PNG", "png"), ("GIF", "gif"), ("WEBP", "webp")]
)
def test_the_suffix_is_the_formats(out, fmt, suffix):
    stream = io.BytesIO()
    Image.open(io.BytesIO(picture(1))).save(stream, fmt)
    with opened(out, 10**9) as store:
        store.obtain(painting(), writes(stream.getvalue()))
    assert (out / f"baroque/rembrandt-van-rijn_no-1_id1.{suffix}").is_file()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!doctype html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",  # Ghostscript's to run
        picture(1)[:-100],
        picture(1)[:300],
        b"\x89PNG\r\n\x1a\n" + bytes(50),
    ],
)
def test_what_is_no_image_does_not_get_in(out, content):
    with opened(out, 10**9) as store:
        with pytest.raises(Refused, match="not an image|not a whole image"):
            store.obtain(painting(), writes(content))
        store.write_tables([])
    assert names_in(out) == RECORDS


def test_a_decompression_bomb_is_no_image(out):
    stream = io.BytesIO()
    Image.new("1", (16_000, 16_000)).save(stream, "PNG")
    with (
        opened(out, 10**9) as store,
        pytest.raises(Refused, match="16,000 x 16,000 pixels of PNG take"),
    ):
        store.obtain(painting(), writes(stream.getvalue()))


def test_what_is_settled_is_known_again(out):
    with opened(out, 10**9) as store:
        store.obtain(painting(1), writes(picture(1)))
        store.reject(painting(2), "a frame")
    with opened(out, 10**9) as store:
        assert [store.is_settled(painting(n)) for n in (1, 2, 3)] == [True, True, False]
        assert store.counts == {"baroque": 1}
        store.write_tables([(painting(3), "the site was down")])
    failed = rows_of(out / "failed.csv")
    assert [(row["id"], row["reason"]) for row in failed] == [
        ("id2", "a frame"),
        ("id3", "the site was down"),
    ]


@pytest.mark.parametrize("cut", [1, 20, 10**6])
def test_an_image_whose_line_was_cut_is_not_fetched_again(out, cut):
    with opened(out, 10**9) as store:
        store.obtain(painting(1), writes(picture(1)))
        store.obtain(painting(2), writes(picture(2)))
        store.write_tables([])
    record = out / "downloads.jsonl"
    whole, table = record.read_bytes(), (out / "metadata.csv").read_bytes()
    record.write_bytes(whole[:-cut])
    with opened(out, 10**9) as store:
        for number in (1, 2):
            if not store.is_settled(painting(number)):
                store.obtain(painting(number), fails)
        store.write_tables([])
    assert record.read_bytes() == whole
    assert (out / "metadata.csv").read_bytes() == table


def test_a_damaged_file_without_a_line_is_fetched(out):
    path = out / "baroque/rembrandt-van-rijn_no-1_id1.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(picture(1)[:300])
    with opened(out, 10**9) as store:
        store.obtain(painting(), writes(picture(1)))
    assert path.read_bytes() == picture(1)


def test_a_file_that_was_removed_is_wanted_again(out):
    with opened(out, 10**9) as store:
        store.obtain(painting(), writes(picture(1)))
    next(out.glob("baroque/*")).unlink()
    with opened(out, 10**9) as store:
        assert not store.counts
        assert not store.is_settled(painting())
        store.obtain(painting(), writes(picture(1)))
    with opened(out, 10**9) as store:
        assert store.counts == {"baroque": 1}


def test_a_line_that_leads_out_of_the_folder_does_not_count(out):
    with opened(out, 10**9) as store:
        store.obtain(painting(), writes(picture(1)))
    path = next(out.glob("baroque/*"))
    path.rename(out.parent / "elsewhere.jpg")
    record = out / "downloads.jsonl"
    name = path.relative_to(out).as_posix()
    record.write_text(record.read_text().replace(name, "../elsewhere.jpg"))
    with opened(out, 10**9) as store:
        assert not store.is_settled(painting())


def test_a_second_style_gets_a_copy(out):
    with opened(out, 10**9) as store:
        store.obtain(painting(1), writes(picture(1)))
        store.obtain(painting(1, "rococo"), fails)
        store.reject(painting(2), "a frame")
        with pytest.raises(Refused, match="a frame"):
            store.obtain(painting(2, "rococo"), fails)
        store.write_tables([])
    rows = rows_of(out / "metadata.csv")
    assert [row["label"] for row in rows] == ["baroque", "rococo"]
    for row in rows:
        assert row["path"].startswith(row["label"])
        assert (out / row["path"]).read_bytes() == picture(1)


def test_the_bound_holds(out):
    num_bytes = len(picture(1))
    with opened(out, 5 * num_bytes // 2) as store:
        store.obtain(painting(1), writes(picture(1)))
        store.obtain(painting(1, "rococo"), fails)
        with pytest.raises(WikiartError, match="--max_gigabytes="):
            store.obtain(painting(2), writes(picture(2)))
    assert len(names_in(out) - RECORDS) == 2
    with opened(out, 2 * num_bytes) as store, pytest.raises(WikiartError):
        store.obtain(painting(2), fails)  # what is there counts


@pytest.mark.parametrize("name", ["baroque", ".pages", ".pages/baroque"])
def test_links_to_elsewhere_are_refused(out, tmp_path, name):
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).symlink_to(tmp_path)
    with opened(out, 10**9) as store, pytest.raises(WikiartError, match="leads out of"):
        store.require_inside(["baroque"])


def test_two_at_once(out):
    is_busy = pytest.raises(WikiartError, match="another download")
    with opened(out, 10**9), is_busy, opened(out, 10**9):
        pass
    with opened(out, 10**9):
        pass
