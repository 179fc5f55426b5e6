r"""Explains what a network looks at, for whole folders of images.

  jaxart saliency --weights=vgg16.safetensors --images=photos --out=out
  jaxart saliency --workdir=runs/demo --images=paintings --out=out \
      --method=smoothgrad --num_samples=50
  jaxart saliency --workdir=runs/demo --images=test.txt --out=out \
      --method=gradient,grad_cam --target=predicted,label

Open out/index.html to look at the maps. The same command again goes on where the last
one stopped. `--list_methods` says which methods there are. `--ray=auto` does it on all
machines of a Ray cluster.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from jaxart import storage
from jaxart.cli import shared
from jaxart.cli.flags import (
    Parser,
    count,
    fill,
    fraction,
    names,
    not_negative,
    number,
    positive,
    require,
    seed,
)
from jaxart.devices import stopping
from jaxart.passes import driver
from jaxart.saliency.choices import (
    BASELINES,
    CHANNEL_RULES,
    KINDS,
    QUADRATURES,
    SCALES,
    SCORES,
)

STOPPED = "the same command goes on"

# The methods' own: what they are, and what argparse needs to know.
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "num_samples": ("noisy copies of an image", {"type": count}),
    "noise_level": ("their noise, in parts of its range", {"type": not_negative}),
    "num_steps": ("steps of a path", {"type": count}),
    "baseline": ("where a path starts; what occludes", {"choices": BASELINES}),
    "quadrature": ("where a path's steps lie", {"choices": QUADRATURES}),
    "max_sigma": ("strongest blur of a path, in pixels", {"type": positive}),
    "fraction": ("of the pixels that move in a guided step", {"type": fraction}),
    "max_dist": ("how far they may leave the straight path", {"type": fraction}),
    "layer": ("Caffe name of the layer that a CAM looks at", {"metavar": "LAYER"}),
    "window": ("side of the occluded square, in pixels", {"type": count}),
    "stride": ("from one square to the next, in pixels", {"type": count}),
    "normalise": (
        "the mean over the squares that cover a pixel, not their sum",
        {"action": "store_true", "default": None},
    ),
    "num_masks": ("random masks", {"type": count}),
    "grid": ("cells along a side of a random mask", {"type": count}),
    "probability": ("that a cell of a mask is open", {"type": fraction}),
}


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The job's flags, with the words they were made of."""
    parser = Parser("saliency", __doc__)
    shared.add_network(parser)
    shared.add_images(parser.add_argument_group("the images").add_argument)
    add = parser.add_argument_group("what to explain, and how").add_argument
    add(
        "--method",
        type=names,
        default="gradient",
        metavar="NAME,NAME",
        help="see --list_methods; several make a map each (default: %(default)s)",
    )
    add("--list_methods", action="store_true", help="list the methods and exit")
    add(
        "--target",
        type=names,
        default="predicted",
        metavar="CLASS,CLASS",
        help="the class to explain: `predicted`, a class index, a class name, or "
        "`label`, what the list (or the class folder) says; several make a map each "
        "(default: %(default)s)",
    )
    add(
        "--against",
        metavar="CLASS",
        help="explain how far the target's logit is above that of this class, or of "
        "the best other one: `best_other`",
    )
    add(
        "--score",
        choices=SCORES,
        default="logit",
        help="what is explained of the target (default: %(default)s)",
    )
    add(
        "--channel_rule",
        choices=CHANNEL_RULES,
        help="how an attribution becomes one number a pixel (default: the method's "
        "rule)",
    )
    add("--seed", type=seed, default=0, help="of methods that draw samples")
    group = parser.add_argument_group("settings of methods (default: the method's own)")
    for name, (text, kind) in SETTINGS.items():
        group.add_argument(f"--{name}", help=text, **kind)
    add = parser.add_argument_group("the result").add_argument
    add(
        "--out",
        type=storage.path_or_none,
        help="folder for maps, pictures, record and page",
    )
    add(
        "--save",
        type=names,
        default="overlay,heatmap,sheet",
        metavar="KIND,KIND",
        help=f"any of {','.join(KINDS)}; npy is the raw map, float32 (default: "
        "%(default)s)",
    )
    add(
        "--scale",
        choices=SCALES,
        default="image",
        help="each map on its own scale, or all on a common one, to compare (keeps "
        "npy; default: %(default)s)",
    )
    add(
        "--percentile",
        type=number("a number from 0 to 100", 0.0, 100.0),
        default=99.0,
        metavar="P",
        help="of a map's absolute values: what the end of the colour table stands for",
    )
    add(
        "--colormap",
        default="auto",
        metavar="NAME",
        help="a table of matplotlib's or of the cmap package, e.g. viridis",
    )
    shared.add_strict(add)
    shared.add_pass(parser, 8, "network inputs")
    flags = parser.parse(words)
    if not flags.list_methods:
        require(flags, "images", "out", "method", "target")
    return argparse.Namespace(**vars(flags), words=list(words))


@stopping.listening()
def run(flags: argparse.Namespace) -> int:
    # Late: JAX takes seconds, and neither --help nor a refusal waits for it.
    if flags.list_methods:
        from jaxart.saliency import catalogue  # noqa: PLC0415

        print(catalogue.table())
        return 0
    out = flags.out
    with driver.alone(out / "parts"):
        counts = explain(flags)["counts"]
    print(f"{counts['done_before'] + counts['done_now']} images: {out / 'index.html'}")
    if counts["skipped"]:
        print(f"{counts['skipped']} skipped: see {out / 'skipped.csv'}")
    return int(flags.strict and counts["skipped"] > 0)


def explain(flags: argparse.Namespace) -> dict[str, Any]:
    """Makes options of the flags, and explains the images; what run.json holds."""
    from jaxart.data import listing  # noqa: PLC0415
    from jaxart.saliency import catalogue, question, run  # noqa: PLC0415
    from jaxart.saliency.options import Options  # noqa: PLC0415

    for method in flags.method:
        catalogue.find(method)  # raises, before the network is loaded
    images = listing.read(
        flags.images, flags.image_root, any_suffix=flags.any_suffix
    ).without(flags.out)
    given = {name: getattr(flags, name) for name in SETTINGS}
    given = {name: value for name, value in given.items() if value is not None}
    network = shared.load_network(flags)
    questions = question.ask_all(
        network.model,
        flags.method,
        flags.target,
        settings=given,
        channel_rule=flags.channel_rule,
        against=flags.against,
        score=flags.score,
    )
    resize = flags.resize or network.resize or "antialias"
    options = fill(Options, flags, questions=questions, resize=resize)
    return run.explain_images(
        network,
        images.first(flags.limit),
        flags.out,
        options,
        batch_size=flags.batch_size,
        part_size=flags.part_size,
        ray=shared.cluster_of(flags),
        arguments=flags.words,
    )
