"""A data set of pictures that lie in an object store is the one of those here."""

import pytest

from jaxart import storage
from jaxart.paintings.curate import inspection
from jaxart.paintings.curate.curation import Options, curate
from jaxart.storage import StorageError, remote


def contents(folder):
    """All files by name but the report, which says where the pictures came from."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "report.json"
    }


@pytest.fixture
def listed(folder, tmp_path, bucket):
    """A list of pictures here; they are in the bucket, too."""
    (folder / "ink_mist/broken.png").write_text("text")
    bucket.put_folder(folder, "pictures")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    lines = [f"{name} {name.partition('/')[0]}\n" for name in names]
    (tmp_path / "list.txt").write_text(
        "".join([*lines, "ink_mist/gone.png ink_mist\n"])
    )
    return tmp_path / "list.txt"


@pytest.mark.parametrize("resize", [None, 48])
def test_a_list_here_of_pictures_there(listed, folder, tmp_path, bucket, resize):
    options, there = Options(resize=resize), storage.path(f"{bucket.url}/pictures")
    wanted = curate(listed, tmp_path / "wanted", options, image_root=folder)
    report = curate(listed, tmp_path / "out", options, image_root=there)
    assert report == wanted and report["unreadable"] == 2 and report["kept"] == 36
    assert contents(tmp_path / "out") == contents(tmp_path / "wanted")
    skipped = (tmp_path / "out/skipped.csv").read_text()
    assert "ink_mist/gone.png,ink_mist,No such file or directory" in skipped
    assert not (tmp_path / "out.parts").exists()


def test_class_folders_and_their_metadata_there(folder, tmp_path, bucket):
    name = next(folder.glob("ink_mist/*")).relative_to(folder).as_posix()
    (folder / "metadata.csv").write_text(f"path,artist\n{name},Ann\n")
    bucket.put_folder(folder, "p")
    there = storage.path(f"{bucket.url}/p")
    assert curate(there, tmp_path / "out", Options()) == curate(
        folder, tmp_path / "wanted", Options()
    )
    assert contents(tmp_path / "out") == contents(tmp_path / "wanted")
    report = inspection.inspect([there], tmp_path / "seen")
    assert report["lists"]["p"]["images"] == 36
    assert (tmp_path / "seen/ink_mist.png").is_file()


def test_a_store_that_fails_is_no_reason_to_skip(listed, tmp_path, bucket, monkeypatch):
    def fail(*arguments):
        raise ConnectionResetError("by peer")

    there = storage.path(f"{bucket.url}/pictures")
    monkeypatch.setattr(type(remote._open_store("s3", 0)), "ukey", fail, raising=True)
    with pytest.raises(StorageError, match="ConnectionResetError: by peer"):
        curate(listed, tmp_path / "out", Options(), image_root=there)
    assert not (tmp_path / "out").exists()
