"""Fetches paintings into class folders."""

import argparse
import re
import sys
from collections.abc import Sequence

from jaxart import storage
from jaxart.cli.flags import Parser, count, number
from jaxart.devices import stopping
from jaxart.paintings.download import artgan, hugging_face, site, sources
from jaxart.paintings.download.download import Run
from jaxart.paintings.download.painting import parse_styles
from jaxart.paintings.download.store import opened

STOPPED = "the same command goes on"

_TEXT = rf"""Fetches paintings into class folders: OUT/STYLE/ARTIST_TITLE_ID.jpg, with
OUT/metadata.csv (path, label, artist, title, year, source) and OUT/failed.csv.

  jaxart wikiart download --styles=baroque,romanticism --per_style=400 --out=wikiart

{site.TERMS}

--from says what is asked:
  wikiart  WikiArt's own listing of each style, the featured paintings first
  hf       {hugging_face.REPOSITORY} on the Hugging Face hub, 72 files of 400 MB, which
           its client keeps in its own cache; pip install 'jaxart[hf]'
  artgan   the lists of the ArtGAN project; each image is looked for at WikiArt by its
           old name, and WikiArt may have renamed some: those are in failed.csv. Whoever
           has ArtGAN's archive of images needs no download:
           jaxart wikiart curate --src=style_train.csv --image_root=wikiart

A stopped run goes on with the same command, and fetches nothing again. Listings are
kept in OUT/.pages: delete it to see what is new.
"""


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("wikiart download", _TEXT)
    add = parser.add_argument_group("the paintings").add_argument
    add(
        "--styles",
        required=True,
        metavar="STYLE,STYLE",
        help="as in the addresses of WikiArt's pages or in the data set; art_nouveau, "
        "art-nouveau and Art_Nouveau are the same",
    )
    add(
        "--per_style",
        type=count,
        required=True,
        help="how many good images each style is to have",
    )
    add("--out", type=storage.path, required=True, help="the folder to fill")
    add(
        "--max_gigabytes",
        type=number("a number above 0, up to 1,000,000", 1e-9, 1e6),
        default=20.0,
        help="stop before the folder holds more, what it holds already included",
    )
    add = parser.add_argument_group("where they come from").add_argument
    add(
        "--from",
        dest="source",
        choices=sources.SOURCES,
        default="wikiart",
        help="see above",
    )
    add(
        "--delay",
        type=number("a number above 0, up to 3600", 1e-9, 3600.0),
        default=1.0,
        metavar="SECONDS",
        help="from an answer to the next request; after failures longer",
    )
    add(
        "--base_url",
        type=_url,
        metavar="URL",
        help=f"the site, or a mirror of it (default: {site.BASE_URL}; with "
        f"--from=artgan the server of the images, {artgan.IMAGES_URL})",
    )
    add(
        "--lists_url",
        type=_url,
        metavar="URL",
        default=artgan.LISTS_URL,
        help="--from=artgan: the folder of the lists, or a mirror of it",
    )
    return parser.parse(words)


@stopping.listening()
def run(flags: argparse.Namespace) -> int:
    styles = parse_styles(flags.styles)
    print(site.TERMS, file=sys.stderr)
    out = storage.require_local(flags.out, "out")
    with opened(out, int(flags.max_gigabytes * 1e9)) as store:
        store.require_inside(styles)
        source = sources.find(
            flags.source,
            store,
            base_url=flags.base_url,
            lists_url=flags.lists_url,
            delay_s=flags.delay,
        )
        collecting = Run(store, styles, flags.per_style)
        try:
            collecting.collect(source)
        finally:
            store.write_tables(collecting.failed_now)
            print(collecting.summary())
        for shortage in collecting.shortages():
            print(f"warning: {shortage}", file=sys.stderr)
    print(f"written: {out / 'metadata.csv'}")
    return 0


def _url(text: str) -> str:
    if re.fullmatch(r"https?://[\w.:\[\]-]+(/\S*)?", text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is not a URL of http or https")
