"""The gallery of a pass: one static page that opens from the file system."""

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
    records: Iterable[Mapping[str, Any]],
) -> None:
    """Writes `out/index.html` and its data `out/gallery/entries.js`.

    The data is a script, since a page opened as a file may not fetch JSON.

    Of an image's record, the page needs path, size, the prediction, the target,
    the label if there is one, and the files of `pictures.PAGE_KINDS`: `picture` and
    `map` are of one size.
    """
    classes, lines = {}, []
    for record in records:
        lines.append(_dumps(_needed(record)))
        classes |= {top["index"]: top["name"] for top in record["top5"]}
        classes[record["predicted"]] = record["predicted_name"]
        for one in record["maps"]:
            classes[one["target"]] = one["target_name"]
    classes = dict(sorted(classes.items()))
    head = _dumps({"title": title, "subtitle": subtitle, "classes": classes})
    body = ",\n".join(lines)
    text = f'window.GALLERY = {head[:-1]},"entries":[\n{body}\n]}};\n'
    (out / "gallery").mkdir(parents=True, exist_ok=True)
    results.write_text(out / "gallery" / "entries.js", text)
    page = resources.files("jaxart.saliency").joinpath("gallery.html")
    results.write_text(out / "index.html", page.read_text(encoding="utf-8"))


def _needed(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the page needs of a record; classes are named once for all."""
    first = record["maps"][0]
    files = record["files"] | first["files"]
    needed = {
        # Bytes that are no UTF-8 become U+FFFD.
        "path": record["path"]
        .encode("utf-8", "surrogateescape")
        .decode(errors="replace"),
        "size": list(record["size"]),
        "predicted": record["predicted"],
        "logit": round(float(record["logit"]), 3),
        "probability": _probability(record),
        "top5": [[top["index"], _probability(top)] for top in record["top5"]],
        "target": first["target"],
        **{kind: _url(files[kind]) for kind in ("thumbnail", "picture", "map")},
        "links": {
            kind: _url(files[kind])
            for kind in ("overlay", "heatmap", "npy")
            if kind in files
        },
    }
    if record.get("label_name") is not None:
        needed["label"] = record["label_name"]
    return needed


def _probability(record: Mapping[str, Any]) -> float:
    return round(float(record["probability"]), 5)


def _url(path: str) -> str:
    return quote(path, safe="/", errors="surrogateescape")


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
