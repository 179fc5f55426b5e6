"""Pipes, devices and sockets are refused at once; files and links to them are read."""

import os
import socket

import pytest

from jaxart import storage
from jaxart.data import files, images
from jaxart.data.images import ImageError


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path may be of 100 bytes only
    os.mkfifo("pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    (tmp_path / "link.jpg").symlink_to("file.jpg")
    (tmp_path / "file.jpg").write_bytes(b"content")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        yield tmp_path


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pipe.jpg", "it is a pipe, not a file"),
        ("device.jpg", "it is a device, not a file"),
        ("socket.jpg", "it is a socket, not a file"),
        ("folder.jpg", "Is a directory"),
        ("none.jpg", "No such file or directory"),
        ("nul\0.jpg", "embedded null byte"),
    ],
)
def test_what_is_no_file_is_not_waited_for(places, name, reason):
    with pytest.raises(OSError, match=reason):
        storage.open_regular(places / name)
    with pytest.raises(ImageError, match=reason):
        images.decode(places / name)
    assert files.read(places / name)[1].reason == reason
    assert files.versions([places / name]) == ["unreadable"]


def test_files_and_links_to_them_are_read(places):
    for name in ("file.jpg", "link.jpg"):
        with storage.open_regular(places / name) as file:
            assert file.read() == b"content"
