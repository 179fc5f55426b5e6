"""Looks at a picture with a network, in the browser: what it says, and why.

  jaxart app runs/vgg16
  jaxart app --port=8000 runs/vgg16 vgg16.safetensors

Drop a picture; choose method, class and layer; set two methods or two networks side by
side; paint over a part and see the prediction change; find the training images that
are alike. It is served on this machine only, unless --host says otherwise, and nothing
that is shown leaves it.
"""

import argparse
from collections.abc import Sequence

from jaxart import storage
from jaxart.cli.flags import FlagError, Parser, whole

STOPPED = "nothing is kept of what was uploaded"


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("app", __doc__, "RUN [RUN ...]")
    parser.add_argument(
        "networks",
        nargs="*",
        type=storage.weights_path,
        metavar="RUN",
        help="folders of `jaxart train`, or weight files",
    )
    add = parser.add_argument_group("the server").add_argument
    add(
        "--host",
        default="127.0.0.1",
        help="who may look; 0.0.0.0 is everyone who reaches this machine",
    )
    add(
        "--port",
        type=whole("a port from 1 to 65535", 1, 65535),
        metavar="N",
        help="(default: the first free one from 7860 on)",
    )
    add("--no_browser", action="store_true", help="do not open the browser")
    flags = parser.parse(words)
    if not flags.networks:
        raise FlagError("which network? jaxart app RUN [RUN ...]")
    return flags


def run(flags: argparse.Namespace) -> int:
    from jaxart.app import serving  # noqa: PLC0415  (JAX, late)

    networks = serving.networks_of(flags.networks)
    with serving.serve(
        networks,
        host=flags.host,
        port=flags.port,
        open_browser=not flags.no_browser,
    ) as page:
        print(f"{page.local_url} (Ctrl-C ends it)", flush=True)
        page.block_thread()
    return 0
