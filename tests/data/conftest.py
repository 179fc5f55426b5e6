"""Images as on machines that have other packages."""

import sys

import pytest
from PIL import Image

from jaxart.data import formats


@pytest.fixture
def without_heif(monkeypatch):
    """As where pillow-heif is not installed: None in `sys.modules` stands for that."""
    _forget()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    for suffix in (".heic", ".heif", ".hif"):
        monkeypatch.delitem(Image.EXTENSION, suffix, raising=False)
    yield
    _forget()


def _forget():
    formats.readable.cache_clear()
    formats.suffixes.cache_clear()
