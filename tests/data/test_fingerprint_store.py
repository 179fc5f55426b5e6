"""Fingerprints are taken once for each content."""

import sqlite3

import pytest
from PIL import Image

from jaxart import storage
from jaxart.data import fingerprints, procedural
from jaxart.data.fingerprint_store import FILE_NAME, take_all
from jaxart.remote import RemotePath, StorageError


@pytest.fixture
def paths(tmp_path):
    """Three pictures, the third a copy of the first."""
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for seed, path in zip((0, 1, 0), paths, strict=True):
        Image.fromarray(procedural.paint("ink_mist", seed, 64)).save(path)
    return paths


@pytest.fixture
def taken(monkeypatch):
    """The files whose fingerprints are taken."""
    taken = []

    def take(path):
        taken.append(path.name)
        return real(path)

    real = fingerprints.take
    monkeypatch.setattr(fingerprints, "take", take)
    return taken


def test_each_content_is_looked_at_once(paths, taken, tmp_path):
    expected = [fingerprints.take(path) for path in paths]
    taken.clear()
    assert take_all(paths, tmp_path / "new/store") == expected
    assert sorted(taken) in (["0.png", "1.png"], ["1.png", "2.png"])
    taken.clear()
    assert take_all(paths[::-1], tmp_path / "new/store") == expected[::-1]
    assert taken == []


def test_another_content_under_the_same_name_is_another_picture(paths, tmp_path):
    before = take_all(paths, tmp_path)
    paths[0].write_bytes(paths[1].read_bytes())
    assert take_all(paths, tmp_path)[0] == before[1]


def test_what_is_no_image_has_none_and_is_asked_again(paths, taken, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    some = [paths[0], tmp_path / "bad.png", tmp_path / "missing.png"]
    for _ in range(2):
        assert [f is None for f in take_all(some, tmp_path)] == [False, True, True]
    assert taken.count("bad.png") == 2 and taken.count("0.png") == 1


@pytest.mark.parametrize("obstacle", ["no database", "file in place of the folder"])
def test_without_a_store_there_are_fingerprints_and_a_warning(
    paths, tmp_path, caplog, obstacle
):
    folder = tmp_path / "store"
    if obstacle == "no database":
        folder.mkdir()
        (folder / FILE_NAME).write_bytes(b"no database" * 1000)
    else:
        folder.write_bytes(b"")
    assert take_all(paths, folder) == [fingerprints.take(path) for path in paths]
    assert "fingerprints are not kept" in caplog.text


def test_a_store_that_another_run_writes_to_is_waited_for(paths, tmp_path):
    take_all(paths[:1], tmp_path)
    other = sqlite3.connect(tmp_path / FILE_NAME)
    assert len(take_all(paths, tmp_path)) == 3
    assert other.execute("SELECT count(*) FROM fingerprints").fetchone() == (2,)
    other.close()


def test_many_files_are_taken_in_batches(paths, tmp_path, monkeypatch):
    expected = take_all(paths, tmp_path / "a")
    monkeypatch.setattr("jaxart.data.fingerprint_store._BATCH", 2)
    assert take_all(paths, tmp_path / "b") == expected
    assert take_all([], tmp_path / "b") == []


def test_objects_of_a_store_are_read_once(paths, tmp_path, bucket, monkeypatch):
    expected = [fingerprints.take(path) for path in paths]
    bucket.put_folder(tmp_path, "pictures")
    root = storage.path(f"{bucket.url}/pictures")
    objects = [root / path.name for path in paths] + [root / "none.png"]
    read, names = RemotePath.read_bytes, []

    def count(path):
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(RemotePath, "read_bytes", count)
    assert take_all(objects, tmp_path / "store") == [*expected, None]
    assert sorted(names) == ["0.png", "1.png", "2.png", "none.png"]


def test_a_store_that_fails_is_an_error(tmp_path, monkeypatch):
    def fail(path):
        raise StorageError("no answer")

    monkeypatch.setattr(RemotePath, "read_bytes", fail)
    with pytest.raises(StorageError, match="no answer"):
        take_all([storage.path("s3://b/x.png")], tmp_path / "store")
