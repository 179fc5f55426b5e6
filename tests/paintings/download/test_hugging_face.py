"""Paintings of a data set on a hub: Parquet files, and names for numbers."""

import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet
import pytest

from jaxart.paintings.download import hugging_face
from jaxart.paintings.download.download import Run
from jaxart.paintings.download.errors import WikiartError
from jaxart.paintings.download.store import opened
from tests import ROOT
from tests.paintings.download.fake_site import Answer, picture
from tests.paintings.download.test_store import rows_of

TOOL = ROOT / "tools/wikiart.py"
ARTISTS = ["Unknown Artist", "vincent-van-gogh"]
STYLES = ["Art_Nouveau", "Baroque", "Cubism"]
FEATURES = {
    "image": {"_type": "Image"},
    "artist": {"names": ARTISTS, "_type": "ClassLabel"},
    "genre": {"names": ["portrait"], "_type": "ClassLabel"},
    "style": {"num_classes": 3, "names": STYLES, "_type": "ClassLabel"},
}


def write_parquet(path, start, has_names=True, count=40):
    """Paintings in turn of each style, and of each artist."""
    numbers = range(start, start + count)
    images = [{"bytes": picture(n), "path": None} for n in numbers]
    images[3] = {"bytes": b"<html>", "path": None}
    images[4] = {"bytes": None, "path": "x"}
    table = pa.table(
        {
            "image": images,
            "artist": [n % 2 for n in numbers],
            "genre": [0 for _ in numbers],
            "style": [n % 3 for n in numbers],
        }
    )
    if has_names:
        info = json.dumps({"info": {"features": FEATURES}})
        table = table.replace_schema_metadata({"huggingface": info})
    pyarrow.parquet.write_table(table, path, row_group_size=8)


class Hub:
    """The hub's client, with files of this machine; `asked` says for which."""

    def __init__(self, folder):
        self.folder, self.asked = folder, []

    def list_repo_files(self, repository, repo_type):
        assert (repository, repo_type) == ("huggan/wikiart", "dataset")
        return [".gitattributes", *sorted(os.listdir(self.folder), reverse=True)]

    def hf_hub_download(self, repository, name, repo_type):
        assert (repository, repo_type) == ("huggan/wikiart", "dataset")
        self.asked.append(name)
        if not (self.folder / name).exists():
            raise RuntimeError(f"404 for\n{name}")
        return str(self.folder / name)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = Hub(tmp_path / "hub")
    hub.folder.mkdir()
    for number in range(3):
        write_parquet(hub.folder / f"train-{number}.parquet", 40 * number)
    modules = {"huggingface_hub": hub, "pyarrow.parquet": pyarrow.parquet}
    monkeypatch.setattr(hugging_face, "_import", modules.__getitem__)
    return hub


@pytest.fixture
def download(tmp_path):
    def run(styles, per_style):
        with opened(tmp_path / "out", 10**9) as store:
            run = Run(store, styles, per_style)
            try:
                run.collect(hugging_face.offers)
            finally:
                store.write_tables(run.failed_now)
        return rows_of(tmp_path / "out/metadata.csv")

    return run


def test_rows_become_images(hub, download, tmp_path):
    rows = download(["art_nouveau", "cubism"], 16)
    assert [row["label"] for row in rows] == ["art_nouveau"] * 16 + ["cubism"] * 16
    assert hub.asked == ["train-0.parquet", "train-1.parquet"]
    row = next(row for row in rows if row["source"].endswith("train-0.parquet row 9"))
    assert row == {
        "path": "art_nouveau/vincent-van-gogh_untitled_hf0r9.jpg",
        "label": "art_nouveau",
        "artist": "vincent-van-gogh",
        "title": "",
        "year": "",
        "source": "huggan/wikiart/train-0.parquet row 9",
    }
    assert (tmp_path / "out" / row["path"]).read_bytes() == picture(9)
    assert {row["artist"] for row in rows} == {"", "vincent-van-gogh"}
    failed = rows_of(tmp_path / "out/failed.csv")
    assert [(row["id"], row["reason"]) for row in failed] == [
        ("hf0r3", "not an image: begins with b'<html>'"),
        ("hf1r4", "the row has no image"),
    ]


def test_a_second_run_takes_the_rest(hub, download):
    download(["baroque"], 5)
    assert hub.asked == ["train-0.parquet"]
    assert len(download(["baroque"], 5)) == 5
    assert hub.asked == ["train-0.parquet"]
    assert len(download(["baroque"], 30)) == 30


def test_names_may_be_beside(hub, download):
    for number in range(3):
        write_parquet(hub.folder / f"train-{number}.parquet", 40 * number, False)
    with pytest.raises(WikiartError, match="RuntimeError: 404 for dataset_infos.json"):
        download(["baroque"], 2)
    path = hub.folder / "dataset_infos.json"
    for text in ("{}", "[]", "<html>", '{"a": {"features": {"artist": 3}}}'):
        path.write_text(text)
        with pytest.raises(WikiartError, match="nothing says what its classes"):
            download(["baroque"], 2)
    path.write_text(json.dumps({"huggan--wikiart": {"features": FEATURES}}))
    assert len(download(["baroque"], 2)) == 2


def test_unknown_styles(hub, download):
    with pytest.raises(WikiartError, match="wikiart: cubsm; .* art_nouveau, baroque"):
        download(["cubsm", "baroque"], 2)


def test_a_file_that_is_none(hub, download):
    (hub.folder / "train-0.parquet").write_bytes(b"<html>")
    with pytest.raises(WikiartError, match=r"train-0.parquet: not a Parquet file"):
        download(["baroque"], 2)


def test_a_file_without_the_columns(hub, download):
    metadata = {"huggingface": json.dumps({"info": {"features": FEATURES}})}
    table = pa.table({"image": [1], "artist": [0]}).replace_schema_metadata(metadata)
    pyarrow.parquet.write_table(table, hub.folder / "train-0.parquet")
    with pytest.raises(WikiartError, match="train-0.parquet: no column style"):
        download(["baroque"], 2)


def test_no_files(hub, download):
    for path in hub.folder.iterdir():
        path.unlink()
    with pytest.raises(WikiartError, match="has no Parquet files"):
        download(["baroque"], 2)


def test_missing_packages_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(WikiartError, match=r"pip install 'jaxart\[hf\]'"):
        next(hugging_face.offers(["baroque"]))


def test_from_a_hub(site, tmp_path):
    """With the real client, and the real command."""
    name = "data/train-00000-of-00001.parquet"
    write_parquet(tmp_path / "parquet", 0)
    content = (tmp_path / "parquet").read_bytes()
    api = "/api/datasets/huggan/wikiart"
    listing = [{"type": "file", "path": name, "size": len(content), "oid": "0" * 40}]
    as_json = {"Content-Type": "application/json"}
    listed = Answer(json.dumps(listing).encode(), headers=as_json)
    # Before 1.0 the client wrote Python's words.
    for flags in ("recursive=true&expand=false", "recursive=True&expand=False"):
        site.answers[f"{api}/tree/main?{flags}"] = [listed]
    headers = {"ETag": '"e"', "X-Repo-Commit": "0" * 40}
    path = f"/datasets/huggan/wikiart/resolve/main/{name}"
    site.answers[path] = [Answer(content, headers=headers)]
    env = {
        "HF_ENDPOINT": site.url,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    flags = f"--from=hf --styles=Art-Nouveau --per_style=5 --out={tmp_path / 'out'}"
    done = subprocess.run(
        [sys.executable, TOOL, "download", *flags.split()],
        env=os.environ | env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(rows_of(tmp_path / "out/metadata.csv")) == 5
