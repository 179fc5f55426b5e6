"""The look as a pass: plain settings travel, plain records come back."""

import json
import pickle

import pytest
from PIL import Image

from jaxart.data import files
from jaxart.paintings.curate.looking import Look, resized_path
from jaxart.paintings.curate.paintings import Painting, sort_out
from jaxart.passes.work import Opened, Work
from jaxart.storage.results import DamagedError


def look(work, names):
    opened = pickle.loads(pickle.dumps(work)).open()
    assert isinstance(work, Work) and isinstance(opened, Opened)
    loaded = opened.load([*names, None])
    records = opened.finish(names, loaded, opened.start(loaded)).records
    return opened.identify(names), json.loads(json.dumps(records))


def test_records_say_what_files_are(paint, tmp_path):
    paint("a.png", 0)
    paint("b.png", 1)
    (tmp_path / "src/c.png").write_text("text")
    names = ["c.png", "b.png", "d.png", "a.png"]
    work = Look(tmp_path / "src", tmp_path / "parts", None, 4)
    contents, records = look(work, names)
    assert len(set(contents)) == 4
    assert ["reason" in record for record in records] == [True, False, True, False]
    found = [Painting(name, "x", "Ann B", "", "", "") for name in names]
    looked = [files.File(**record) for record in records]
    assert looked == files.look([tmp_path / "src" / name for name in names], tmp_path)
    pictures, unreadable = sort_out(found, looked)
    assert [p.painting.name for p in pictures] == ["b.png", "a.png"]
    assert pictures[0].artist == "ann b"
    assert unreadable == [
        ("c.png", "x", "not an image that Pillow reads"),
        ("d.png", "x", "No such file or directory"),
    ]
    assert not (tmp_path / "parts").exists()


def test_resized_pictures_are_written_before_they_are_spoken_of(paint, tmp_path):
    paint("a.png", 0)
    work = Look(tmp_path / "src", tmp_path / "parts", 48, 4)
    _, (record,) = look(work, ["a.png"])
    file = files.File(**record)
    assert (file.width, file.height) == (96, 96)
    with Image.open(resized_path(tmp_path / "parts", file)) as picture:
        assert picture.size == (48, 48) and picture.format == "JPEG"


@pytest.mark.parametrize("digest", ["", "../../mine", "A" * 64])
def test_a_record_cannot_lead_elsewhere(tmp_path, digest):
    with pytest.raises(DamagedError, match="parts: damaged: .* is no SHA-256"):
        resized_path(tmp_path / "parts", files.File(sha256=digest))
