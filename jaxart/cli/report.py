"""Writes what became of a run on one page, or sets several runs beside each other.

  jaxart report runs/demo
  jaxart report --out=both.html runs/fc8 runs/fc7_fc8

The page opens offline in any browser: report.html in the run's folder, or of several
runs in this folder, unless --out says where. It shows the accuracy with its interval
beside the majority class, curves, the confusion matrix, each class, calibration, the
most confident mistakes and the least certain paintings with their maps; of several
runs, whether one is better than another, or nothing shows it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from jaxart import storage
from jaxart.cli.flags import FlagError, Parser

STOPPED = "the same command starts again"

_NAME = "report.html"


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("report", __doc__, words="RUN [RUN ...]")
    parser.add_argument(
        "runs",
        nargs="*",
        type=storage.path,
        metavar="RUN",
        help="folders of `jaxart train`",
    )
    add = parser.add_argument_group("the page").add_argument
    add("--out", type=storage.path_or_none, help="the page; see above")
    add(
        "--image_root",
        type=storage.path_or_none,
        help="where the validation images of a run's list start now, if they were "
        "moved",
    )
    flags = parser.parse(words)
    if not flags.runs:
        raise FlagError("which run? jaxart report RUN [RUN ...]")
    if flags.image_root and len(flags.runs) > 1:
        raise FlagError("--image_root is for one run: a page of several has no images")
    if flags.out:
        storage.check_names(flags.out)
    return flags


def run(flags: argparse.Namespace) -> int:
    from jaxart.report import writing  # noqa: PLC0415  (JAX, late)

    if len(flags.runs) == 1:
        print(writing.write(flags.runs[0], flags.out, flags.image_root))
    else:
        out = flags.out or Path(_NAME)
        print(writing.write_comparison(flags.runs, out))
    return 0
