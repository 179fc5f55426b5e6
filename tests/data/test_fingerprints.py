"""Perceptual hashes by their definition, and what changes them."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from jaxart.data import fingerprints, images, procedural


def paint(style="ink_mist", seed=0, size=200):
    return Image.fromarray(procedural.paint(style, seed, size))


def bits(text):
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8)).astype(int)


@pytest.fixture
def save(tmp_path):
    def save(image, name="a.png", **options):
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


def dct_hash(picture):
    """Written out: the low frequencies of DCT-II that lie above their median."""
    grey = np.asarray(picture.convert("L").resize((64, 64), Image.LANCZOS), float)
    n, k = np.arange(64), np.arange(16)[:, None]
    basis = np.cos(np.pi * k * (2 * n + 1) / 128)
    low = basis @ grey @ basis.T
    return (low > np.median(low)).ravel().astype(int)


def test_hash_is_the_signs_of_the_lowest_frequencies(save):
    picture = paint()
    taken = fingerprints.take(save(picture))
    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    np.testing.assert_array_equal(bits(taken.phash), dct_hash(picture))
    # The mirrored small picture is not exactly the small mirrored picture.
    assert (bits(taken.mirrored) != dct_hash(mirrored)).sum() <= 2


def test_sha256_is_that_of_the_file(save):
    path = save(paint())
    assert (
        fingerprints.take(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    )


def test_size_is_that_of_the_upright_picture_however_it_is_decoded(save):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    path = save(paint(size=1200).crop((0, 0, 1200, 800)), "a.jpg", exif=exif)
    taken = fingerprints.take(path)
    assert (taken.width, taken.height) == (800, 1200)


def test_turned_by_exif_is_what_it_looks_like(save):
    picture = paint()
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    one = fingerprints.take(save(picture, "a.png"))
    other = fingerprints.take(save(turned, "b.png", exif=exif))
    assert one.phash == other.phash and one.sha256 != other.sha256


@pytest.mark.parametrize("noise", [0, 1])
def test_one_colour_looks_like_nothing(save, noise):
    rng = np.random.default_rng(0)
    pixels = 128 + noise * rng.integers(-1, 2, (64, 64, 3))
    taken = fingerprints.take(save(Image.fromarray(pixels.astype(np.uint8))))
    assert taken.phash == taken.mirrored == ""


def test_decoding_at_a_fraction_changes_few_bits(save):
    path = save(paint(size=1024), "a.jpg", quality=95)
    whole = dct_hash(Image.open(path))
    assert images.decode(path, fingerprints.SIDE_ENOUGH).width == 128
    assert (bits(fingerprints.take(path).phash) != whole).sum() <= 6


@pytest.mark.parametrize("content", [b"", b"no image", "cut"])
def test_what_is_no_sound_image_has_none(tmp_path, content):
    if content == "cut":
        whole = io.BytesIO()
        paint().save(whole, "jpeg")
        content = whole.getvalue()[:-200]
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(images.ImageError):
        fingerprints.take(path)


def test_threads_keep_the_order_and_take_few_items_ahead():
    taken = []

    def count():
        for i in range(10_000):
            taken.append(i)
            yield i

    found = fingerprints.map_in_threads(lambda i: i * i, count())
    assert [next(found) for _ in range(3)] == [0, 1, 4]
    assert len(taken) < 200
    assert list(found) == [i * i for i in range(3, 10_000)]


def test_content_has_its_files_fingerprint(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(procedural.paint("ink_mist", 0, 64)).save(path)
    assert fingerprints.take(path.read_bytes()) == fingerprints.take(path)
    assert fingerprints.digest(path.read_bytes()) == fingerprints.digest(path)
