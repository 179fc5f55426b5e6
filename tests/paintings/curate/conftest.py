"""Small paintings by several artists, as files."""

import shutil

import pytest
from PIL import Image

from jaxart.data import files, procedural

STYLES = ("brush_strokes", "ink_mist", "ruled_grid")


def save(path, style, seed, size=96, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(procedural.paint(style, seed, size)).save(path, **options)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Where what is known of files is kept: nothing, at first."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(files, "default_cache_dir", lambda: folder)
    return folder


@pytest.fixture
def paint(tmp_path):
    """Paints `name`, a path below tmp_path/src; equal seeds give equal pictures."""

    def paint(name, seed, style="ink_mist", size=96, **options):
        return save(tmp_path / "src" / name, style, seed, size, **options)

    return paint


@pytest.fixture(scope="session")
def painted(tmp_path_factory):
    """Class folders: 3 styles of 12 pictures by 6 artists, of whom 2 paint in all."""
    folder = tmp_path_factory.mktemp("painted")
    for number, style in enumerate(STYLES):
        for artist in range(6):
            who = f"{style}-painter" if artist > 1 else "painter-of-all"
            for title in ("one", "two"):
                name = f"{who.replace('_', '-')}-{'abcdef'[artist]}_{title}.png"
                save(folder / style / name, style, (number, artist, ord(title[0])))
    return folder


@pytest.fixture
def folder(painted, tmp_path):
    """A copy of `painted` that a test may change."""
    return shutil.copytree(painted, tmp_path / "src")
