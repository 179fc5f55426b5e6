r"""Which copies of paintings are told from the same paintings in other colours.

    python -m benchmarks.copies --src=FOLDER_OF_CLASS_FOLDERS

Alters paintings as copies come to be altered, and as series differ. Writes copies.json
into benchmarks/results, and prints the tables of docs/paintings.md.
"""

import argparse
import datetime
import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageOps

from benchmarks.report import RESULTS
from jaxart.data import duplicates, fingerprints, images, palettes
from jaxart.data.files import File
from jaxart.data.names import is_image
from jaxart.storage.results import write_json

Alteration = Callable[[Image.Image], Image.Image]

_SIDE = 400  # pixels that JPEGs are decoded to
_COLOURED = 15.0  # levels of chroma from which a painting is in colour
_LIGHT = np.array([0.299, 0.587, 0.114])
_YCC = np.stack([_LIGHT, ([0, 0, 1] - _LIGHT) / 1.772, ([1, 0, 0] - _LIGHT) / 1.402])


def pixelwise(function: Callable[[Float[np.ndarray, "h w 3"]], Any]) -> Alteration:
    """Alters levels from 0 to 255."""

    def alter(picture: Image.Image) -> Image.Image:
        levels = function(np.asarray(picture, float))
        return Image.fromarray(np.clip(levels + 0.5, 0, 255).astype(np.uint8))

    return alter


def recompressed(quality: int) -> Alteration:
    """Through JPEG."""

    def alter(picture: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, "jpeg", quality=quality)
        return Image.open(buffer).convert("RGB")

    return alter


def cropped(left: float, top: float, right: float, bottom: float) -> Alteration:
    """Shares of each side less."""

    def alter(picture: Image.Image) -> Image.Image:
        width, height = picture.size
        box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
        return picture.crop([round(x) for x in box])

    return alter


def gamma(exponent: float) -> Alteration:
    return pixelwise(lambda x: 255 * (x / 255) ** exponent)


def saturated(factor: float) -> Alteration:
    return pixelwise(lambda x: factor * x + (1 - factor) * (x @ _LIGHT)[..., None])


def balanced(red: float, green: float, blue: float) -> Alteration:
    return pixelwise(lambda x: x * [red, green, blue])


def turned(degrees: float) -> Alteration:
    """Turns all hues; light and dark stay."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return pixelwise(lambda x: x @ (np.linalg.inv(_YCC) @ turn @ _YCC).T)


def permuted(*channels: int) -> Alteration:
    return pixelwise(lambda x: x[..., channels])


def other_palette(picture: Image.Image) -> Image.Image:
    """Each of six main colours takes the next one's hue; light and dark stay."""
    ycc = np.asarray(picture, float) @ _YCC.T
    index = np.asarray(picture.quantize(6))
    mean = np.array([ycc[index == i].mean(0) for i in range(index.max() + 1)])
    shift = (np.roll(mean, -1, 0) - mean)[index] * [0, 1, 1]
    return pixelwise(lambda _: (ycc + shift) @ np.linalg.inv(_YCC).T)(picture)


def adobe_read_as_srgb(picture: Image.Image) -> Image.Image:
    """Saved with Adobe RGB's primaries and gamma, and shown without its profile."""
    to_adobe = [[0.7152, 0.2848, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0412, 0.9588]]
    return pixelwise(
        lambda x: 255 * ((x / 255) ** 2.2 @ np.transpose(to_adobe)) ** (1 / 2.2)
    )(picture)


COPIES: dict[str, Alteration] = {
    "JPEG of quality 95": recompressed(95),
    "JPEG of quality 50": recompressed(50),
    "JPEG of quality 10": recompressed(10),
    "0.3 times the size": lambda picture: ImageOps.scale(picture, 0.3),
    "mirrored, JPEG of quality 40": lambda x: recompressed(40)(ImageOps.mirror(x)),
    "1.5 % less on each side": cropped(0.015, 0.015, 0.015, 0.015),
    "3 % less on the left and at the top": cropped(0.03, 0.03, 0, 0),
    "gamma 0.8": gamma(0.8),
    "gamma 1.25": gamma(1.25),
    "0.7 of the contrast, towards yellow": pixelwise(
        lambda x: 0.7 * x + 0.3 * np.array([240, 225, 180])
    ),
    "half of the saturation": saturated(0.5),
    "1.4 times the saturation": saturated(1.4),
    "Adobe RGB shown as sRGB": adobe_read_as_srgb,
    "warm: red 1.08, blue 0.9 times": balanced(1.08, 1, 0.9),
    "cool: red 0.92, blue 1.08 times": balanced(0.92, 1, 1.08),
    "old varnish: green 0.93, blue 0.75 times": balanced(1, 0.93, 0.75),
    "black and white": saturated(0),
    "sepia": pixelwise(lambda x: (x @ _LIGHT)[..., None] * [1.12, 0.99, 0.77]),
}
SERIES: dict[str, Alteration] = {
    **{f"hues turned by {x} degrees": turned(x) for x in (20, 30, 60, 90, 120, 180)},
    "red to green to blue": permuted(2, 0, 1),
    "red and blue exchanged": permuted(2, 1, 0),
    "red and green exchanged": permuted(1, 0, 2),
    "green and blue exchanged": permuted(0, 2, 1),
    "six main colours exchanged": other_palette,
}


def main(argv: list[str] | None = None) -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.copies",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--src", type=Path, required=True, help="paintings, in folders")
    add("--count", type=int, default=300, help="of them, drawn by chance")
    add("--out", type=Path, default=RESULTS)
    args = parser.parse_args(argv)
    paths = sorted(p for p in args.src.rglob("*") if is_image(p.name))
    paths = random.Random(0).sample(paths, min(args.count, len(paths)))
    pictures = [images.decode(path, _SIDE) for path in paths]
    looks = [look(picture) for picture in pictures]
    strengths = palettes.strengths([one.colours for one in looks])
    coloured = [i for i in range(len(looks)) if strengths[i] > _COLOURED]
    result = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "paintings": len(looks),
        "coloured": len(coloured),
        "copies": measure(pictures, looks, COPIES, range(len(looks))),
        "series": measure(pictures, looks, SERIES, coloured),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / "copies.json", result)
    print(table(result["copies"]), table(result["series"]), sep="\n\n")


def look(picture: Image.Image) -> File:
    """What `files.decode` says of the picture's looks."""
    return File(**fingerprints.take(picture)._asdict())


def measure(
    pictures: Sequence[Image.Image],
    looks: Sequence[File],
    alterations: dict[str, Alteration],
    chosen: Sequence[int],
) -> dict[str, dict[str, Any]]:
    """What pairs of a picture and the altered one are, by alteration.

    Colours' differences are of all pairs, 1 being where works begin to be two.
    """
    result = {}
    for name, alter in alterations.items():
        is_mirrored = name.startswith("mirrored")
        kinds, differences = [], []
        for i in chosen:
            other = look(alter(pictures[i]))
            pairs = duplicates.within(
                [looks[i]._replace(sha256="a"), other._replace(sha256="b")]
            )
            kinds += [pair.kind for pair in pairs]
            difference, _ = palettes.compare(
                [looks[i].colours], [other.colours], is_mirrored=is_mirrored
            )
            differences.append(difference[0])
        result[name] = {
            "near": kinds.count("near") / len(chosen),
            "grey": kinds.count("grey") / len(chosen),
            "differences": np.percentile(differences, [0, 1, 50, 99, 100]).tolist(),
        }
    return result


def table(measured: dict[str, dict[str, Any]]) -> str:
    """The measurements as Markdown."""
    lines = [
        "| altered | near | grey | colours differ by: least | 1 % | median | 99 % | "
        "most |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, of in measured.items():
        shares = f"{of['near']:.1%} | {of['grey']:.1%}"
        differences = " | ".join(f"{value:.2f}" for value in of["differences"])
        lines.append(f"| {name} | {shares} | {differences} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
