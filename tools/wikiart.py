r"""Makes a data set of paintings: fetched, each once, split by artist, looked through.

    python tools/wikiart.py download --styles=baroque,romanticism --per_style=400 \
        --out=wikiart
    python tools/wikiart.py curate --src=wikiart --out=wikiart2
    python tools/wikiart.py inspect --data=wikiart2

See each command's --help.
"""

import argparse
import dataclasses
import functools
import math
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from jaxart import storage
from jaxart.data import duplicates
from jaxart.data.lists import DataError
from jaxart.paintings.curate import curation, inspection, paintings
from jaxart.paintings.curate.curation import Options
from jaxart.paintings.curate.splits import SPLITS
from jaxart.paintings.download import artgan, hugging_face, site
from jaxart.paintings.download.download import Run, Source
from jaxart.paintings.download.errors import WikiartError
from jaxart.paintings.download.painting import parse_styles
from jaxart.paintings.download.session import Session
from jaxart.paintings.download.store import Store, opened
from jaxart.passes.driver import BusyError
from jaxart.passes.folder import OtherPassError
from jaxart.passes.running import Cluster

_LISTS = ("train.txt", "val.txt", "test.txt")

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
kept in OUT/.pages: delete it to see what is new.
"""


_CURATE = rf"""Makes a data set of pictures with labels: images/, train.txt, val.txt,
classes.txt and metadata.csv, and a word on everything that was left out.

    python tools/wikiart.py curate --src=wikiart --out=wikiart10
    python -m jaxart.main --config=configs/fc7_fc8.py --workdir=runs/fc7_fc8 \
        --config.train_data=wikiart10/train.txt --config.val_data=wikiart10/val.txt

Every file is decoded once; bad ones are listed in skipped.csv. What is found of them is
kept in OUT.parts until the data set is there: a stopped run goes on with the same
command. --ray has a cluster decode, which has to see --src and --out.

Of equal files, and of pictures whose perceptual hashes differ in at most --max_distance
of 256 bits (mirrored or not), the largest stays; a picture that stands under two labels
is left out with all its copies. duplicates.csv lists each pair, and what became of it.

Artists are taken from {paintings.METADATA} in the source's folder, from --metadata, or
from file names (ARTIST_TITLE.jpg). --split says what is kept for validation:
  artist      no artist on both sides; each class's share as near to --val_fraction as
              whole artists allow. Pictures whose artist nobody knows are left out.
  stratified  the same share of each class
  random      a share of all pictures
The split depends on the pictures and --seed, not on their names or order.
"""

_INSPECT = """Counts what lists hold, and looks for what they share: equal files, near
copies, artists. Writes inspection.json, copies.csv, unreadable.csv and a contact sheet
of each class.

    python tools/wikiart.py inspect --data=wikiart10
    python tools/wikiart.py inspect --data=train.txt --against=test.txt
"""


def main(argv: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    shape = {
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }
    parser = argparse.ArgumentParser(prog="wikiart", description=__doc__, **shape)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command in _COMMANDS.items():
        summary, text = command.summary, command.description
        inner = commands.add_parser(name, help=summary, description=text, **shape)
        inner.set_defaults(command=command)
        command.add_flags(inner)
    flags = parser.parse_args(argv)
    # Pillow warns of pictures above 89 megapixels, and refuses those above 178.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    try:
        return flags.command.run(flags)
    except (WikiartError, DataError, BusyError, OtherPassError, OSError) as error:
        print(f"wikiart: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nwikiart: stopped; {flags.command.when_stopped}", file=sys.stderr)
        return 130


def _add_download_flags(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument("--out", required=True, help="the folder to fill")
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
    out = _local(flags.out)
    with opened(out, int(flags.max_gigabytes * 1e9)) as store:
        store.require_inside(styles)
        run = Run(store, styles, flags.per_style)
        try:
            run.collect(_source(flags, store))
        finally:
            store.write_tables(run.failed_now)
            print(run.summary())
        for shortage in run.shortages():
            print(f"warning: {shortage}", file=sys.stderr)
    print(f"written: {out / 'metadata.csv'}")
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


def _add_source_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--image_root",
        default="",
        metavar="FOLDER",
        help="where relative paths of a list start (default: the list's own folder)",
    )
    parser.add_argument(
        "--metadata",
        default="",
        metavar="FILE",
        help="a .csv or .tsv file with a column path (or file) and any of artist, "
        f"title, year, source (default: {paintings.METADATA} in the source's folder)",
    )
    parser.add_argument(
        "--max_distance",
        type=_bits,
        default=duplicates.MAX_DISTANCE,
        metavar="BITS",
        help="how many of 256 bits near copies may differ in (default: %(default)s); "
        "different paintings differ in about half",
    )


def _add_curate_flags(parser: argparse.ArgumentParser) -> None:
    defaults = Options()
    parser.add_argument(
        "--src",
        required=True,
        metavar="FOLDER_OR_LIST",
        help="class folders, what `download` made, a CSV file (path,label, with or "
        "without a header), or a list file (path label)",
    )
    parser.add_argument(
        "--out", required=True, help="the folder to make, which must be new"
    )
    parser.add_argument(
        "--split",
        choices=SPLITS,
        default=defaults.split,
        help="see above (default: %(default)s)",
    )
    parser.add_argument(
        "--val_fraction",
        type=_fraction,
        default=defaults.val_fraction,
        metavar="SHARE",
        help="of the pictures, for validation (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of all draws")
    parser.add_argument(
        "--classes",
        type=lambda text: tuple(text.split(",")),
        default=defaults.classes,
        metavar="NAME,NAME",
        help="take these only",
    )
    parser.add_argument(
        "--max_per_class", type=_count, metavar="N", help="pictures of a class"
    )
    parser.add_argument(
        "--max_per_artist",
        type=_count,
        metavar="N",
        help="pictures of an artist in a class",
    )
    parser.add_argument(
        "--resize",
        type=_count,
        metavar="PIXELS",
        help="make the shorter side of larger pictures this long, and write JPEG "
        "(default: files are copied as they are)",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="decode on this Ray cluster; auto is the one that this machine is part of",
    )
    parser.add_argument(
        "--ray_cpus",
        type=_positive,
        default=1,
        metavar="N",
        help="--ray: cores of an actor (default: %(default)s)",
    )
    _add_source_flags(parser)


def _run_curate(flags: argparse.Namespace) -> int:
    fields = {field.name for field in dataclasses.fields(Options)}
    options = Options(**{name: getattr(flags, name) for name in fields})
    report = curation.curate(
        storage.path(flags.src),
        _local(flags.out),
        options,
        image_root=storage.path_or_none(flags.image_root),
        metadata=storage.path_or_none(flags.metadata),
        ray=Cluster(flags.ray, flags.ray_cpus) if flags.ray else None,
    )
    print(curation.summarize(report))
    for warning in report["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"written: {flags.out}")
    return 0


def _add_inspect_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        required=True,
        metavar="FOLDER_OR_LIST",
        help=f"a folder with {' or '.join(_LISTS)}, or what `curate --src` takes",
    )
    parser.add_argument(
        "--against",
        metavar="FOLDER_OR_LIST",
        help="another list, to compare with",
    )
    parser.add_argument(
        "--out",
        help="where to write (default: `NAME-inspection` beside --data)",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit with 1 where lists share pictures or artists",
    )
    _add_source_flags(parser)


def _run_inspect(flags: argparse.Namespace) -> int:
    data = storage.path(flags.data)
    sources = [data / name for name in _LISTS if (data / name).is_file()] or [data]
    if flags.against is not None:
        sources.append(storage.path(flags.against))
    out = _local(flags.out or str(data.with_name(f"{data.stem}-inspection")))
    report = inspection.inspect(
        sources,
        out,
        image_root=storage.path_or_none(flags.image_root),
        metadata=storage.path_or_none(flags.metadata),
        max_distance=flags.max_distance,
    )
    print(inspection.summarize(report))
    print(f"written: {out}")
    return int(flags.strict and inspection.shares_anything(report))


def _local(text: str) -> Path:
    return storage.require_local(storage.path(text), "out")


def _url(text: str) -> str:
    if re.fullmatch(r"https?://[\w.:\[\]-]+(/\S*)?", text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is not a URL of http or https")


def _count(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")


def _bits(text: str) -> int:
    if text.isdecimal() and int(text) < 128:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of bits from 0 to 127")


def _fraction(text: str) -> float:
    number = _positive(text)
    if number < 1:
        return number
    raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1")


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if 0 < number < math.inf:
        return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")


class _Command(NamedTuple):
    add_flags: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    summary: str
    description: str
    when_stopped: str


_COMMANDS = {
    "download": _Command(
        *(_add_download_flags, _run_download, "fetch paintings by style", _DOWNLOAD),
        when_stopped="the same command goes on",
    ),
    "curate": _Command(
        *(_add_curate_flags, _run_curate),
        summary="make a data set: each painting once, a clean split",
        description=_CURATE,
        when_stopped="the same command goes on",
    ),
    "inspect": _Command(
        *(_add_inspect_flags, _run_inspect),
        summary="count, and look for leaks between lists",
        description=_INSPECT,
        when_stopped="the same command begins anew",
    ),
}


if __name__ == "__main__":
    sys.exit(main())
