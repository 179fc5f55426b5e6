"""Draws the image that a class is, to a network.

  jaxart class_model --weights=vgg16.safetensors --class=flamingo --out=flamingo.png
  jaxart class_model --workdir=runs/vgg16 --class=cubism --out=cubism.png

Simonyan et al. 2013, "Deep inside convolutional networks", eq. 1.
"""

import argparse
from collections.abc import Sequence

from jaxart import storage
from jaxart.cli import shared
from jaxart.cli.flags import FlagError, Parser, count, require

STOPPED = "nothing is written"


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The job's flags."""
    parser = Parser("class_model", __doc__)
    shared.add_network(parser)
    add = parser.add_argument_group("the image").add_argument
    add("--class", help="the class to draw: its name or index")
    add("--out", metavar="FILE", help="PNG file")
    group = parser.add_argument_group("the way to it")
    add = group.add_argument
    add("--steps", type=count, default=200, metavar="N", help="gradient steps")
    add(
        "--learning_rate",
        type=float,
        default=2.0,
        metavar="X",
        help="about how far a pixel goes in a step, on 0 to 255",
    )
    add(
        "--l2",
        type=float,
        default=1e-6,
        metavar="X",
        help="weight of the squared norm of the image",
    )
    add(
        "--jitter",
        type=int,
        default=8,
        metavar="N",
        help="rolls the image by up to this many pixels in a step; 0: off",
    )
    add(
        "--blur",
        type=float,
        default=0.5,
        metavar="X",
        help="width of a regular blur, pixels; 0: off",
    )
    add(
        "--blur_every", type=int, default=4, metavar="N", help="steps between two blurs"
    )
    add("--seed", type=int, default=0, metavar="N", help="of the jitter")
    flags = parser.parse(words)
    require(flags, "class", "out")
    if storage.path(flags.out).suffix.lower() != ".png":
        raise FlagError(f"out={flags.out}: a .png file")
    return flags


def run(flags: argparse.Namespace) -> int:
    """Draws the class."""
    from jaxart.saliency import class_image, pictures  # noqa: PLC0415  (JAX, late)

    network = shared.load_network(flags)
    index = network.class_index(getattr(flags, "class"))
    drawn = class_image.draw(
        network,
        index,
        seed=flags.seed,
        steps=flags.steps,
        learning_rate=flags.learning_rate,
        l2=flags.l2,
        jitter=flags.jitter,
        blur=flags.blur,
        blur_every=flags.blur_every,
    )
    pictures.save(drawn.picture, storage.path(flags.out))
    print(
        f"{flags.out}: {network.class_names[index]}, logit {drawn.logit:.2f}, "
        f"probability {drawn.probability:.3f}"
    )
    return 0
