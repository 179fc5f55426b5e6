"""The gallery of a pass: one static page that opens from the file system."""

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any
from urllib.parse import quote

from jaxart.storage import AnyPath, results

FILES = ("thumbnail", "picture")  # of an image, and those of each map that there are:
FILES_OF_MAPS = ("map", "overlay", "heatmap", "npy")
STYLES = ("style.css",)
SCRIPTS = ("data.js", "grid.js", "viewer.js", "main.js")  # joined, in one scope

Record = Mapping[str, Any]  # of an image, as `manifest` describes it


def write(
    out: AnyPath,
    title: str,
    subtitle: str,
    records: Iterable[Record],
) -> None:
    """Writes `out/index.html` and its data `out/gallery/entries.js`.

    The data is a script, since a page opened as a file may not fetch JSON; and in it a
    text, which a browser reads faster than a script. `page/data.js` reads it.

    Of an image's record, the page needs path, size, the prediction, the label if there
    is one, its maps, and the files of `FILES`: `picture` and `map` are of one size.
    """
    classes: dict[int, str] = {}
    rows: list[str] = []
    maps: list[dict[str, Any]] = []
    against: list[set[str | None]] = []
    patterns: list[tuple[str, int, str]] = []
    for record in records:
        if not rows:
            maps = [_describe(one) for one in record["maps"]]
            against = [set() for _ in maps]
            patterns = _patterns(record)
        for names, one in zip(against, record["maps"], strict=True):
            names.add(one.get("against_name"))
        classes |= _classes(record)
        rows.append(_dumps(_row(record, patterns)))
    for one, names in zip(maps, against, strict=True):
        one["against"] = names.pop() if len(names) == 1 else "the best other"
    head = {"title": title, "subtitle": subtitle, "classes": classes}
    head |= {"maps": maps, "files": patterns}
    text = f'{_dumps(head)[:-1]},"rows":[{",".join(rows)}]}}'
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    (out / "gallery").mkdir(parents=True, exist_ok=True)
    script = f"window.GALLERY = JSON.parse('{quoted}');\n"
    results.write_text(out / "gallery" / "entries.js", script)
    results.write_text(out / "index.html", _page())


def _page() -> str:
    """The page, with its styles and scripts inside."""

    def join(names: Sequence[str]) -> str:
        return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)

    folder = resources.files("jaxart.saliency") / "page"
    page = join(["index.html"])
    page = page.replace("/* STYLES */", join(STYLES))
    return page.replace("/* SCRIPTS */", join(SCRIPTS))


def _describe(one: Record) -> dict[str, Any]:
    """What a map of every image has in common."""
    return {key: one[key] for key in ("method", "settings", "score", "asked")}


def _classes(record: Record) -> dict[int, str]:
    """The classes that a record names."""
    classes = {top["index"]: top["name"] for top in record["top5"]}
    for named in (record, *record["maps"]):
        for role in ("predicted", "label", "target", "against"):
            if named.get(role) is not None:
                classes[named[role]] = named[f"{role}_name"]
    return classes


def _row(record: Record, patterns: Sequence[tuple[str, int, str]]) -> list[Any]:
    """What the page needs of a record, without names: `page/data.js` has them."""
    top = [[top["index"], round(top["probability"], 5)] for top in record["top5"]]
    row = [
        _readable(record["path"]),
        *record["size"],
        record["predicted"],
        round(record["logit"], 3),
        round(record["probability"], 5),
        sum(top, []),
        record.get("label", -1),
        [_row_of_map(one) for one in record["maps"]],
    ]
    stem = _url(row[0])
    expected = [pattern.replace("*", stem) for _, _, pattern in patterns]
    urls = [url for _, _, url in _files(record)]
    return row if urls == expected else [*row, urls]


def _row_of_map(one: Record) -> list[Any]:
    values = [float(f"{one['map'][key]:.4g}") for key in ("min", "max", "sum", "limit")]
    row = [one["target"], round(one["target_logit"], 3), *values]
    if one.get("against") is not None:
        row += [one["against"], round(one["against_logit"], 3)]
    return row


def _patterns(record: Record) -> list[tuple[str, int, str]]:
    """A record's files, `*` for the image's path: most of them are named after it."""
    stem = _url(_readable(record["path"]))
    return [
        (kind, number, url.replace(stem, "*", 1))
        for kind, number, url in _files(record)
    ]


def _files(record: Record) -> list[tuple[str, int, str]]:
    """The kind, the number of the map or -1, and the address of a record's files."""
    files = [(kind, -1, _url(record["files"][kind])) for kind in FILES]
    for number, one in enumerate(record["maps"]):
        files += [
            (kind, number, _url(one["files"][kind]))
            for kind in FILES_OF_MAPS
            if kind in one["files"]
        ]
    return files


def _readable(path: str) -> str:
    """A path to show: bytes that are no UTF-8 become U+FFFD."""
    return path.encode("utf-8", "surrogateescape").decode(errors="replace")


def _url(path: str) -> str:
    return quote(path, safe="/", errors="surrogateescape")


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
