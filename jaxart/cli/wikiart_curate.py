"""Makes a data set of pictures with labels."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence

from jaxart import storage
from jaxart.cli import shared
from jaxart.cli.flags import Parser, count, fill, names, number, seed
from jaxart.devices import stopping
from jaxart.paintings.curate.options import GREY_COPIES, METADATA, SPLITS, Options

STOPPED = "the same command goes on"

_TEXT = rf"""Makes a data set of pictures with labels: images/, train.txt, val.txt,
classes.txt and metadata.csv, and a word on everything that was left out.

  jaxart wikiart curate --src=wikiart --out=wikiart10
  jaxart train --config=fc7_fc8 --workdir=runs/fc7_fc8 \
      --config.train_data=wikiart10/train.txt --config.val_data=wikiart10/val.txt

Every file is decoded once; bad ones are listed in skipped.csv. What is found of them is
kept in OUT.parts until the data set is there: a stopped run goes on with the same
command. --ray has a cluster decode, which has to see --src and --out.

Of equal files, and of pictures whose perceptual hashes differ in at most --max_distance
of 256 bits (mirrored or not) and whose colours agree, the largest stays; a picture that
stands under two labels is left out with all its copies. Of a painting and its black and
white reproductions, the painting stays. One composition in other colours is another
work. duplicates.csv lists each pair, and what became of it.

Artists are taken from {METADATA} in the source's folder, from --metadata, or from file
names (ARTIST_TITLE.jpg). --split says what is kept for validation:
  artist      no artist on both sides; each class's share as near to --val_fraction as
              whole artists allow. Pictures whose artist nobody knows are left out.
  stratified  the same share of each class
  random      a share of all pictures
The split depends on the pictures and --seed, not on their names or order.
"""


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("wikiart curate", _TEXT)
    add = parser.add_argument_group("the source").add_argument
    add(
        "--src",
        type=storage.path,
        required=True,
        help="class folders, what `download` made, a CSV file (path,label, with or "
        "without a header), or a list file (path label)",
    )
    shared.add_artists(add)
    add = parser.add_argument_group("what is taken").add_argument
    add("--classes", type=names, metavar="NAME,NAME", help="take these only")
    add("--max_per_class", type=count, help="pictures of a class")
    add("--max_per_artist", type=count, help="pictures of an artist in a class")
    shared.add_max_distance(add)
    add(
        "--grey_copies",
        choices=GREY_COPIES,
        help="drop black and white reproductions of coloured pictures, or keep both, "
        "on one side of the split (default: drop)",
    )
    add = parser.add_argument_group("the result").add_argument
    add(
        "--out",
        type=storage.path,
        required=True,
        help="the folder to make, which must be new, or made by the same command",
    )
    add("--split", choices=SPLITS, help="see above")
    add(
        "--val_fraction",
        type=number("a number between 0 and 1", 1e-9, 1 - 1e-9),
        metavar="SHARE",
        help="of the pictures, for validation",
    )
    add("--seed", type=seed, help="of all draws")
    add(
        "--resize",
        type=count,
        metavar="PIXELS",
        help="make the shorter side of larger pictures this long, and write JPEG "
        "(default: files are copied as they are)",
    )
    shared.add_ray(parser.add_argument_group("the machine").add_argument)
    parser.set_defaults(**dataclasses.asdict(Options()))
    return parser.parse(words)


@stopping.listening()
def run(flags: argparse.Namespace) -> int:
    from jaxart.paintings.curate import curation  # noqa: PLC0415  (JAX, late)

    report = curation.curate(
        flags.src,
        storage.require_local(flags.out, "out"),
        fill(Options, flags),
        image_root=flags.image_root,
        metadata=flags.metadata,
        any_suffix=flags.any_suffix,
        ray=shared.cluster_of(flags),
    )
    print(curation.summarize(report))
    for warning in report["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"written: {flags.out}")
    return 0
