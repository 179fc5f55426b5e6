"""Colours as sRGB, whatever a file's pixels mean by their numbers.

A file says it by an ICC profile (ICC.1:2022), a PNG by chunks of gamma and primaries,
too (Portable Network Graphics, third edition, section 12.2). Little CMS converts, with
relative colorimetric intent and black point compensation.
"""

import functools
import io
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageCms

_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION

_NUM_PROFILES = 64  # whose transforms are kept
_SAME = 1  # level: a profile that moves no colour further is sRGB's

# Modes of pixels that a profile of each space may be of.
_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "LAB": "LAB"}

# x and y of white, red, green and blue: IEC 61966-2-1.
_SRGB_PRIMARIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
# What writers of PNGs say of sRGB pictures, as its specification tells them to.
_SRGB_GAMMA = 0.45455
_NEAR = 0.001

# From one white to another: K. M. Lam 1985 (Bradford), as in ICC.1:2022, annex E.
_CONES = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D50 = np.array([0.9642, 1.0, 0.8249])


def to_srgb(image: Image.Image) -> tuple[Image.Image, str]:
    """The picture as sRGB, in mode RGB or, where it has transparency, RGBA.

    Args:
      image: of mode L, LA, RGB, RGBA, CMYK or LAB.

    Returns:
      The picture, and what had to be left of its colours, '' where nothing had.
    """
    profile, note = _profile(image)
    if profile:
        try:
            return _converted(image, profile), note
        except (ImageCms.PyCMSError, OSError, ValueError) as error:
            note = f"its colour profile is not used: {error}"
    if image.mode == "LAB":
        image = _applied(image, _transform(_lab(), "LAB"))
    return _with_colours(image), note


def _profile(image: Image.Image) -> tuple[bytes, str]:
    """The profile that is told of the pixels, b'' where they are sRGB, and a note."""
    info = image.info
    if info.get("icc_profile"):
        return info["icc_profile"], ""
    note = ""
    if "icc_profile" in info:  # Pillow could not unpack it
        note = "its colour profile is not used: it is damaged"
    if "srgb" in info or image.mode in ("CMYK", "LAB"):
        return b"", note
    primaries = tuple(info.get("chromaticity", _SRGB_PRIMARIES))
    gamma = info.get("gamma", _SRGB_GAMMA)
    numbers = np.subtract((*primaries, gamma), (*_SRGB_PRIMARIES, _SRGB_GAMMA))
    if np.abs(numbers).max() < _NEAR:
        return b"", note
    try:
        return rgb_profile(primaries, gamma), note
    except (ValueError, struct.error, np.linalg.LinAlgError):
        return b"", "its gamma or primaries are not used: there are no such colours"


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    space = _space(profile)
    colours = "".join(image.getbands()).removesuffix("A")
    if space == "RGB" and colours == "L":  # grey in a space of colours
        image = _with_colours(image)
    elif colours != _SPACES[space]:
        raise ValueError(f"it is of {space}, the pixels are {colours}")
    transform = _transform(profile, _SPACES[space])
    if image.mode not in ("LA", "RGBA"):
        return _applied(image, transform)
    alpha = image.getchannel("A")
    image = image.getchannel("L") if image.mode == "LA" else image.convert("RGB")
    converted = _applied(image, transform)
    converted.putalpha(alpha)
    return converted


def _with_colours(image: Image.Image) -> Image.Image:
    mode = "RGBA" if "A" in image.getbands() else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _applied(
    image: Image.Image, transform: ImageCms.ImageCmsTransform | None
) -> Image.Image:
    if transform is None:
        return image
    converted = transform.apply(image)
    converted.info = {}
    return converted


@functools.lru_cache(_NUM_PROFILES)
def _space(profile: bytes) -> str:
    """The colours that a profile is of.

    Raises:
      OSError: it cannot be read.
      ValueError: it is of others than pictures have.
    """
    opened: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = opened.profile.xcolor_space.strip()
    if space.upper() not in _SPACES:
        raise ValueError(f"it is of {space}; {', '.join(_SPACES)} are read")
    return space.upper()


@functools.lru_cache(_NUM_PROFILES)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From pixels of a profile to sRGB's; None where those are the same.

    Raises:
      ImageCms.PyCMSError: Little CMS cannot use the profile.
    """
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        _INTENT,
        _FLAGS,
    )
    if mode != "RGB":
        return transform
    levels = np.rint(np.linspace(0, 255, 17)).astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(17, -1, 3)
    moved = np.asarray(transform.apply(Image.fromarray(grid)), int) - grid
    return None if np.abs(moved).max() <= _SAME else transform


@functools.cache
def _lab() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def rgb_profile(primaries: Sequence[float], gamma: float) -> bytes:
    """An ICC profile of what a PNG's cHRM and gAMA say.

    Args:
      primaries: x and y of white, red, green and blue.
      gamma: the power of light that samples hold: 1 where they are linear.

    Raises:
      ValueError: they are no colours.
    """
    chromaticities = np.reshape(np.asarray(primaries, float), (4, 2))
    if gamma <= 0 or (chromaticities[:, 1] <= 0).any():
        raise ValueError(f"primaries {tuple(primaries)} of gamma {gamma}")
    x, y = chromaticities.T
    white, *inks = np.stack([x / y, np.ones(4), (1 - x - y) / y], -1)
    inks = np.transpose(inks)  # [XYZ, RGB]
    to_xyz = inks * np.linalg.solve(inks, white)
    cones = (_CONES @ _D50) / (_CONES @ white)
    to_d50 = np.linalg.solve(_CONES, cones[:, None] * (_CONES @ to_xyz))
    tags = {b"wtpt": _xyz(_D50)}
    tags |= {
        name: _xyz(xyz)
        for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), to_d50.T, strict=True)
    }
    curve = struct.pack(">4sIHHi", b"para", 0, 0, 0, _fixed(1 / gamma))
    return _icc(tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def _icc(tags: dict[bytes, bytes]) -> bytes:
    """A profile of version 4, a monitor's, from RGB to XYZ: ICC.1:2022, section 7."""
    size = 128 + 4 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, size + len(content), len(data))
        content += data.ljust(-(-len(data) // 4) * 4, b"\0")
    header = struct.pack(">I4xI", size + len(content), 0x04300000)
    header += b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28)
    header += struct.pack(">3i", *map(_fixed, _D50))
    return header.ljust(128, b"\0") + table + content


def _xyz(values: Sequence[float] | np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *map(_fixed, values))


def _fixed(value: float) -> int:
    """s15Fixed16Number."""
    return round(value * 65536)
