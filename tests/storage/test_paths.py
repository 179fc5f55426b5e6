import os
from pathlib import Path

import pytest

from jaxart import storage
from jaxart.storage import StorageError


def test_text_is_a_local_path_unless_it_is_a_url():
    assert storage.path("a//b/../c") == Path("a//b/../c")
    assert storage.path(Path("a")) == Path("a")
    assert not storage.is_remote(storage.path("s3:/b"))
    assert storage.is_remote(storage.path("gs://b/k"))
    with pytest.raises(StorageError, match="http://x/y: of URLs, s3:// and gs:// can"):
        storage.path("http://x/y")
    with pytest.raises(StorageError, match="s3:///: names no bucket"):
        storage.path("s3:///")


@pytest.mark.parametrize(
    "root, name, joined",
    [
        ("a", "b/c", "a/b/c"),
        ("a", "/b", "/b"),
        ("a", "s3://b/k", "s3://b/k"),
        ("a", "b c://d", "a/b c:/d"),
        ("s3://b/a", "c/../d", "s3://b/a/d"),
        ("s3://b/a", "../d", "s3://b/d"),
        ("s3://b/a", "/d", "/d"),
        ("s3://b/a", "gs://c/d", "gs://c/d"),
    ],
)
def test_names_join_their_root(root, name, joined):
    assert str(storage.join(storage.path(root), name)) == joined


def test_a_folder_must_be_local():
    assert storage.require_local(Path("a"), "cache_dir") == Path("a")
    with pytest.raises(
        StorageError, match="cache_dir=s3://b/c: must be a local folder"
    ):
        storage.require_local(storage.path("s3://b/c"), "cache_dir")


@pytest.fixture(params=["here", "there"])
def folder(request, tmp_path):
    if request.param == "here":
        return tmp_path / "out"
    return storage.path(request.getfixturevalue("bucket").url) / "out"


def names_in(folder):
    if storage.is_remote(folder):
        return sorted(folder.keys_below())
    return sorted(path.name for path in folder.iterdir())


def test_bytes_are_written(folder):
    folder.mkdir(parents=True, exist_ok=True)
    storage.write_bytes(folder / "x", b"1")
    storage.write_bytes(folder / "x", b"2")
    assert names_in(folder) == ["x"] and (folder / "x").read_bytes() == b"2"


def test_a_file_is_there_when_it_is_written(folder):
    folder.mkdir(parents=True, exist_ok=True)
    with storage.written(folder / "x.txt") as file:
        file.write_text("1")
        assert not (folder / "x.txt").exists()
    assert names_in(folder) == ["x.txt"] and (folder / "x.txt").read_bytes() == b"1"
    with pytest.raises(ZeroDivisionError), storage.written(folder / "x.txt") as file:
        file.write_text("2")
        1 / 0  # noqa: B018
    assert names_in(folder) == ["x.txt"] and (folder / "x.txt").read_bytes() == b"1"


def test_a_folder_is_there_when_it_is_filled(tmp_path):
    with storage.written_folder(tmp_path / "x") as folder:
        (folder / "1").touch()
        assert not (tmp_path / "x").exists()
    with pytest.raises(ZeroDivisionError), storage.written_folder(tmp_path / "y"):
        1 / 0  # noqa: B018
    assert names_in(tmp_path) == ["x"] and names_in(tmp_path / "x") == ["1"]


def test_what_is_written_together_appears_together(folder):
    with storage.written_together(folder / "x") as part:
        part.write_text("1")
        part.with_name("y").write_text("2")
        assert not (folder / "x").exists()
    assert names_in(folder) == ["x", "y"]
    with (
        pytest.raises(ZeroDivisionError),
        storage.written_together(folder / "x") as part,
    ):
        part.write_text("3")
        1 / 0  # noqa: B018
    assert names_in(folder) == ["x", "y"] and (folder / "x").read_bytes() == b"1"


def test_an_object_is_copied_once_and_anew_when_it_changes(
    bucket, tmp_path, monkeypatch
):
    (tmp_path / "x").write_text("1")
    assert storage.local_copy(tmp_path / "x") == tmp_path / "x"

    path = storage.path(f"{bucket.url}/weights.bin")
    with pytest.raises(FileNotFoundError):
        storage.local_copy(path)
    path.write_bytes(b"one")
    copy = storage.local_copy(path)
    assert copy.name == "weights.bin" and copy.read_bytes() == b"one"
    assert [file.name for file in copy.parent.iterdir()] == ["weights.bin"]
    assert copy.parent.stat().st_mode & 0o777 == 0o700
    with monkeypatch.context() as patch:
        patch.setattr(type(path), "download", None)
        assert storage.local_copy(path) == copy
    path.write_bytes(b"two")
    assert storage.local_copy(path).read_bytes() == b"two"
    assert copy.read_bytes() == b"one"  # who has it mapped keeps it
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(storage.StorageError, match="belongs to the user"):
        storage.local_copy(path)
