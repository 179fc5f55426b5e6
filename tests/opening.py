"""Which images are opened, in whatever way."""

import io
import os
from pathlib import Path


def watch(monkeypatch):
    """A list that fills with the names of .png and .jpg files that are opened."""
    opened, real = [], io.open

    def open_file(file, *args, **settings):
        if isinstance(file, str | os.PathLike) and str(file).endswith((".png", ".jpg")):
            opened.append(Path(file).name)
        return real(file, *args, **settings)

    monkeypatch.setattr("io.open", open_file)
    monkeypatch.setattr("builtins.open", open_file)
    return opened
