"""Images as on machines that have other packages."""

import sys

import pytest
from PIL import Image

from jaxart.data import formats


@pytest.fixture
def without_heif(monkeypatch):
    """As where pillow-heif is not installed: None in `sys.modules` stands for that."""
    formats.readable.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for suffix in (".heic", ".heif", ".hif"):
        monkeypatch.delitem(Image.EXTENSION, suffix, raising=False)
    yield
    formats.readable.cache_clear()
