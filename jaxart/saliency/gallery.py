"""The gallery of a run: one static page that opens from the file system."""

import json
import os
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any
from urllib.parse import quote

from jaxart import results, storage


def write(
    out: str | os.PathLike,
    title: str,
    subtitle: str,
    entries: Iterable[Mapping[str, Any]],
) -> None:
    """Writes `out/index.html` and its data `out/gallery/entries.js`.

    The data is a script, since a page opened as a file may not fetch JSON.

    Args:
      out: the folder that the entries' files are relative to.
      title: the page's heading.
      subtitle: a line below it.
      entries: one mapping a picture, of which the page needs
        `path`: what the user called it;
        `size`: width and height;
        `predicted`, `predicted_name`, `logit`, `probability`: the prediction;
        `top5`: mappings of `index`, `name` and `probability`, the likeliest first;
        `target`, `target_name`: the class that the map explains;
        `label_name`: the true class, if there is one;
        `files`: paths of a `thumbnail` (240 pixels on its long side is enough), of
        `picture` and `map` (both of one size, 1024 pixels on the long side), and of
        an `overlay`, a `heatmap` and an `npy` if there are any.
    """
    out = storage.path(out)
    classes, lines = {}, []
    for entry in entries:
        lines.append(_dumps(_needed(entry)))
        classes |= {top["index"]: top["name"] for top in entry["top5"]}
        classes[entry["predicted"]] = entry["predicted_name"]
        classes[entry["target"]] = entry["target_name"]
    classes = dict(sorted(classes.items()))
    head = _dumps({"title": title, "subtitle": subtitle, "classes": classes})
    body = ",\n".join(lines)
    text = f'window.GALLERY = {head[:-1]},"entries":[\n{body}\n]}};\n'
    (out / "gallery").mkdir(parents=True, exist_ok=True)
    results.write_text(out / "gallery" / "entries.js", text)
    page = resources.files(__package__).joinpath("gallery.html")
    results.write_text(out / "index.html", page.read_text(encoding="utf-8"))


def _needed(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What the page needs of an entry; classes are named once for all entries."""
    files = entry["files"]
    needed = {
        "path": _text(entry["path"]),
        "size": list(entry["size"]),
        "predicted": entry["predicted"],
        "logit": round(float(entry["logit"]), 3),
        "probability": _share(entry),
        "top5": [[top["index"], _share(top)] for top in entry["top5"]],
        "target": entry["target"],
        **{kind: _url(files[kind]) for kind in ("thumbnail", "picture", "map")},
        "links": {
            kind: _url(files[kind])
            for kind in ("overlay", "heatmap", "npy")
            if kind in files
        },
    }
    if entry.get("label_name") is not None:
        needed["label"] = entry["label_name"]
    return needed


def _share(entry: Mapping[str, Any]) -> float:
    return round(float(entry["probability"]), 5)


def _text(path: str) -> str:
    """A path for people: bytes that are no UTF-8 become U+FFFD."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _url(path: str) -> str:
    return quote(path, safe="/", errors="surrogateescape")


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
