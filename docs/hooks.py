"""Adds to the site a page for each room: the docstrings of what its face names."""

import re
from pathlib import Path

import griffe
from mkdocs.structure.files import File

_NO_ROOMS = {"__main__", "cli", "main"}  # commands, which have --help


def on_config(config):
    """Puts the pages into the navigation, as its last entry."""
    jaxart = griffe.load("jaxart", search_paths=[Path(config.config_file_path).parent])
    rooms = [jaxart[name] for name in sorted(jaxart.modules) if name not in _NO_ROOMS]
    config.extra["reference"] = {
        f"reference/{room.name}.md": _page(room) for room in rooms
    }
    config.nav.append({"Reference": list(config.extra["reference"])})


def on_files(files, config):
    """Adds the pages."""
    for path, text in config.extra["reference"].items():
        files.append(File.generated(config, path, content=text))


class SettingsAsParameters(griffe.Extension):
    """Shows a docstring's `Settings:` as the list that they are."""

    def on_object(self, *, obj, **_):
        """Gives the section a name that griffe knows."""
        if obj.docstring:
            text = obj.docstring.value
            obj.docstring.value = re.sub(
                "(?m)^Settings:$", "Other Parameters: Settings", text
            )


def _page(room):
    """A room's docstring, then each of the names in its `__all__`."""
    if room.exports is None:
        return f"# {room.name}\n\n::: {room.path}\n"
    names = (f"::: {room.path}.{name}\n{_HEADED}" for name in room.exports)
    return "\n".join([f"# {room.name}\n\n::: {room.path}\n{_ALONE}", *names])


_ALONE = "    options: {members: false}\n"
_HEADED = "    options: {show_root_heading: true, show_root_toc_entry: true}\n"
