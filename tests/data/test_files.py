"""Each file is read once, and each content decoded once for all."""

import contextlib
import hashlib
import io
import os
import sqlite3
import subprocess
import sys

import pytest
from PIL import Image

from jaxart import storage
from jaxart.data import files, fingerprints, images, procedural
from jaxart.data.files import File, look
from jaxart.storage import RemotePath, StorageError
from tests import ROOT, opening


@pytest.fixture
def paths(tmp_path):
    """Three pictures, the third a copy of the first."""
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for seed, path in zip((0, 1, 0), paths, strict=True):
        Image.fromarray(procedural.paint("ink_mist", seed, 64)).save(path)
    return paths


@pytest.fixture
def decoded(monkeypatch):
    """Digests of the contents that are decoded."""
    decoded, real = [], images.read

    def read(content, *args):
        decoded.append(hashlib.sha256(content).hexdigest())
        return real(content, *args)

    monkeypatch.setattr(images, "read", read)
    return decoded


@pytest.fixture
def opened(monkeypatch):
    return opening.watch(monkeypatch)


def test_a_look_says_what_a_file_is(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    picture = Image.fromarray(procedural.paint("ink_mist", 0, 1200))
    picture.crop((0, 0, 1200, 800)).save(tmp_path / "a.jpg", exif=exif)
    content = (tmp_path / "a.jpg").read_bytes()
    upright = images.decode(content, fingerprints.SIDE_ENOUGH)
    expected = File(
        hashlib.sha256(content).hexdigest(),
        len(content),
        *fingerprints.take(upright),
        *(800, 1200),
    )
    for _ in range(2):  # found, and remembered
        assert look([tmp_path / "a.jpg"], tmp_path) == [expected]


def test_what_gives_no_picture_has_a_reason_and_is_asked_again(
    paths, tmp_path, decoded
):
    whole = io.BytesIO()
    Image.fromarray(procedural.paint("ink_mist", 0, 64)).save(whole, "jpeg")
    table = {
        "text.png": (b"no image", "not an image that Pillow reads"),
        "empty.png": (b"", "the file is empty"),
        "cut.jpg": (whole.getvalue()[:-200], "damaged: image file is truncated"),
    }
    for name, (content, _) in table.items():
        (tmp_path / name).write_bytes(content)
    some = [paths[0], *(tmp_path / name for name in table)]
    for number in (1, 2):
        sound, *others = look(some, tmp_path / "cache")
        assert sound.reason == "" and sound.width == 64
        for file, (content, reason) in zip(others, table.values(), strict=True):
            assert file.reason.startswith(reason)
            assert file[:2] == (hashlib.sha256(content).hexdigest(), len(content))
            assert file[2:7] == ("", "", "", 0, 0)
        assert len(decoded) == 1 + 3 * number
    (tmp_path / "folder.png").mkdir()
    assert look([tmp_path / "none.png", tmp_path / "folder.png"], tmp_path) == [
        File(reason="No such file or directory"),
        File(reason="Is a directory"),
    ]


def test_each_file_is_read_once_and_each_content_decoded_once(
    paths, tmp_path, opened, decoded
):
    first = look([*paths, paths[1]], tmp_path / "new/cache")
    assert sorted(opened) == ["0.png", "1.png", "2.png"]
    assert len(decoded) == len(set(decoded)) == 2
    assert first[0] == first[2] != first[1] == first[3]
    opened.clear()
    assert look(paths[::-1], tmp_path / "new/cache") == first[2::-1]
    assert sorted(opened) == ["0.png", "1.png", "2.png"] and len(decoded) == 2
    paths[0].write_bytes(paths[1].read_bytes())
    assert look(paths, tmp_path / "new/cache")[0] == first[1]


@pytest.mark.parametrize(
    "version", ["images.READER_VERSION", "fingerprints.VERSION", "files.FORMAT"]
)
def test_another_version_meets_no_old_entries(
    paths, tmp_path, decoded, monkeypatch, version
):
    look(paths, tmp_path)
    monkeypatch.setattr(f"jaxart.data.{version}", 99)
    look(paths, tmp_path)
    assert len(decoded) == 4
    look(paths, tmp_path)
    assert len(decoded) == 4


@pytest.mark.parametrize("obstacle", ["a file for a folder", "dies"])
def test_without_a_data_base_it_goes_on_with_one_warning(
    paths, tmp_path, caplog, monkeypatch, obstacle
):
    expected = look(paths, tmp_path / "good")
    cache = tmp_path / "cache"
    if obstacle == "a file for a folder":
        cache.write_bytes(b"")
    else:
        look([], cache)

        def fail(path, timeout):
            connection = connect(path, timeout)
            connection.execute("PRAGMA query_only = on")
            return connection

        connect = sqlite3.connect
        look(paths[:1], cache)
        monkeypatch.setattr(files.sqlite3, "connect", fail)
    monkeypatch.setattr(files, "_NUM_THREADS", 1)
    monkeypatch.setattr(files, "_BLOCK", 1)
    assert look(paths, cache) == expected
    assert caplog.text.count("so what files are is not kept") == 1


PAGE = 4096
DAMAGES = {
    "no database": lambda file: b"no database" * 1000,
    "zeroed": lambda file: bytes(len(file)),
    "its first page zeroed": lambda file: bytes(PAGE) + file[PAGE:],
    "its table zeroed": lambda file: file[:PAGE] + bytes(PAGE) + file[2 * PAGE :],
    "its index zeroed": lambda file: file[: 2 * PAGE] + bytes(PAGE) + file[3 * PAGE :],
    "cut": lambda file: file[: len(file) // 2],
    "another table": lambda file: file.replace(b"mirrored TEXT", b"moonored TEXT"),
    "a flipped bit": lambda file: file.replace(b"a note", b"a nose"),
    "bytes that are no text": lambda file: file.replace(b"a note", b"a \xff\xffte"),
    "empty": lambda file: b"",
}
OF_ENTRIES = {"a flipped bit", "bytes that are no text", "empty"}  # new without a word


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_data_base_is_made_anew(
    paths, tmp_path, caplog, decoded, monkeypatch, damage
):
    real = files.decode
    monkeypatch.setattr(
        files, "decode", lambda *args: (real(*args)[0]._replace(note="a note"), None)
    )
    expected = look(paths, tmp_path / "cache")
    (database,) = (tmp_path / "cache").iterdir()
    content = database.read_bytes()
    assert len(content) == 3 * PAGE
    damaged = DAMAGES[damage](content)
    assert damaged != content
    database.write_bytes(damaged)
    assert look(paths, tmp_path / "cache") == expected
    assert caplog.text.count(f"{database}: damaged; ") == (damage not in OF_ENTRIES)
    look(paths, tmp_path / "cache")  # may keep what the one before did not
    num_decoded = len(decoded)
    assert look(paths, tmp_path / "cache") == expected
    assert len(decoded) == num_decoded
    assert "cannot be used" not in caplog.text


def test_processes_that_meet_damage_at_once_make_one_data_base(paths, tmp_path):
    (expected,) = look(paths[:1], tmp_path)
    (database,) = tmp_path.glob("*.sqlite")
    program = (
        "import pathlib, sys; from jaxart.data import files\n"
        "path, cache = map(pathlib.Path, sys.argv[1:])\n"
        "print(files.look([path], cache, quiet=True)[0].phash)"
    )
    database.write_bytes(b"no database" * 1000)
    command = [sys.executable, "-c", program, os.fspath(paths[0]), os.fspath(tmp_path)]
    children = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for child in children:
        assert child.communicate()[0] == f"{expected.phash}\n"
    with contextlib.closing(sqlite3.connect(database)) as there:
        assert there.execute("SELECT count(*) FROM files").fetchone() == (1,)


def test_what_is_known_is_the_users_alone(paths, tmp_path, monkeypatch):
    look(paths, tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(StorageError, match="belongs to the user"):
        look(paths, tmp_path / "a" / "b")


def test_others_may_have_the_data_base_open(paths, tmp_path):
    look(paths[:1], tmp_path)
    other = sqlite3.connect(next(tmp_path.glob("*.sqlite")))
    assert len(look(paths, tmp_path)) == 3
    assert other.execute("SELECT count(*) FROM files").fetchone() == (2,)
    other.close()


def test_objects_of_a_store_are_read_once(paths, tmp_path, bucket, monkeypatch):
    expected = look(paths, tmp_path / "a")
    bucket.put_folder(tmp_path, "pictures")
    root = storage.path(f"{bucket.url}/pictures")
    objects = [root / path.name for path in paths] + [root / "none.png"]
    read, names = RemotePath.read_bytes, []

    def count(path):
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(RemotePath, "read_bytes", count)
    missing = File(reason="No such file or directory")
    assert look(objects, tmp_path / "b") == [*expected, missing]
    assert sorted(names) == ["0.png", "1.png", "2.png", "none.png"]


def test_a_store_that_fails_is_an_error(tmp_path, monkeypatch):
    def fail(path):
        raise StorageError("no answer")

    monkeypatch.setattr(RemotePath, "read_bytes", fail)
    with pytest.raises(StorageError, match="no answer"):
        look([storage.path("s3://b/x.png")], tmp_path)
