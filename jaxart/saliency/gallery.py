"""The gallery of a run: one static page that opens from the file system."""

import json
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any
from urllib.parse import quote

from jaxart.storage import AnyPath, results


def write(
    out: AnyPath,
    title: str,
    subtitle: str,
    entries: Iterable[Mapping[str, Any]],
) -> None:
    """Writes `out/index.html` and its data `out/gallery/entries.js`.

    The data is a script, since a page opened as a file may not fetch JSON.

    Of an entry of the manifest, the page needs path, size, the prediction, the target,
    the label if there is one, and the files of `pictures.PAGE_KINDS`: `picture` and
    `map` are of one size.
    """
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
    page = resources.files("jaxart.saliency").joinpath("gallery.html")
    results.write_text(out / "index.html", page.read_text(encoding="utf-8"))


def _needed(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What the page needs of an entry; classes are named once for all entries."""
    files = entry["files"]
    needed = {
        # Bytes that are no UTF-8 become U+FFFD.
        "path": entry["path"]
        .encode("utf-8", "surrogateescape")
        .decode(errors="replace"),
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


def _url(path: str) -> str:
    return quote(path, safe="/", errors="surrogateescape")


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
