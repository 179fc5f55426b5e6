"""Draws the image that a class is, to a network.

  jaxart class_model --weights=vgg16.safetensors --class=flamingo --out=flamingo.png
  jaxart class_model --workdir=runs/vgg16 --class=cubism --out=cubism.png

Simonyan et al. 2013, "Deep inside convolutional networks", eq. 1.
"""

import argparse
import math
from collections.abc import Callable, Sequence

from jaxart import storage
from jaxart.cli import shared
from jaxart.cli.flags import (
    FlagError,
    Parser,
    count,
    not_negative,
    positive,
    require,
    seed,
    whole,
)

STOPPED = "nothing is written"

_whole = whole("a whole number from 0 on", 0)

# Type, default and meaning.
SETTINGS: dict[str, tuple[Callable, float, str]] = {
    "steps": (count, 300, "gradient steps"),
    "learning_rate": (
        positive,
        2.0,
        "about how far a pixel goes in a step, of 255",
    ),
    "l2": (not_negative, 1e-8, "weight of the squared norm of the image"),
    "jitter": (
        _whole,
        8,
        "rolls the image by up to so many pixels in a step; 0: off",
    ),
    "blur": (not_negative, 0.5, "width of a regular blur, pixels; 0: off"),
    "blur_every": (count, 4, "steps between two blurs"),
    "seed": (
        seed,
        0,
        "of the jitter, and of the noise where the mean image has no gradient",
    ),
}


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("class_model", __doc__)
    shared.add_network(parser)
    add = parser.add_argument_group("the image").add_argument
    add("--class", help="the class to draw: its name or index")
    add("--out", type=storage.path_or_none, help="PNG file")
    add = parser.add_argument_group("the way to it").add_argument
    for name, (kind, default, text) in SETTINGS.items():
        add(f"--{name}", type=kind, default=default, help=text)
    flags = parser.parse(words)
    require(flags, "class", "out")
    if flags.out.suffix.lower() != ".png":
        raise FlagError(f"out={flags.out}: a .png file")
    storage.check_names(flags.out)
    return flags


def run(flags: argparse.Namespace) -> int:
    from jaxart.saliency import class_image, pictures  # noqa: PLC0415  (JAX, late)

    network = shared.load_network(flags)
    index = network.class_index(getattr(flags, "class"))
    settings = {name: getattr(flags, name) for name in SETTINGS}
    drawn = class_image.draw(network, index, **settings)
    if not math.isfinite(drawn.logit):
        raise FloatingPointError(
            f"after {flags.steps} steps the logit is {drawn.logit}: try a lower "
            f"learning_rate than {flags.learning_rate:g}"
        )
    pictures.save(drawn.picture, flags.out)
    print(
        f"{flags.out}: {network.class_names[index]}, logit {drawn.logit:.2f}, "
        f"probability {drawn.probability:.3f}"
    )
    return 0
