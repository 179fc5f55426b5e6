"""What the workloads work on: paintings, large photographs, weights; made once."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from benchmarks.flops import layer_shapes
from jaxart import storage
from jaxart.data import examples, listing, procedural
from jaxart.models import MODELS
from jaxart.weights import canonical

SEED = 0
LARGE = (1600, 1250)  # 2 megapixels


class Images(NamedTuple):
    """Labelled images, as the configs name them."""

    train_data: str
    image_root: str
    num_classes: int

    @property
    def paths(self) -> list[str]:
        """Where each image lies."""
        found = listing.read(
            storage.path(self.train_data), storage.path_or_none(self.image_root)
        )
        return [str((found.root / name).absolute()) for name in found.names]

    @property
    def settings(self) -> dict[str, str | int]:
        """As settings of a side."""
        return self._asdict()


def paintings(folder: Path, per_style: int, size: int) -> Images:
    """Procedural paintings in class folders, painted where they are not there yet."""
    folder = folder / f"paintings_{size}_{per_style}"
    procedural.write_folder(folder, per_style, SEED, size)
    return Images(str(folder), "", len(procedural.STYLES))


def given_images(source: str, image_root: str) -> Images:
    """Somebody's own images; those without labels are of one class.

    Raises:
      examples.DataError: there are none.
    """
    labels = set(
        listing.read(storage.path(source), storage.path_or_none(image_root)).labels
    )
    return Images(source, image_root, len(labels))


def subset(folder: Path, images: Images, count: int) -> Images:
    """A list file of `count` images, of all classes in turn."""
    found = examples.read(
        storage.path(images.train_data),
        num_classes=images.num_classes,
        image_root=storage.path_or_none(images.image_root),
    )
    rank = np.zeros(len(found.labels), int)
    for label in np.unique(found.labels):
        of_class = found.labels == label
        rank[of_class] = np.arange(of_class.sum())
    chosen = np.argsort(rank, kind="stable")[:count]
    path = folder / f"first_{count}.txt"
    lines = [f"{found.names[i]} {found.labels[i]}\n" for i in chosen]
    path.write_text("".join(lines))
    return Images(str(path), str(found.root), images.num_classes)


def large_pictures(folder: Path, count: int, profile: bytes = b"") -> list[str]:
    """JPEG files of two megapixels: paintings, enlarged, with noise.

    In the colours of `profile`, which they carry; without one, in sRGB's.
    """
    folder = folder / ("large_with_profile" if profile else "large")
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    paths = [folder / f"{i:03d}.jpg" for i in range(count)]
    for i, path in enumerate(paths):
        noise = rng.normal(0, 6, (LARGE[1], LARGE[0], 1))
        if not path.is_file():
            style = procedural.STYLES[i % len(procedural.STYLES)]
            picture = Image.fromarray(procedural.paint(style, i, 256))
            pixels = np.asarray(picture.resize(LARGE, Image.Resampling.BICUBIC))
            pixels = (pixels + noise).clip(0, 255).astype(np.uint8)
            picture = Image.fromarray(pixels)
            if profile:
                srgb = ImageCms.createProfile("sRGB")
                # Muted: at the edge of sRGB, what is clipped or averaged first counts.
                grey = Image.new("RGB", picture.size, "grey")
                picture = Image.blend(picture, grey, 0.5)
                picture = ImageCms.profileToProfile(picture, srgb, io.BytesIO(profile))
            picture.save(path, quality=90, icc_profile=profile)
    return [str(path) for path in paths]


def random_weights(folder: Path, name: str) -> str:
    """A weight file of random parameters that keep the size of the activations."""
    path = folder / f"{name}-random.safetensors"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(SEED)
        model = MODELS[name]()
        params = {}
        for layer, (kernel, _) in layer_shapes(model).items():
            # He et al. 2015, eq. 10, has 2: it keeps the size, and biases add to it.
            scale = np.float32(np.sqrt(1.6 / np.prod(kernel[:-1])))
            params[layer] = {
                "kernel": scale * rng.standard_normal(kernel, np.float32),
                "bias": 10 * rng.standard_normal(kernel[-1], np.float32),
            }
        canonical.write(path, params, _metadata(model))
    return str(path)


def random_images(count: int, size: int) -> np.ndarray:
    """Noise in the range of a network's input: float32 [count, size, size, 3]."""
    noise = np.random.default_rng(SEED).random((count, size, size, 3), np.float32)
    return 255 * noise - 116


def _metadata(model) -> dict[str, str]:
    return canonical.model_metadata(model) | {
        "source": "benchmarks",
        "source_sha256": "",
        "source_channel_order": "bgr",
        "resize": "antialias",
        "class_names": "[]",
    }
