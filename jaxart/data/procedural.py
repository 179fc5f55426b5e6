"""Paintings painted by a program: a data set that needs no download.

    image = paint("ink_mist", seed=3)
    write_folder(Path("paintings"), images_per_style=20, seed=0)

or, from a shell, `python -m jaxart.data.procedural --out=paintings`.
"""

import argparse
import hashlib
import io
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from jaxart import storage
from jaxart.data.brushes import draw_palette
from jaxart.data.painters import PAINTERS
from jaxart.storage import results

FORMAT_VERSION = 1  # raise it whenever the same arguments paint other pictures
MIN_SIZE = 32
STYLES: tuple[str, ...] = tuple(sorted(PAINTERS))

_CARD = "procedural.json"


def paint(
    style: str, seed: int | tuple[int, ...], size: int = 256
) -> UInt8[np.ndarray, "size size 3"]:
    """Paint one RGB picture; equal arguments always give equal pixels.

    Raises:
      ValueError: `style` is none of `STYLES`, or `size` is below `MIN_SIZE` pixels.
    """
    if style not in PAINTERS:
        raise ValueError(f"unknown style {style!r}, choose from: {', '.join(STYLES)}")
    if size < MIN_SIZE:
        raise ValueError(f"size must be at least {MIN_SIZE}, got {size}")
    key = f"{style} {np.atleast_1d(seed).tolist()}".encode()
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()))
    picture = PAINTERS[style](rng, size, draw_palette(rng)).clip(0, 1)
    return np.ascontiguousarray(
        (picture * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
    )


def write_folder(
    folder: Path, images_per_style: int, seed: int, size: int = 256
) -> None:
    """Write `folder/<style>/<0000>.jpg`, the same number for every style.

    Picture i of a style is `paint(style, (seed, i), size)`, so different seeds
    share no picture. The folder is written under another name and renamed when
    it is complete; where it is complete already, nothing is done. Of several that
    write it at once, the first one's stays.

    Raises:
      ValueError: the folder exists and holds something else, `images_per_style` is
        below 1, or `size` below `MIN_SIZE`.
    """
    if images_per_style < 1:
        raise ValueError(f"images_per_style must be at least 1, got {images_per_style}")
    card = {
        "format_version": FORMAT_VERSION,
        "images_per_style": int(images_per_style),
        "seed": int(seed),
        "size": int(size),
        "styles": list(STYLES),
    }
    content = results.to_json(card, indent=2) + "\n"
    try:
        if not folder.exists():
            with storage.written_folder(folder) as beside:
                _fill(beside, images_per_style, seed, size)
                (beside / _CARD).write_text(content)
    except FileExistsError:
        pass
    if not _holds(folder, content):
        raise ValueError(f"{folder} exists and holds something other than {card}")


def _fill(folder: Path, images_per_style: int, seed: int, size: int) -> None:
    for style in STYLES:
        (folder / style).mkdir()
        for i in range(images_per_style):
            image = Image.fromarray(paint(style, (seed, i), size))
            content = io.BytesIO()
            image.save(content, "JPEG", quality=95, subsampling=0)
            (folder / style / f"{i:04d}.jpg").write_bytes(content.getvalue())


def _holds(folder: Path, content: str) -> bool:
    """Whether what a folder's card says is `content`."""
    card = folder / _CARD
    return card.is_file() and card.read_bytes() == content.encode()


def main(argv: list[str] | None = None) -> None:
    """Write a folder of paintings, as the options say."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxart.data.procedural",
        description="Paint a labelled data set: one folder for each of "
        f"{len(STYLES)} procedural styles ({', '.join(STYLES)}).",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--out", required=True, type=Path, help="the folder to write")
    add("--images_per_style", type=int, default=20, help="pictures of each style")
    add("--seed", type=int, default=0, help="another seed paints other pictures")
    add("--size", type=int, default=256, help="width and height in pixels")
    args = parser.parse_args(argv)
    try:
        write_folder(args.out, args.images_per_style, args.seed, args.size)
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
