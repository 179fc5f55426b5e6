"""Flags that several jobs have: which network, which images, on which machines."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from jaxart import storage
from jaxart.cli.flags import FlagError, Parser, count, positive, whole
from jaxart.data.choices import MAX_DISTANCE
from jaxart.data.resizing import RESIZE_RULES
from jaxart.paintings.curate.options import METADATA

if TYPE_CHECKING:
    from jaxart.classifier import Classifier
    from jaxart.passes.running import Cluster

Add = Callable[..., argparse.Action]  # of a group of flags


def add_network(parser: Parser) -> None:
    """Adds --weights and --workdir, for `load_network`."""
    add = parser.add_argument_group("the network, one of these").add_argument
    add(
        "--weights",
        type=storage.weights_path_or_none,
        help="a file of `jaxart convert`, or hf://OWNER/NAME of `jaxart push`",
    )
    add(
        "--workdir",
        type=storage.path_or_none,
        help="a run of `jaxart train`; its best epoch",
    )


def load_network(flags: argparse.Namespace) -> "Classifier":
    """The network that the flags name.

    Raises:
      FlagError: not one of the two is given.
      ValueError: it cannot be used.
    """
    from jaxart import classifier  # noqa: PLC0415  (JAX, late)

    if flags.weights and not flags.workdir:
        return classifier.from_weights(flags.weights)
    if flags.workdir and not flags.weights:
        return classifier.from_run(flags.workdir)
    raise FlagError("one of --weights and --workdir says which network")


def add_images(add: Add) -> None:
    """Adds --images and what says how they are read."""
    add(
        "--images",
        type=storage.path_or_none,
        help="a folder (searched deep), an image, a list file (`path` or `path label` "
        "a line), or a CSV file with a column path and maybe label",
    )
    add_reading(add)
    add("--limit", type=count, help="only the first images, this many")
    add(
        "--resize",
        choices=RESIZE_RULES,
        help="how an image becomes square (default: as in the run's training, or "
        "antialias)",
    )


def add_reading(add: Add) -> None:
    """Adds what says how the names of images are found and meant."""
    add(
        "--any_suffix",
        action="store_true",
        help="look into a folder's files whose suffix is no image's, too",
    )
    add(
        "--image_root",
        type=storage.path_or_none,
        help="where relative paths of a list start (default: the list's own folder)",
    )


def add_artists(add: Add) -> None:
    """Adds what says where paintings lie and who painted them."""
    add_reading(add)
    add(
        "--metadata",
        type=storage.path_or_none,
        help="a .csv or .tsv file with a column path (or file) and any of artist, "
        f"title, year, source (default: {METADATA} in the source's folder)",
    )


def add_max_distance(add: Add) -> None:
    add(
        "--max_distance",
        type=whole("a number of bits from 0 to 127", 0, 127),
        default=MAX_DISTANCE,
        metavar="BITS",
        help="how many of 256 bits near copies may differ in; different paintings "
        "differ in about half",
    )


def add_strict(add: Add) -> None:
    add(
        "--strict",
        action="store_true",
        help="exit with status 1 if an image was skipped",
    )


def add_pass(parser: Parser, batch_size: int, about_batch_size: str) -> None:
    """Adds what bounds memory, what a kill may cost, and the cluster."""
    add = parser.add_argument_group("the machine").add_argument
    add(
        "--batch_size",
        type=count,
        default=batch_size,
        help=f"{about_batch_size} at once; bounds the memory",
    )
    add(
        "--part_size",
        type=count,
        help="images of a part, which is what a killed run may lose (default: about "
        "ten seconds' work, or more of a long list)",
    )
    add_ray(add)


def add_ray(add: Add) -> None:
    add(
        "--ray",
        metavar="ADDRESS",
        help="run on a Ray cluster: `auto` for the one that this machine is part of, "
        "or its address; one actor for each GPU, or for --ray_cpus where there is none",
    )
    add("--ray_cpus", type=positive, default=1, help="--ray: cores of an actor")


def cluster_of(flags: argparse.Namespace) -> "Cluster | None":
    """Where a pass runs, if not in this process."""
    from jaxart.passes.running import Cluster  # noqa: PLC0415  (JAX, late)

    return Cluster(flags.ray, flags.ray_cpus) if flags.ray else None
