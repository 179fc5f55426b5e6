"""The experiments of configs/, found by name."""

import ast
import runpy
from pathlib import Path

from ml_collections import ConfigDict

import jaxart

_PACKAGE = Path(jaxart.__file__).parent
# In an installed package, and beside it where this is a checkout.
_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")


def find(name: str | None) -> Path:
    """The file of an experiment: by its own path, or by its name.

    Raises:
      ValueError: there is none; lists those that there are.
    """
    if not name:
        raise ValueError(f"config is missing: one of\n{describe()}\nor your own file")
    file = Path(name)
    if file.suffix == ".py" and file.is_file():
        return file
    if name in (known := _files()):
        return known[name]
    raise ValueError(f"config={name}: no such file, and none of\n{describe()}")


def read(name: str) -> ConfigDict:
    """What an experiment's get_config() gives.

    Raises:
      ValueError: there is no such experiment, or its file has no get_config().
    """
    file = find(name)
    names = runpy.run_path(str(file))
    if "get_config" not in names:
        raise ValueError(f"config={name}: {file} has no get_config()")
    return names["get_config"]()


def describe() -> str:
    """The experiments, each with its docstring's first line; none is imported."""
    lines = []
    for name, file in _files().items():
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        lines.append(f"  {name:<12}{text.partition(chr(10))[0]}")
    return "\n".join(lines)


def _files() -> dict[str, Path]:
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    return {file.stem: file for file in sorted(folder.glob("[a-z]*.py"))}
