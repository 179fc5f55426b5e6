"""Counts what lists hold, and looks for what they share: copies and artists.

  jaxart wikiart inspect --data=wikiart10
  jaxart wikiart inspect --data=train.txt --against=test.txt

Writes inspection.json, copies.csv, unreadable.csv and a contact sheet of each class.
"""

import argparse
from collections.abc import Sequence

from jaxart import storage
from jaxart.cli import shared
from jaxart.cli.flags import Parser

STOPPED = "the same command begins anew"

_LISTS = ("train.txt", "val.txt", "test.txt")


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("wikiart inspect", __doc__)
    add = parser.add_argument_group("the lists").add_argument
    add(
        "--data",
        type=storage.path,
        required=True,
        help=f"a folder with {' or '.join(_LISTS)}, or what `curate --src` takes",
    )
    add("--against", type=storage.path, help="another list, to compare with")
    shared.add_artists(add)
    add = parser.add_argument_group("the result").add_argument
    shared.add_max_distance(add)
    add(
        "--out",
        type=storage.path_or_none,
        help="where to write (default: `NAME-inspection` beside --data)",
    )
    add(
        "--strict",
        action="store_true",
        help="exit with 1 where lists share pictures or artists",
    )
    return parser.parse(words)


def run(flags: argparse.Namespace) -> int:
    from jaxart.paintings.curate import inspection  # noqa: PLC0415  (JAX, late)

    data = flags.data
    sources = [data / name for name in _LISTS if (data / name).is_file()] or [data]
    if flags.against is not None:
        sources.append(flags.against)
    out = flags.out or data.with_name(f"{data.stem}-inspection")
    report = inspection.inspect(
        sources,
        storage.require_local(out, "out"),
        image_root=flags.image_root,
        metadata=flags.metadata,
        any_suffix=flags.any_suffix,
        max_distance=flags.max_distance,
    )
    print(inspection.summarize(report))
    print(f"written: {out}")
    return int(flags.strict and inspection.shares_anything(report))
