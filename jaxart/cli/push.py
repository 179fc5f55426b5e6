"""Shares a run on the Hugging Face hub: its best epoch's weights and a model card.

  jaxart push runs/vgg16 OWNER/NAME --dry_run=card
  jaxart push runs/vgg16 OWNER/NAME --private

The first writes the folder and sends nothing. Who you are comes from `hf auth login`
or the environment variable HF_TOKEN. Everyone reads it with --weights=hf://OWNER/NAME.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from jaxart import storage
from jaxart.cli.flags import Parser

STOPPED = "the repository has what was sent whole before"


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("push", __doc__)
    parser.add_argument("run", type=storage.path, metavar="RUN", help="a finished run")
    parser.add_argument("repo", metavar="OWNER/NAME", help="a repository on the hub")
    add = parser.add_argument_group("how").add_argument
    add("--dry_run", type=Path, metavar="FOLDER", help="only write this new folder")
    add("--license", default="other", help="of the weights, as the hub names it")
    add("--private", action="store_true", help="make a new repository private")
    add("--revision", help="the branch (default: main); made where there is none")
    add("--message", help="of the commit")
    return parser.parse(words)


def run(flags: argparse.Namespace) -> int:
    from jaxart.hub import push  # noqa: PLC0415  (JAX, late)

    if flags.dry_run:
        push.write_folder(flags.run, flags.repo, flags.dry_run, flags.license)
        print(f"{flags.dry_run}: what would be sent; nothing is sent")
        return 0
    with tempfile.TemporaryDirectory(prefix="jaxart.") as new:
        folder = Path(new) / "push"
        push.write_folder(flags.run, flags.repo, folder, flags.license)
        pushed = push.send(
            folder,
            flags.repo,
            private=flags.private,
            revision=flags.revision,
            message=flags.message,
        )
    print(f"{pushed.url}\ncommit {pushed.commit}; load it as hf://{flags.repo}")
    return 0
