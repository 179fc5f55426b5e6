"""The experiments of configs/, found by name."""

import ast
from pathlib import Path

import jaxart
from jaxart.cli.flags import FlagError

_PACKAGE = Path(jaxart.__file__).parent
# In an installed package, and beside it where this is a checkout.
_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")


def find(name: str | None) -> Path:
    """The file of an experiment: by its own path, or by its name.

    Raises:
      FlagError: there is none; lists those that there are.
    """
    if not name:
        raise FlagError(f"--config is missing: one of\n{describe()}\nor your own file")
    file = Path(name)
    if file.suffix == ".py" and file.is_file():
        return file
    if name in (known := _files()):
        return known[name]
    raise FlagError(f"--config={name}: no such file, and none of\n{describe()}")


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
