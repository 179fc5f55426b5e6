import pickle

import pytest

from jaxart import storage
from jaxart.storage import StorageError, remote


def test_a_path_is_taken_apart_and_put_together():
    path = storage.path("s3://bucket/a/../b c/d.tar.gz")
    assert str(path) == "s3://bucket/b c/d.tar.gz"
    assert path.name == "d.tar.gz" and path.suffix == ".gz"
    assert str(path.parent / "e") == "s3://bucket/b c/e"
    assert str(path.with_name("f")) == "s3://bucket/b c/f"
    assert path == storage.path("s3://bucket/b c/d.tar.gz")
    assert path != storage.path("gs://bucket/b c/d.tar.gz")
    assert pickle.loads(pickle.dumps(path)) == path
    assert f"{pickle.loads(pickle.dumps(path))}" == "s3://bucket/b c/d.tar.gz"


def test_objects_come_and_go(bucket, tmp_path):
    path = storage.path(f"{bucket.url}/folder/#1 [ü] *.txt")
    assert not path.exists() and not path.is_file() and not path.parent.is_dir()
    path.write_bytes(b"one")
    assert bucket.get("folder/#1 [ü] *.txt") == b"one"
    assert path.exists() and path.is_file() and not path.is_dir()
    assert path.parent.exists() and path.parent.is_dir() and not path.parent.is_file()
    first = path.version()
    assert path.version() == first
    path.write_bytes(b"two")  # as long: told by its content
    assert path.version() != first
    assert path.read_bytes() == b"two" and path.read_text("ascii") == "two"
    with path.open("rb") as stream:
        assert list(stream) == [b"two"]

    (tmp_path / "file").write_bytes(b"three")
    path.upload(tmp_path / "file")
    path.download(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == b"three"

    path.unlink()
    assert bucket.keys() == []
    path.unlink(missing_ok=True)


def test_keys_below_are_those_of_the_folder(bucket):
    for key in ("a/1", "a/b/2", "ab/3", "4"):
        bucket.put(key, b"")
    assert sorted(storage.path(f"{bucket.url}/a").keys_below()) == ["1", "b/2"]
    assert sorted(storage.path(bucket.url).keys_below()) == [
        "4",
        "a/1",
        "a/b/2",
        "ab/3",
    ]
    assert storage.path(f"{bucket.url}/none").keys_below() == []


def test_what_another_process_has_put_there_is_seen(bucket):
    path = storage.path(f"{bucket.url}/a/1")
    assert not path.exists() and path.parent.keys_below() == []
    bucket.put("a/1", b"x")
    assert path.exists() and path.parent.keys_below() == ["1"]


def test_a_missing_object_is_a_missing_file(bucket):
    path = storage.path(f"{bucket.url}/none")
    for read in (path.read_bytes, path.version):
        with pytest.raises(FileNotFoundError) as raised:
            read()
        assert raised.value.strerror == "No such file or directory"
        assert raised.value.filename == f"{bucket.url}/none"


def test_a_store_that_fails_is_one_error(bucket, monkeypatch):
    class Broken:
        def cat_file(self, path):
            raise ConnectionResetError("by\npeer")

    monkeypatch.setattr(remote, "_open_store", lambda *_: Broken())
    path = storage.path(f"{bucket.url}/x")
    with pytest.raises(
        StorageError, match="bucket-.*/x: ConnectionResetError: by peer$"
    ):
        path.read_bytes()


@pytest.mark.parametrize(
    "url, package, extra", [("s3://b/k", "s3fs", "s3"), ("gs://b/k", "gcsfs", "gcs")]
)
def test_a_missing_package_is_one_error(monkeypatch, url, package, extra):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    remote._open_store.cache_clear()
    with pytest.raises(StorageError) as raised:
        storage.path(url).exists()
    assert str(raised.value) == (
        f"{url[:5]} paths need the package {package}: pip install 'jaxart[{extra}]'"
    )
    remote._open_store.cache_clear()
