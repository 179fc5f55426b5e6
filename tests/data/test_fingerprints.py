"""Perceptual hashes by their definition, and what changes them."""

import io

import numpy as np
import pytest
from PIL import Image

from jaxart.data import fingerprints, images, procedural


def paint(style="ink_mist", seed=0, size=200):
    return Image.fromarray(procedural.paint(style, seed, size))


def bits(text):
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8)).astype(int)


def dct_hash(picture):
    """Written out: the low frequencies of DCT-II that lie above their median."""
    grey = np.asarray(picture.convert("L").resize((64, 64), Image.LANCZOS), float)
    n, k = np.arange(64), np.arange(16)[:, None]
    basis = np.cos(np.pi * k * (2 * n + 1) / 128)
    low = basis @ grey @ basis.T
    return (low > np.median(low)).ravel().astype(int)


def test_hash_is_the_signs_of_the_lowest_frequencies():
    picture = paint()
    taken = fingerprints.take(picture)
    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    np.testing.assert_array_equal(bits(taken.phash), dct_hash(picture))
    # The mirrored small picture is not exactly the small mirrored picture.
    assert (bits(taken.mirrored) != dct_hash(mirrored)).sum() <= 2


@pytest.mark.parametrize("noise", [0, 1])
def test_one_colour_looks_like_nothing(noise):
    rng = np.random.default_rng(0)
    pixels = 128 + noise * rng.integers(-1, 2, (64, 64, 3))
    taken = fingerprints.take(Image.fromarray(pixels.astype(np.uint8)))
    assert taken.phash == taken.mirrored == ""


def test_decoding_at_a_fraction_changes_few_bits():
    content = io.BytesIO()
    paint(size=1024).save(content, "jpeg", quality=95)
    whole = dct_hash(Image.open(content))
    picture = images.decode(content.getvalue(), fingerprints.SIDE_ENOUGH)
    assert picture.width == 128
    assert (bits(fingerprints.take(picture).phash) != whole).sum() <= 6
