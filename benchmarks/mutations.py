"""Small pictures in every format that is read, and eight ways to damage a file."""

import io
import random
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image, ImageCms

from jaxart.data import formats, procedural

Seeds = Mapping[str, bytes]  # by the name of a file: png_16.png
Mutation = Callable[[bytes, bytes, random.Random], bytes]  # of a file, beside another

_SIZE = (67, 49)  # of the seeds; hardly anything else in a file has these numbers
_HEADER_BYTES = 96
_EXTREMES = (0, 1, 2, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)

# How a file is written: suffix, mode, options.
_WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "jpeg": ("jpg", "RGB", {}),
    "jpeg_progressive": ("jpg", "RGB", {"progressive": True}),
    "jpeg_cmyk": ("jpg", "CMYK", {}),
    "jpeg_grey": ("jpg", "L", {}),
    "jpeg_profile": ("jpg", "RGB", {"icc_profile": True, "exif": True}),
    "mpo": ("mpo", "RGB", {"save_all": True}),
    "png": ("png", "RGB", {}),
    "png_profile": ("png", "RGBA", {"icc_profile": True, "exif": True}),
    "png_palette": ("png", "P", {"transparency": 3}),
    "png_16": ("png", "I;16", {}),
    "png_bits": ("png", "1", {}),
    "apng": ("png", "RGB", {"save_all": True}),
    "gif": ("gif", "P", {}),
    "gif_animated": ("gif", "P", {"save_all": True, "comment": b"painted"}),
    "bmp": ("bmp", "RGB", {}),
    "bmp_palette": ("bmp", "P", {}),
    "dib": ("dib", "RGB", {}),
    **{
        f"tiff_{name}": ("tif", mode, {"compression": name})
        for name, mode in {
            **{"raw": "RGB", "tiff_lzw": "RGBA", "tiff_adobe_deflate": "I;16"},
            **{"packbits": "P", "group4": "1", "jpeg": "RGB", "zstd": "CMYK"},
        }.items()
    },
    "tiff_profile": ("tif", "LAB", {"compression": "tiff_lzw", "icc_profile": True}),
    "webp": ("webp", "RGB", {"icc_profile": True, "exif": True}),
    "webp_lossless": ("webp", "RGBA", {"lossless": True}),
    "webp_animated": ("webp", "RGB", {"save_all": True}),
    "avif": ("avif", "RGB", {"exif": True}),
    "avif_animated": ("avif", "RGBA", {"save_all": True}),
    "heif": ("heic", "RGB", {"exif": True}),
    "jpeg2000": ("jp2", "RGB", {}),
    "jpeg2000_bare": ("j2k", "L", {"tile_size": (32, 32)}),
    "ppm": ("ppm", "RGB", {}),
    "pgm": ("pgm", "L", {}),
    "pbm": ("pbm", "1", {}),
    "qoi": ("qoi", "RGB", {}),
    "sgi": ("sgi", "RGB", {}),
    "ico": ("ico", "RGBA", {"sizes": [(48, 48), (16, 16)]}),
    "ico_bmp": ("ico", "RGBA", {"sizes": [(32, 32)], "bitmap_format": "bmp"}),
    "pcx": ("pcx", "RGB", {}),
    "tga": ("tga", "RGB", {"compression": "tga_rle"}),
    "eps": ("eps", "RGB", {}),  # is refused
}


def paint() -> Seeds:
    """Sound pictures in all formats that are read, and one in a format that is not."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "jaxart"  # orientation, maker
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    seeds = {}
    for number, (name, (suffix, mode, options)) in enumerate(_WAYS.items()):
        if suffix == "heic" and "HEIF" not in formats.readable():
            continue
        style = procedural.STYLES[number % len(procedural.STYLES)]
        one, other = (_picture(style, seed, mode) for seed in (0, 1))
        given = {"exif": exif, "icc_profile": profile, "save_all": True}
        options = options | {key: given[key] for key in given if key in options}
        if options.get("save_all"):
            options["append_images"] = [other]
        file = io.BytesIO()
        pillow_name = Image.registered_extensions()[f".{suffix}"]
        one.save(file, pillow_name, **options)
        seeds[f"{name}.{suffix}"] = file.getvalue()
    return seeds | {"psd.psd": _psd(_picture(procedural.STYLES[0], 0, "RGB"))}


def _picture(style: str, seed: int, mode: str) -> Image.Image:
    picture = Image.fromarray(procedural.paint(style, seed, 72)).resize(_SIZE)
    if mode == "I;16":
        return picture.convert("L").convert("I").point(lambda x: x * 257).convert(mode)
    if mode == "LAB":
        ends = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
        return ImageCms.profileToProfile(picture, *ends, outputMode="LAB")
    return picture.convert(mode)


def _psd(picture: Image.Image) -> bytes:
    """Adobe's file format: a header, no layers, planes as they are."""
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, *_SIZE[::-1], 8, 3)
    planes = b"".join(plane.tobytes() for plane in picture.split())
    return header + struct.pack(">III", 0, 0, 0) + b"\0\0" + planes


def _flip(content: bytes, chance: random.Random, places: int, count: int) -> bytes:
    changed = bytearray(content)
    for _ in range(count):
        changed[chance.randrange(min(places, len(content)))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _block(content: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(content))
    return start, start + chance.choice((1, 4, 12, 64, 512, 4096))


def flip_anywhere(content: bytes, other: bytes, chance: random.Random) -> bytes:
    return _flip(content, chance, len(content), chance.choice((1, 2, 8, 64)))


def flip_in_header(content: bytes, other: bytes, chance: random.Random) -> bytes:
    return _flip(content, chance, _HEADER_BYTES, chance.choice((1, 2, 8)))


def cut(content: bytes, other: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def double_block(content: bytes, other: bytes, chance: random.Random) -> bytes:
    start, end = _block(content, chance)
    doubled = content[start:end] * chance.choice((1, 2, 50))
    return content[:end] + doubled + content[end:]


def remove_block(content: bytes, other: bytes, chance: random.Random) -> bytes:
    start, end = _block(content, chance)
    return content[:start] + content[end:]


def splice(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """One file's header before another's rest."""
    place = chance.randrange(4, 200)
    return content[:place] + other[place * chance.randrange(2) :]


def size_wrongly(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """Another number where a side stands, or anywhere in the header."""
    codes = [order + kind for order in "<>" for kind in "HI"]
    places = [
        (match.start(), code)
        for code in codes
        for side in _SIZE
        for match in re.finditer(re.escape(struct.pack(code, side)), content)
    ]
    if not places or chance.random() < 0.3:
        end = max(1, min(len(content), _HEADER_BYTES) - 4)
        places = [(chance.randrange(end), chance.choice(codes))]
    place, code = chance.choice(places)
    number = chance.choice((*_EXTREMES, chance.randrange(1 << 16), 20_000))
    most = (1 << 8 * struct.calcsize(code)) - 1
    new = struct.pack(code, min(number, most))
    return content[:place] + new + content[place + len(new) :]


def follow_by_noise(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """Random bytes behind what a file begins with."""
    return content[: chance.choice((2, 4, 8, 12, 32))] + chance.randbytes(
        chance.choice((0, 10, 300, 20_000))
    )


MUTATIONS: tuple[Mutation, ...] = (
    *(flip_anywhere, flip_in_header, cut, double_block, remove_block, splice),
    *(size_wrongly, follow_by_noise),
)
