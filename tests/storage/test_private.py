"""Caches belong to one user; files of ours are no links."""

import os
import stat

import pytest

from jaxart import storage
from jaxart.storage import StorageError


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_cache_and_what_is_made_above_it_are_the_users_alone(tmp_path):
    tmp_path.chmod(0o755)
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        assert storage.private_folder(folder) == folder
    assert mode(folder) == mode(folder.parent) == 0o700
    assert mode(tmp_path) == 0o755
    folder.chmod(0o750)  # the user's own choice
    storage.private_folder(folder)
    assert mode(folder) == 0o750


def test_a_cache_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    said = f"^{tmp_path}: belongs to the user .*--config.cache_dir"
    with pytest.raises(StorageError, match=said):
        storage.private_folder(tmp_path)


def test_a_cache_is_no_link(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(StorageError, match=f"link: is a link.* {tmp_path}/there "):
        storage.private_folder(tmp_path / "link")
    assert storage.private_folder(tmp_path / "link" / "inside").is_dir()


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="File exists"):
        storage.private_folder(tmp_path / "file" / "inside")


def test_a_link_is_not_read(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    with storage.open_file(tmp_path / "file") as file:
        assert file.read() == b"abc"
    with pytest.raises(OSError, match="symbolic links"):
        storage.open_file(tmp_path / "link")
