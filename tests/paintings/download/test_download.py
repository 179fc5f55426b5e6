"""A whole download from a site, whatever the site does."""

import json

import pytest

from jaxart.paintings.download.errors import WikiartError
from jaxart.paintings.download.painting import plain_text
from jaxart.paintings.download.session import ATTEMPTS
from jaxart.paintings.download.store import Store
from tests.paintings.download.fake_site import PAGE_SIZE, Answer
from tests.paintings.download.test_session import foreign_urls
from tests.paintings.download.test_store import HOSTILE, RECORDS, names_in, rows_of


def numbers_in(out, style):
    """The paintings that the table lists, by their numbers at the site."""
    rows = rows_of(out / "metadata.csv")
    paths = [row["path"] for row in rows if row["label"] == style]
    assert all((out / path).is_file() for path in paths)
    return sorted(int(path.split("_")[-1].removesuffix(".jpg"), 16) for path in paths)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_the_first_of_each_style(site, download, out):
    site.list_style("art-nouveau", [site.paint(n) for n in range(12)])
    site.list_style("baroque", [site.paint(n) for n in range(20, 32)])
    run = download(["art_nouveau", "baroque"], 7)
    assert numbers_in(out, "art_nouveau") == list(range(7))
    assert numbers_in(out, "baroque") == list(range(20, 27))
    pages = {
        f".pages/{s}/000{n}.json" for s in ("art_nouveau", "baroque") for n in (1, 2)
    }
    assert {name for name in names_in(out) if name.startswith(".pages")} == pages
    row = rows_of(out / "metadata.csv")[1]
    assert row == {
        "path": f"art_nouveau/zoe_etude-no-1_{1:024x}.jpg",
        "label": "art_nouveau",
        "artist": "Zoë",
        "title": "Étude, no. 1",
        "year": "1889",
        "source": f"{site.url}/en/artist/1",
    }
    assert len(site.log) == len(site.whole()) == 4 + 14
    assert run.shortages() == []
    assert run.summary().splitlines()[1].split() == ["art_nouveau", *"7 0 0 7".split()]


def test_first_pages_come_first(site, download):
    for style in ("a", "b"):
        site.list_style(style, [site.paint(n) for n in range(3)])
    download(["a", "b"], 2)
    assert ["page=1" in path for path in site.paths()[:3]] == [True, True, False]


def test_a_full_style_costs_no_request(site, download, out):
    site.list_style("a", [site.paint(n) for n in range(PAGE_SIZE)])
    download(["a"], PAGE_SIZE)
    assert len(site.log) == 1 + PAGE_SIZE  # and no second page
    download(["a"], PAGE_SIZE)
    download(["a"], 2)
    assert len(site.log) == 1 + PAGE_SIZE
    assert len(numbers_in(out, "a")) == PAGE_SIZE


def test_more_may_be_wanted_later(site, download, out):
    site.list_style("a", [site.paint(n) for n in range(9)])
    download(["a"], 3)
    download(["a"], 8)
    assert numbers_in(out, "a") == list(range(8))
    assert len(site.whole()) == len(set(site.whole()))


def test_the_count_arrives_whatever_misbehaves(site, download, out):
    site.list_style("a", [site.paint(n) for n in range(20)])
    body = site.answers["/images/artist/0.jpg!Large.jpg"][-1].body
    site.misbehave(0, Answer(status=404))
    site.answers["/images/artist/1.jpg!Large.jpg"] = [Answer(status=410)]
    site.misbehave(2, Answer(status=429, headers={"Retry-After": "0"}))
    site.misbehave(3, Answer(status=500), Answer(status=502), Answer(status=503))
    site.misbehave(4, Answer(body[:100], surplus=len(body) - 100))
    site.misbehave(5, Answer(b"<html>"))
    site.misbehave(6, Answer(body[:-50]))
    site.misbehave(7, *[Answer(status=500)] * ATTEMPTS)
    site.misbehave(8, Answer(status=302, headers={"Location": "http://localhost/x"}))
    page = "/en/paintings-by-style/a?select=featured&json=2&page="
    just_a_moment = Answer(b"<!DOCTYPE html><title>Just a moment...</title>")
    for number in (1, 2, 3):
        site.answers[f"{page}{number}"].insert(0, just_a_moment)
    run = download(["a"], 10)
    good = [2, 3, 4, *range(9, 16)]
    assert numbers_in(out, "a") == good
    reasons = {int(r["id"], 16): r["reason"] for r in rows_of(out / "failed.csv")}
    assert reasons == {
        0: "HTTP status 404 Not Found",
        1: "HTTP status 410 Gone",
        5: "not an image: begins with b'<html>'",
        6: reasons[6],
        7: "HTTP status 500 Internal Server Error, after 5 attempts",
        8: "not a place of the site: 'http://localhost/x'",
    }
    assert reasons[6].startswith("not a whole image: ")
    assert run.summary().splitlines()[1].split() == ["a", *"10 0 6 10".split()]
    num_before = len(site.log)
    download(["a"], 11)
    assert numbers_in(out, "a") == sorted([7, *good])  # it is asked for again, alone
    assert len(site.log) == num_before + 1
    assert 7 not in {int(r["id"], 16) for r in rows_of(out / "failed.csv")}


def test_a_style_that_has_fewer(site, download, out):
    site.list_style("a", [site.paint(n) for n in range(7)])
    site.answers["/images/artist/3.jpg!Large.jpg"] = [Answer(status=404)]
    run = download(["a"], 10)
    assert numbers_in(out, "a") == [0, 1, 2, 4, 5, 6]
    assert run.shortages() == ["a: 6 of the 10 images wanted; there are no more"]


def test_listings_that_repeat_themselves_end(site, download, out):
    site.list_style("a", [site.paint(n % 3) for n in range(12)])
    for number in range(3, 6):
        path = f"/en/paintings-by-style/a?select=featured&json=2&page={number}"
        site.answers[path] = site.answers[path[:-1] + "1"]
    download(["a"], 10)
    assert numbers_in(out, "a") == [0, 1, 2]
    assert sum("page=" in path for path in site.paths()) == 2


def test_a_listing_without_an_empty_page_at_its_end(site, download, out):
    site.list_style("a", [site.paint(n) for n in range(5)])
    del site.answers["/en/paintings-by-style/a?select=featured&json=2&page=2"]
    download(["a"], 10)
    assert numbers_in(out, "a") == list(range(5))


def test_one_painting_of_two_styles(site, download, out):
    site.list_style("a", [site.paint(n) for n in range(4)])
    site.list_style("b", [site.paint(n) for n in range(2, 6)])
    site.answers["/images/artist/3.jpg!Large.jpg"] = [Answer(status=404)]
    download(["a", "b"], 4)
    assert numbers_in(out, "a") == [0, 1, 2]
    assert numbers_in(out, "b") == [2, 4, 5]
    assert len(set(site.paths())) == len(site.paths())


def test_unknown_styles_are_known_first(site, download, out):
    site.list_style("a", [site.paint(n) for n in range(4)])
    site.list_style("empty", [])
    with pytest.raises(WikiartError) as caught:
        download(["baroqe", "a", "cubsm", "empty"], 2)
    message = str(caught.value)
    assert "baroqe, cubsm, empty;" in message
    assert f"{site.url}/en/paintings-by-style" in message
    assert not any("images" in path for path in site.paths())


def test_html_in_place_of_a_listing(site, download):
    path = "/en/paintings-by-style/a?select=featured&json=2&page=1"
    for body in (b"<html>Checking your browser", b"[]", b'{"error": 1}', b"[" * 9999):
        site.answers[path] = [Answer(body)]
        with pytest.raises(WikiartError) as caught:
            download(["a"], 2)
        assert site.url + path in str(caught.value)
        assert repr(body[:20].decode())[:-1] in str(caught.value)


def test_a_kept_page_that_is_damaged_is_named(site, download, out):
    site.list_style("a", [site.paint(n) for n in range(4)])
    download(["a"], 2)
    (out / ".pages/a/0001.json").write_text("{")
    with pytest.raises(WikiartError, match=r"\.pages/a/0001.json: .*; delete it"):
        download(["a"], 3)


def test_a_site_that_is_down_ends_the_run(site, download, out):
    site.list_style("a", [site.paint(n) for n in range(20)])
    for number in (1, *range(3, 20)):
        site.misbehave(number, *[Answer(status=503)] * ATTEMPTS)
    with pytest.raises(WikiartError, match="5 paintings in a row.* the same command"):
        download(["a"], 10)
    assert numbers_in(out, "a") == [0, 2]
    assert len(rows_of(out / "failed.csv")) == 1 + 5
    with pytest.raises(WikiartError, match="5 paintings in a row"):
        download(["a"], 10)
    assert numbers_in(out, "a") == [0, *range(1, 8)]


def test_a_stop_between_an_image_and_its_line(site, download, out, monkeypatch):
    site.list_style("a", [site.paint(n) for n in range(8)])

    def stop(self, painting):
        path = keep(self, painting)
        if painting.id.endswith("3"):
            raise KeyboardInterrupt
        return path

    keep = Store._keep
    monkeypatch.setattr(Store, "_keep", stop)
    with pytest.raises(KeyboardInterrupt):
        download(["a"], 6)
    assert numbers_in(out, "a") == [0, 1, 2]
    monkeypatch.setattr(Store, "_keep", keep)
    download(["a"], 6)
    assert numbers_in(out, "a") == list(range(6))
    assert len(site.whole()) == len(set(site.whole()))


def test_the_bound_ends_the_run(site, download, out):
    site.list_style("a", [site.paint(n) for n in range(20)])
    max_bytes = 12_000
    with pytest.raises(WikiartError, match="stopped before .* --max_gigabytes=1.2e-05"):
        download(["a"], 20, max_bytes=max_bytes)
    kept = [out / name for name in names_in(out) - RECORDS]
    num_bytes = sum(path.stat().st_size for path in kept)
    assert max_bytes - 2000 < num_bytes <= max_bytes
    num_before = len(site.log)
    (out / "more").write_bytes(bytes(1500))
    with pytest.raises(WikiartError, match="stopped before"):
        download(["a"], 20, max_bytes=max_bytes)
    assert len(site.log) == num_before


@pytest.mark.parametrize("field", ["id", "title", "artistName", "paintingUrl", "year"])
def test_hostile_texts_stay_inside(site, download, tmp_path, field):
    values = [*HOSTILE, None, 7, True, 1.5, [], {"a": 1}]
    entries = [site.paint(n, **{field: value}) for n, value in enumerate(values)]
    site.list_style("a", [None, 3, "x", [], {}, *entries])
    out = tmp_path / "parent/out"
    download(["a"], 99, out)
    rows = rows_of(out / "metadata.csv")
    num_bad = sum(not plain_text(value) for value in values) if field == "id" else 0
    assert len(rows) == len(values) - num_bad
    assert {row["label"] for row in rows} == {"a"}
    inside = {row["path"] for row in rows} | RECORDS
    names = {n for n in names_in(tmp_path) if not n.startswith("parent/out/.pages/a/")}
    assert names == {f"parent/out/{name}" for name in inside}
    assert all(len(row["title"]) <= 300 for row in rows)


def test_hostile_addresses_are_not_asked(site, download, out):
    odd = [None, 7, [], "", "http://127.0.0.1/\ud800", "x" * 3000]
    urls = [*foreign_urls(site), *odd]
    entries = [site.paint(n, image=url) for n, url in enumerate(urls)]
    withheld = f"{site.url}/Content/images/FRAME-600x480.jpg"
    site.list_style("a", [*entries, site.paint(50, image=withheld), site.paint(51)])
    download(["a"], 1)
    assert numbers_in(out, "a") == [51]
    failed = {int(row["id"], 16): row["reason"] for row in rows_of(out / "failed.csv")}
    assert len(failed) == len(urls) + 1
    assert failed[50] == "WikiArt withholds the image"
    assert [path for path in site.paths() if "page=" not in path] == [
        "/images/artist/51.jpg!Large.jpg"
    ]


def test_pages_are_kept_as_they_came(site, download, out):
    site.list_style("a", [site.paint(n) for n in range(2)])
    download(["a"], 1)
    page = json.loads((out / ".pages/a/0001.json").read_bytes())
    assert page["AllPaintingsCount"] == 2
