"""Image files to network inputs, one after the other: ours, and plain Pillow."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from benchmarks.timing import rounds
from jaxart.data import images


def ours(
    paths: list[str], repeats: int, preprocessing: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Times `images.load`."""

    def load_all():
        for path in paths:
            last = images.load(path, resize="antialias", **preprocessing)
        return last + np.asarray(preprocessing["mean"], np.float32)

    return _time(load_all, repeats)


def pillow(
    paths: list[str], repeats: int, preprocessing: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Times what one writes without a library."""
    size = preprocessing["size"]

    def load_all():
        for path in paths:
            image = Image.open(path).convert("RGB")
            image = image.resize((size, size), Image.Resampling.BILINEAR)
            last = np.asarray(image, np.float32)
        return last[:, :, ::-1]

    return _time(load_all, repeats)


def managed_pillow(
    paths: list[str], repeats: int, preprocessing: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Times what one writes without a library, where colours are to be right."""
    size = preprocessing["size"]
    srgb = ImageCms.createProfile("sRGB")

    def load_all():
        for path in paths:
            image = Image.open(path)
            profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
            image = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
            image = image.resize((size, size), Image.Resampling.BILINEAR)
            last = np.asarray(image, np.float32)
        return last[:, :, ::-1]

    return _time(load_all, repeats)


def _time(load_all, repeats: int) -> Iterator[dict[str, Any]]:
    # The first call brings the files into memory.
    return rounds(
        *("decode", load_all, repeats),
        lambda last: {"check": last.mean(axis=(0, 1)).tolist()},
    )
