"""The commands: what they print, what they refuse, how they end."""

import csv
import functools
import json

import pytest
from PIL import Image

from jaxart.data import examples, files, procedural
from jaxart.paintings.download.store import Store
from jaxart.passes import driver
from tests.paintings.download.fake_site import Answer, serving


@pytest.fixture
def site(monkeypatch):
    with serving(monkeypatch) as site:
        yield site


@pytest.fixture
def main(run_command, monkeypatch, tmp_path_factory):
    """Runs a job in this process: (status, stdout, stderr)."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(files, "default_cache_dir", lambda: cache)
    return functools.partial(run_command, "wikiart")


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
    assert "\njaxart: 5 paintings in a row could not be had" in said
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
    assert "jaxart: stopped; the same command goes on" in said
    assert labels(tmp_path / "out/metadata.csv") == ["a"] * 3 + ["b"]


def test_unknown_styles(download):
    status, _, said = download(styles="a,cubsm")
    assert status == 1
    assert "jaxart: no such style at http://127.0.0.1:" in said
    assert ": cubsm; the styles are listed at " in said


@pytest.mark.parametrize(
    "flags, words",
    [
        ({"styles": "../x"}, "jaxart: '../x' is no style"),
        ({"styles": ""}, "jaxart: '' is no style"),
        ({"per_style": 0}, "--per_style: '0' is not a whole number from 1 on"),
        ({"per_style": "-1"}, "'-1' is not"),
        ({"per_style": "many"}, "'many' is not"),
        ({"delay": 0}, "--delay: '0' is not a number above 0"),
        ({"delay": "nan"}, "'nan' is not"),
        ({"max_gigabytes": "inf"}, "--max_gigabytes: 'inf' is not"),
        ({"base_url": "file:///x"}, "'file:///x' is not a URL of http or https"),
        ({"from": "flickr"}, "'flickr' (choose from"),
        ({"style": "a"}, "jaxart: unknown flag --style; did you mean --styles?"),
    ],
)
def test_bad_flags(download, site, tmp_path, flags, words):
    ended, printed, said = download(**flags)
    assert ended == 1
    assert words in said
    assert printed == ""
    assert not site.log
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(download, tmp_path):
    (tmp_path / "file").touch()
    status, _, said = download(out=tmp_path / "file")
    assert status == 1
    assert f"jaxart: [Errno 17] File exists: '{tmp_path}/file'" in said


@pytest.mark.parametrize("name", ["a", ".pages"])
def test_a_folder_that_leads_out(download, site, tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / name).symlink_to(tmp_path / "elsewhere")
    status, _, said = download()
    assert status == 1
    assert f"jaxart: {tmp_path}/out/{name}: leads out of {tmp_path}/out" in said
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
    assert status == 1
    assert "which job? one of wikiart download, wikiart curate, wikiart" in said


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
    assert f"jaxart: {site.url}/lists/{name}: not " in said


# --- curate and inspect ---------------------------------------------------------------


@pytest.fixture
def painted(tmp_path):
    """Two class folders of 10 pictures by 5 artists each."""
    for number, style in enumerate(("ink_mist", "op_stripes")):
        (tmp_path / "src" / style).mkdir(parents=True)
        for i in range(10):
            picture = Image.fromarray(procedural.paint(style, (number, i), 64))
            name = f"artist-{style.replace('_', '-')}-{'abcde'[i % 5]}_work-{i}x.png"
            picture.save(tmp_path / "src" / style / name)
    return tmp_path / "src"


def test_curate_and_inspect(main, painted, tmp_path):
    out = tmp_path / "out"
    status, printed, said = main("curate", f"--src={painted}", f"--out={out}")
    assert status == 0 and "warning" not in said
    assert [line.split() for line in printed.splitlines()] == [
        ["class", "train", "val", "val", "share", "artists"],
        ["ink_mist", "8", "2", "20.0%", "5"],
        ["op_stripes", "8", "2", "20.0%", "5"],
        ["in", "all", "16", "4", "20.0%", "10"],
        "of 20 pictures: 0 unreadable, 0 copies, 0 under two labels, 0 without an "
        "artist, 0 too many".split(),
        "artists on both sides: 0".split(),
        ["written:", str(out)],
    ]
    status, printed, _ = main("inspect", f"--data={out}", "--strict")
    assert status == 0
    lines = printed.splitlines()
    assert lines[1].split() == ["ink_mist", "8", "2", "5", "64", "px"]
    assert lines[3] == "train: 16 images, 0 unreadable, 8 artists, 0 images without one"
    assert (
        lines[6] == "copies in train and val: 0 equal files, 0 near ones, 0 grey ones"
    )
    assert lines[8:] == [
        "artists on both sides of train and val: 0",
        f"written: {tmp_path}/out-inspection",
    ]
    made = {path.name for path in (tmp_path / "out-inspection").iterdir()}
    assert made == {
        *("inspection.json", "copies.csv", "unreadable.csv"),
        *("ink_mist.png", "op_stripes.png"),
    }


def test_every_curate_flag_arrives(main, painted, tmp_path):
    status, printed, said = main(
        "curate",
        f"--src={painted}",
        f"--out={tmp_path}/out",
        *("--split=stratified", "--val_fraction=0.5", "--seed=3", "--classes=ink_mist"),
        *("--max_per_class=6", "--max_per_artist=2", "--resize=32"),
        "--max_distance=30",
        "--grey_copies=keep",
    )
    assert status == 0, said
    assert json.loads((tmp_path / "out/report.json").read_text())["options"] == {
        "classes": ["ink_mist"],
        "split": "stratified",
        "val_fraction": 0.5,
        "seed": 3,
        "max_per_class": 6,
        "max_per_artist": 2,
        "resize": 32,
        "max_distance": 30,
        "grey_copies": "keep",
    }
    assert printed.splitlines()[1].split()[:4] == ["ink_mist", "3", "3", "50.0%"]


def test_curate_on_a_cluster(main, painted, tmp_path, monkeypatch):
    asked = []

    def stop(*arguments, ray, **settings):
        asked.append(ray)
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxart.passes.running.run", stop)
    flags = ["curate", f"--src={painted}", f"--out={tmp_path}/out"]
    for more in ([], ["--ray=auto"], ["--ray=10.0.0.1:6379", "--ray_cpus=0.5"]):
        assert main(*flags, *more)[0] == 130
    assert asked == [None, ("auto", 1), ("10.0.0.1:6379", 0.5)]


def test_inspect_says_what_two_lists_share(main, painted, tmp_path):
    names = sorted(path.relative_to(painted) for path in painted.glob("ink_mist/*"))
    for listing, some in (("a", names[:4]), ("b", names[3:])):
        (painted / f"{listing}.txt").write_text("".join(f"{n} ink\n" for n in some))
    flags = [f"--data={painted}/a.txt", f"--against={painted}/b.txt"]
    status, printed, _ = main("inspect", *flags, f"--out={tmp_path}/out")
    assert status == 0
    assert "copies in a and b: 1 equal files, 0 near ones, 0 grey ones" in printed
    assert "artists on both sides of a and b: 1" in printed
    assert main("inspect", *flags, f"--out={tmp_path}/out", "--strict")[0] == 1


def test_curate_warns_of_a_class_by_one_artist(main, painted, tmp_path):
    table = tmp_path / "who.csv"
    rows = (f"{p.relative_to(painted)},Ann\n" for p in painted.glob("op_stripes/*"))
    table.write_text("path,artist\n" + "".join(rows))
    status, _, said = main(
        "curate", f"--src={painted}", f"--out={tmp_path}/out", f"--metadata={table}"
    )
    assert status == 0
    assert "warning: op_stripes: 0.0% of 10 pictures are for validation" in said


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["curate", "--src=nowhere"], "jaxart: nowhere: no such folder, image or l"),
        (["curate", "--src={src}", "--out={src}"], "exists; choose another folder or"),
        (["curate", "--src={src}", "--split=fair"], "invalid choice: 'fair' (choose"),
        (
            ["curate", "--src={src}", "--val_fraction=1"],
            "'1' is not a number between 0 and 1",
        ),
        (["curate", "--src={src}", "--max_distance=128"], "'128' is not a number of b"),
        (["curate", "--src={src}", "--ray_cpus=0"], "'0' is not a number above 0"),
        (["curate", "--src={src}", "--resize=0"], "'0' is not a whole number from 1"),
        (
            ["curate", "--src={src}", "--classes=pop"],
            "no class pop; there are ink_mist",
        ),
        (
            ["curate", "--src={src}", "--out=s3://b/out"],
            "out=s3://b/out: must be a local folder",
        ),
        (["curate", "--src=http://x/y"], "http://x/y: of URLs, s3:// and gs:// can"),
        (["inspect", "--data=nowhere"], "jaxart: nowhere: no such folder, image"),
    ],
)
def test_what_cannot_be_curated_or_inspected(main, painted, tmp_path, flags, message):
    given = [flag.format(src=painted) for flag in flags]
    if not any(flag.startswith("--out") for flag in given):
        given.append(f"--out={tmp_path}/out")
    status, _, said = main(*given)
    assert status == 1 and message in said
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


def test_curate_stopped_by_hand_goes_on(main, painted, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    flags = ["curate", f"--src={painted}", f"--out={tmp_path}/out"]
    with monkeypatch.context() as patch:
        patch.setattr("jaxart.paintings.curate.cleaning.each_once", stop)
        status, _, said = main(*flags)
    assert status == 130 and "jaxart: stopped; the same command goes on" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parts", "src"]
    with driver.alone(tmp_path / "out.parts"):
        status, printed, said = main(*flags)
        assert status == 1 and printed == "" and len(said.splitlines()) == 1
        assert said.startswith(f"jaxart: {tmp_path}/out.parts: process ")
    assert main(*flags)[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "src"]


def test_what_is_downloaded_can_be_curated_and_read_by_training(
    download, main, tmp_path
):
    assert download(per_style=6)[0] == 0
    source = tmp_path / "out"
    status, printed, said = main(
        "curate", f"--src={source}", f"--out={tmp_path}/set", "--split=stratified"
    )
    assert status == 0, said
    found = examples.read(source, num_classes=2)
    assert found.class_names == ("a", "b")
    kept = examples.read(tmp_path / "set/metadata.csv", num_classes=2)
    with (source / "metadata.csv").open(newline="") as lines:
        places = {row["source"] for row in csv.DictReader(lines)}
    with (tmp_path / "set/metadata.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert 0 < len(rows) == len(kept.names) <= 12
    assert {row["source"] for row in rows} <= places
