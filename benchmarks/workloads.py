"""Every workload: our side, the peer's, and how much work it is."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import flops, material
from jaxart.data import colours
from jaxart.models import VGG16, AlexNet


@dataclasses.dataclass(frozen=True)
class Call:
    """What one process runs.

    Attributes:
      function: 'module:name', in benchmarks.sides.
      settings: its arguments, as JSON has them.
    """

    function: str
    settings: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Workload:
    """The same work for us and for others.

    Attributes:
      title: what it is, for the table.
      ours: our side.
      peers: the other sides, by what tells them apart.
      items: how many images each measure's seconds are for, by measure.
      flops: of convolutions and products, for an image; 0 where they say nothing.
      rounds: how often each side is asked.
    """

    title: str
    ours: Call
    peers: dict[str, Call]
    items: dict[str, float]
    flops: float = 0
    rounds: int = 3


@dataclasses.dataclass(frozen=True)
class Setup:
    """What was asked for.

    Attributes:
      cache: folder for paintings and weights.
      data: images of one's own, or ''.
      image_root: where their paths start.
      weights: weight files by network; random ones where there is none.
      epochs: of fine-tuning.
      peer_epochs: how many of them the peer really runs.
      peer_images: how many training images the peer really runs through VGG16.
      saliency_images: how many images get vanilla gradients.
      quick: tiny sizes.
    """

    cache: Path
    data: str = ""
    image_root: str = ""
    weights: dict[str, str] = dataclasses.field(default_factory=dict)
    epochs: int = 10
    peer_epochs: int = 1
    peer_images: int = 128
    saliency_images: int = 64
    quick: bool = False

    def pick(self, full: Any, quick: Any) -> Any:
        """One of two sizes."""
        return quick if self.quick else full

    def weights_of(self, name: str) -> str:
        """A network's weight file."""
        return self.weights.get(name) or material.random_weights(self.cache, name)

    def images(self) -> material.Images:
        """The images to learn from and to explain."""
        if self.data:
            return material.given_images(self.data, self.image_root)
        return material.paintings(self.cache, *self.pick((60, 256), (3, 64)))


def w1_alexnet(setup: Setup) -> Workload:
    """Fine-tunes AlexNet as configs/fc7_fc8.py does."""
    images = setup.images()
    count = len(images.paths)
    return _fine_tuning(
        setup,
        images,
        title=f"fine-tune AlexNet fc7, fc8; {count} images, {_epochs(setup)} epochs",
        config="fc7_fc8",
        model="alexnet",
        hidden=[4096, 4096],
        train_layers=["fc7", "fc8"],
        optimizer={"lr": 0.01},
        items={"total": count * _epochs(setup), "later_epoch": count},
        cache_dir="",
        limit=None,
    )


def w1_vgg16(setup: Setup) -> Workload:
    """Epochs of configs/vgg16_fc8.py once the frozen layers have run."""
    images = setup.images()
    count = len(images.paths)
    return _fine_tuning(
        setup,
        images,
        title=f"fine-tune a head on VGG16's pool5; {count} images",
        config="vgg16_fc8",
        model="vgg16",
        hidden=[],
        train_layers=["fc8"],
        optimizer={"lr": 3e-4, "momentum": 0.9, "weight_decay": 0.03},
        items={"later_epoch": count},
        cache_dir=str(setup.cache / "features"),
        limit=setup.pick(setup.peer_images, 4),
    )


def _epochs(setup: Setup) -> int:
    return setup.pick(setup.epochs, 2)


def _fine_tuning(
    setup: Setup,
    images: material.Images,
    *,
    title: str,
    items: dict[str, float],
    config: str,
    cache_dir: str,
    limit: int | None,
    **network: Any,
) -> Workload:
    common = images.settings | {
        "weights": setup.weights_of(network["model"]),
        "batch_size": setup.pick(128, 8),
        "epochs": _epochs(setup),
    }
    peer = common | network | {"measured_epochs": setup.peer_epochs, "limit": limit}
    return Workload(
        title,
        Call("train_ours:run", common | {"config": config, "cache_dir": cache_dir}),
        _variants("train_torch:run", peer, "plain", "channels_last", "compiled"),
        items,
    )


def w2_alexnet(setup: Setup) -> Workload:
    """AlexNet's frozen layers."""
    return _forward(setup, "alexnet", "relu6", 128, 8, flops.forward(AlexNet(), "fc6"))


def w2_vgg16(setup: Setup) -> Workload:
    """The whole of VGG16."""
    return _forward(setup, "vgg16", "fc8", 8, 1, flops.forward(VGG16()))


def _forward(
    setup: Setup, name: str, upto: str, batch: int, quick_batch: int, work: float
) -> Workload:
    batch = setup.pick(batch, quick_batch)
    settings = {
        "weights": setup.weights_of(name),
        "batch_size": batch,
        "repeats": setup.pick(2, 1),
    }
    peer = settings | {"model": name, "upto": upto}
    return Workload(
        f"{name} forward to {upto}, batch {batch}",
        Call(f"forward_ours:{name}", settings),
        _variants(
            *("forward_torch:run", peer, "plain", "channels_last", "compiled"),
            "compiled+channels_last",
        ),
        {"forward": batch},
        work,
        rounds=setup.pick(15, 1),
    )


def w3(setup: Setup) -> Workload:
    """Vanilla gradients of VGG16, files to maps."""
    count, batch = setup.pick((setup.saliency_images, 8), (4, 2))
    settings = {
        "weights": setup.weights_of("vgg16"),
        "paths": setup.images().paths[:count],
        "batch_size": batch,
    }
    count = len(settings["paths"])
    return Workload(
        f"VGG16 gradients, {count} files to maps",
        Call("saliency_ours:folder", settings | {"method": "gradient", "given": {}}),
        _variants(
            *("saliency_torch:folder", settings, "captum", "captum+channels_last"),
            *("autograd", "autograd+channels_last", "autograd+compiled"),
        ),
        {"total": count, "after_first_batch": count - batch},
        _gradient_flops(1),
    )


def w4_smoothgrad(setup: Setup) -> Workload:
    """SmoothGrad of VGG16."""
    return _sampling(
        setup,
        "smoothgrad",
        {"num_samples": setup.pick(25, 2)},
        setup.pick(4, 1),
        {
            "8 at once": {"copies": 2, "variant": "plain"},
            "16 at once": {"copies": 4, "variant": "plain"},
            "8 at once, channels last": {"copies": 2, "variant": "channels_last"},
        },
    )


def w4_integrated_gradients(setup: Setup) -> Workload:
    """Integrated gradients of VGG16."""
    return _sampling(
        setup,
        "integrated_gradients",
        {"num_steps": setup.pick(50, 2)},
        setup.pick(2, 1),
        {
            "8 at once": {"at_once": 8, "variant": "plain"},
            "16 at once": {"at_once": 16, "variant": "plain"},
            "8 at once, channels last": {"at_once": 8, "variant": "channels_last"},
        },
    )


def _sampling(
    setup: Setup,
    method: str,
    given: dict[str, int],
    count: int,
    peers: dict[str, dict[str, Any]],
) -> Workload:
    (samples,) = given.values()
    settings = {
        "weights": setup.weights_of("vgg16"),
        "paths": setup.images().paths[:count],
    }
    ours = {"batch_size": 8, "method": method, "given": given}
    return Workload(
        f"VGG16 {method}, {samples} samples, {count} images",
        Call("saliency_ours:in_memory", settings | ours),
        {
            name: Call(f"saliency_torch:{method}", settings | given | own)
            for name, own in peers.items()
        },
        {"maps": count},
        _gradient_flops(samples),
    )


def _gradient_flops(samples: int) -> float:
    """Gradients with respect to the image: the way back is as long as the way there."""
    return samples * 2 * flops.forward(VGG16())


def w5(setup: Setup) -> Workload:
    """Decoding and resizing, one thread."""
    paths = material.large_pictures(setup.cache, setup.pick(20, 2))
    settings = {
        "paths": paths,
        "repeats": 1,
        "preprocessing": VGG16.preprocessing,
    }
    return Workload(
        f"decode and resize {len(paths)} JPEG files of 2 megapixels",
        Call("decode:ours", settings),
        {"Pillow": Call("decode:pillow", settings)},
        {"decode": len(paths)},
        rounds=setup.pick(15, 1),
    )


def w5_profile(setup: Setup) -> Workload:
    """The same pictures in Adobe RGB, whose profile they carry."""
    count = setup.pick(20, 2)
    adobe_rgb = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    profile = colours.rgb_profile(adobe_rgb, 1 / 2.19921875)
    settings = {
        "paths": material.large_pictures(setup.cache, count, profile),
        "repeats": 1,
        "preprocessing": VGG16.preprocessing,
    }
    return Workload(
        f"decode and resize {count} JPEG files of 2 megapixels with a colour profile",
        Call("decode:ours", settings),
        {"Pillow and ImageCms": Call("decode:managed_pillow", settings)},
        {"decode": count},
        rounds=setup.pick(15, 1),
    )


def w6(setup: Setup) -> Workload:
    """From the command to the first training step; there is no peer."""
    images = material.paintings(setup.cache, 4, 64)
    settings = images.settings | {
        "weights": setup.weights_of("alexnet"),
        "cache_dir": str(setup.cache / "start"),
    }
    return Workload(
        "seconds to the first step of configs/fc7_fc8.py",
        Call("start:run", settings),
        {},
        {"cold": 1, "warm": 1},
    )


def _variants(
    function: str, settings: dict[str, Any], *variants: str
) -> dict[str, Call]:
    return {
        variant: Call(function, settings | {"variant": variant}) for variant in variants
    }


WORKLOADS: dict[str, Callable[[Setup], Workload]] = {
    function.__name__: function
    for function in (
        *(w1_alexnet, w1_vgg16, w2_alexnet, w2_vgg16),
        *(w3, w4_smoothgrad, w4_integrated_gradients, w5, w5_profile, w6),
    )
}
