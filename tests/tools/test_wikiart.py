"""The command: what it prints, what it refuses, how it ends."""

import csv
import importlib.util
from pathlib import Path

import pytest

from jaxart.wikiart.store import Store
from tests.wikiart.fake_site import Answer, serving

TOOL = Path(__file__).parents[2] / "tools/wikiart.py"


@pytest.fixture
def site(monkeypatch):
    with serving(monkeypatch) as site:
        yield site


@pytest.fixture
def main(capsys):
    """Runs the command in this process: (status, stdout, stderr)."""
    spec = importlib.util.spec_from_file_location("wikiart_tool", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments):
        try:
            status = module.main(list(arguments))
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def download(site, main, tmp_path):
    """Runs `download` on styles a and b, of 7 paintings each."""

    def run(**flags):
        given = {
            "styles": "a,b",
            "per_style": 3,
            "out": tmp_path / "out",
            "base_url": site.url,
            "delay": 0.002,
        }
        given |= flags
        return main("download", *(f"--{key}={value}" for key, value in given.items()))

    for style in ("a", "b"):
        numbers = range(7) if style == "a" else range(10, 17)
        site.list_style(style, [site.paint(n) for n in numbers])
    return run


def labels(path):
    with path.open(newline="", encoding="utf-8") as lines:
        return [row["label"] for row in csv.DictReader(lines)]


def test_a_download(download, tmp_path):
    status, printed, said = download()
    assert status == 0
    assert [line.split() for line in printed.splitlines()] == [
        ["style", "new", "before", "failed", "wanted"],
        ["a", "3", "0", "0", "3"],
        ["b", "3", "0", "0", "3"],
        ["written:", f"{tmp_path}/out/metadata.csv"],
    ]
    assert "https://www.wikiart.org/en/terms-of-use" in said
    assert len(said.splitlines()) == 3
    assert labels(tmp_path / "out/metadata.csv") == ["a"] * 3 + ["b"] * 3
    status, printed, _ = download()
    assert status == 0
    assert printed.splitlines()[1].split() == ["a", "0", "3", "0", "3"]


def test_a_shortage_is_a_warning(download, site):
    site.misbehave(2, *[Answer(status=500)] * 5)
    status, _, said = download(styles="a", per_style=9)
    assert status == 0
    assert (
        "warning: a: 6 of the 9 images wanted; there are no more, but 1 that the same "
        "command asks for again"
    ) in said


def test_an_error_still_leaves_the_tables(download, site, tmp_path):
    for number in range(12, 17):
        site.misbehave(number, *[Answer(status=500)] * 5)
    status, printed, said = download()
    assert status == 1
    assert "\nwikiart: 5 paintings in a row could not be had" in said
    assert printed.splitlines()[2].split() == ["b", "2", "0", "5", "3"]
    assert labels(tmp_path / "out/metadata.csv") == ["a"] * 3 + ["b"] * 2


def test_a_key_press_still_leaves_the_tables(download, tmp_path, monkeypatch):
    def stop(self, painting):
        if self.counts["b"]:
            raise KeyboardInterrupt
        return keep(self, painting)

    keep = Store._keep
    monkeypatch.setattr(Store, "_keep", stop)
    status, _, said = download()
    assert status == 130
    assert "wikiart: stopped; the same command goes on" in said
    assert labels(tmp_path / "out/metadata.csv") == ["a"] * 3 + ["b"]


def test_unknown_styles(download):
    status, _, said = download(styles="a,cubsm")
    assert status == 1
    assert "wikiart: no such style at http://127.0.0.1:" in said
    assert ": cubsm; the styles are listed at " in said


@pytest.mark.parametrize(
    "flags, status, words",
    [
        ({"styles": "../x"}, 1, "wikiart: '../x' is no style"),
        ({"styles": ""}, 1, "wikiart: '' is no style"),
        ({"per_style": 0}, 2, "--per_style: '0' is not a whole number from 1 on"),
        ({"per_style": "-1"}, 2, "'-1' is not"),
        ({"per_style": "many"}, 2, "'many' is not"),
        ({"delay": 0}, 2, "--delay: '0' is not a number above 0"),
        ({"delay": "nan"}, 2, "'nan' is not"),
        ({"max_gigabytes": "inf"}, 2, "--max_gigabytes: 'inf' is not"),
        ({"base_url": "file:///x"}, 2, "'file:///x' is not a URL of http or https"),
        ({"from": "flickr"}, 2, "'flickr' (choose from"),
        ({"from": "flickr"}, 2, "wikiart"),
        ({"style": "a"}, 2, "unrecognized arguments: --style=a"),
    ],
)
def test_bad_flags(download, site, tmp_path, flags, status, words):
    ended, printed, said = download(**flags)
    assert ended == status
    assert words in said
    assert printed == ""
    assert not site.log
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(download, tmp_path):
    (tmp_path / "file").touch()
    status, _, said = download(out=tmp_path / "file")
    assert status == 1
    assert f"wikiart: [Errno 17] File exists: '{tmp_path}/file'" in said


@pytest.mark.parametrize("name", ["a", "pages"])
def test_a_folder_that_leads_out(download, site, tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / name).symlink_to(tmp_path / "elsewhere")
    status, _, said = download()
    assert status == 1
    assert f"wikiart: {tmp_path}/out/{name}: leads out of {tmp_path}/out" in said
    assert not site.log
    assert not list((tmp_path / "elsewhere").iterdir())


def test_help(main):
    status, printed, _ = main("download", "--help")
    assert status == 0
    for words in (
        "non-commercial research use",
        "https://www.wikiart.org/en/terms-of-use",
        "jaxart distributes none",
        "pip install 'jaxart[hf]'",
        "WikiArt may have renamed some",
        "curate --src=style_train.csv --image_root=wikiart",
        *("--per_style --max_gigabytes --delay --base_url --lists_url --from".split()),
    ):
        assert words in printed
    assert max(map(len, printed.splitlines())) <= 88
    assert "download" in main("--help")[1]


def test_a_command_is_needed(main):
    status, _, said = main()
    assert status == 2
    assert "COMMAND" in said


LISTS = {
    "style_class.txt": "0 Art_Nouveau\n1 Baroque\n",
    "style_train.csv": (
        "Art_Nouveau_Modern/zoe_no-1(1).jpg,0\n"
        "Baroque/grã©goire-michonze_no-2.jpg,1\n"
        "Art_Nouveau_Modern/zoe_no-3.jpg,0\n"
        "Baroque/../../etc_passwd,1\n"
    ),
    "style_val.csv": (
        "Baroque/zoe_no-4_b.jpg,1\nBaroque/nameless.jpg,1\nBaroque/å\x85,b_a.jpg,1\n"
    ),
}


@pytest.fixture
def artgan(download, site):
    """Downloads by ArtGAN's lists, from a site that has two of the images."""
    for name, text in LISTS.items():
        site.answers[f"/lists/{name}"] = [Answer(text.encode())]
    picture = site.answers["/images/artist/1.jpg!Large.jpg"]
    for path in ("zoe/no-1(1)", "grã©goire-michonze/no-2", "zoe/no-4_b"):
        site.answers[f"/images/{path}.jpg"] = picture
    flags = {"from": "artgan", "lists_url": f"{site.url}/lists/"}
    return lambda **more: download(**flags | {"styles": "Art Nouveau,baroque"} | more)


def test_artgan(artgan, site, tmp_path):
    status, _, said = artgan()
    assert status == 0
    assert "warning: art_nouveau: 1 of the 3 images wanted" in said
    with (tmp_path / "out/metadata.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["artist"], row["title"], row["label"]) for row in rows] == [
        ("zoe", "no 1(1)", "art_nouveau"),
        ("grã©goire michonze", "no 2", "baroque"),
        ("zoe", "no 4_b", "baroque"),
    ]
    assert rows[2]["source"] == "ArtGAN style_val.csv Baroque/zoe_no-4_b.jpg"
    with (tmp_path / "out/failed.csv").open(newline="", encoding="utf-8") as lines:
        failed = {row["title"]: row["reason"] for row in csv.DictReader(lines)}
    assert failed["a"] == "HTTP status 404 Not Found"
    assert failed["no 3"] == "HTTP status 404 Not Found"
    assert failed[""] == "not a name like ARTIST_TITLE.jpg"
    num_before = len(site.log)
    artgan()
    assert len(site.log) == num_before


def test_artgan_stops_when_it_has_enough(artgan, site):
    status, _, _ = artgan(per_style=1)
    assert status == 0
    assert len(site.log) == 3 + 2


def test_artgan_names_the_choices(artgan, site):
    status, _, said = artgan(styles="cubism")
    assert status == 1
    assert "no such style in style_class.txt: cubism; there are art_nouveau" in said
    assert not any("/images/" in path for path in site.paths())


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("body", [b"<html>\n", b"\xff\xfe", b"", b"a" * 200_000])
def test_artgan_lists_that_are_none(artgan, site, name, body):
    site.answers[f"/lists/{name}"] = [Answer(body)]
    status, _, said = artgan()
    assert status == 1
    assert f"wikiart: {site.url}/lists/{name}: not " in said
