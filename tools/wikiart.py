r"""Builds a folder of paintings to train with.

    python tools/wikiart.py download --styles=baroque,romanticism --per_style=400 \
        --out=wikiart

See each command's --help.
"""

import argparse
import functools
import math
import re
import sys
from pathlib import Path

from jaxart.wikiart import artgan, hugging_face, site
from jaxart.wikiart.download import Run, Source
from jaxart.wikiart.errors import WikiartError
from jaxart.wikiart.painting import parse_styles
from jaxart.wikiart.session import Session
from jaxart.wikiart.store import Store, opened

_DOWNLOAD = rf"""Fetches paintings into class folders: OUT/STYLE/ARTIST_TITLE_ID.jpg,
with OUT/metadata.csv (path, label, artist, title, year, source) and OUT/failed.csv.

    python tools/wikiart.py download --styles=baroque,romanticism --per_style=400 \
        --out=wikiart

{site.TERMS}

--from says what is asked:
  wikiart  WikiArt's own listing of each style, the featured paintings first
  hf       {hugging_face.REPOSITORY} on the Hugging Face hub, 72 files of 400 MB, which
           its client keeps in its own cache; pip install 'jaxart[hf]'
  artgan   the lists of the ArtGAN project; each image is looked for at WikiArt by its
           old name, and WikiArt may have renamed some: those are in failed.csv. Whoever
           has ArtGAN's archive of images needs no download:
           python tools/wikiart.py curate --src=style_train.csv --image_root=wikiart

A stopped run goes on with the same command, and fetches nothing again. Listings are
kept in OUT/pages: delete it to see what is new.
"""


def main(argv: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="wikiart",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_download_parser(commands)
    flags = parser.parse_args(argv)
    try:
        return flags.run(flags)
    except (WikiartError, OSError) as error:
        print(f"wikiart: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nwikiart: stopped; the same command goes on", file=sys.stderr)
        return 130


def _add_download_parser(commands: "argparse._SubParsersAction") -> None:
    parser = commands.add_parser(
        "download",
        help="fetch paintings by style",
        description=_DOWNLOAD,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=_run_download)
    parser.add_argument(
        "--from",
        dest="source",
        choices=("wikiart", "hf", "artgan"),
        default="wikiart",
        help="where the paintings come from (default: wikiart)",
    )
    parser.add_argument(
        "--styles",
        required=True,
        metavar="STYLE,STYLE",
        help="as in the addresses of WikiArt's pages or in the data set; art_nouveau, "
        "art-nouveau and Art_Nouveau are the same",
    )
    parser.add_argument(
        "--per_style",
        type=_count,
        required=True,
        metavar="N",
        help="how many good images each style is to have",
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to fill")
    parser.add_argument(
        "--max_gigabytes",
        type=_positive,
        default=20.0,
        metavar="N",
        help="stop before the folder holds more, what it holds already included "
        "(default: 20)",
    )
    parser.add_argument(
        "--delay",
        type=_positive,
        default=1.0,
        metavar="SECONDS",
        help="from an answer to the next request (default: 1); after failures longer",
    )
    parser.add_argument(
        "--base_url",
        type=_url,
        metavar="URL",
        help=f"the site, or a mirror of it (default: {site.BASE_URL}; with "
        f"--from=artgan the server of the images, {artgan.IMAGES_URL})",
    )
    parser.add_argument(
        "--lists_url",
        type=_url,
        metavar="URL",
        default=artgan.LISTS_URL,
        help="--from=artgan: the folder of the lists, or a mirror of it",
    )


def _run_download(flags: argparse.Namespace) -> int:
    styles = parse_styles(flags.styles)
    print(site.TERMS, file=sys.stderr)
    with opened(flags.out, int(flags.max_gigabytes * 1e9)) as store:
        store.require_inside(styles)
        run = Run(store, styles, flags.per_style)
        try:
            run.collect(_source(flags, store))
        finally:
            store.write_tables(run.failed_now)
            print(run.summary())
        for shortage in run.shortages():
            print(f"warning: {shortage}", file=sys.stderr)
    print(f"written: {flags.out / 'metadata.csv'}")
    return 0


def _source(flags: argparse.Namespace, store: Store) -> Source:
    if flags.source == "hf":
        return hugging_face.offers
    if flags.source == "artgan":
        url = flags.base_url or artgan.IMAGES_URL
        session = Session(url, flags.lists_url, delay_s=flags.delay)
        return functools.partial(
            artgan.offers,
            store=store,
            session=session,
            lists_url=flags.lists_url,
            images_url=url,
        )
    url = flags.base_url or site.BASE_URL
    session = Session(url, delay_s=flags.delay)
    return functools.partial(site.offers, store=store, session=session, base_url=url)


def _url(text: str) -> str:
    if re.fullmatch(r"https?://[\w.:\[\]-]+(/\S*)?", text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is not a URL of http or https")


def _count(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if 0 < number < math.inf:
        return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")


if __name__ == "__main__":
    sys.exit(main())
