"""A run's own training images, with their features: those of its frozen layers."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from jaxart.app import neighbours
from jaxart.classifier import Classifier
from jaxart.data import features, files, pipeline
from jaxart.devices import layout
from jaxart.models.layers import frozen_boundary
from jaxart.storage import AnyPath, results
from jaxart.training import frozen, sides
from jaxart.training.config import Config

_BATCH_SIZE = 32


class Alike(NamedTuple):
    """A training image, its class, and how alike it is, from -1 to 1."""

    path: AnyPath
    label: str
    cosine: float


class TrainingImages(NamedTuple):
    """Training images of a run that can be searched."""

    layer: str  # whose activations are compared
    paths: list[AnyPath]
    labels: list[str]
    search: neighbours.Search

    def most_alike(
        self, activation: Float32[np.ndarray, "..."], count: int
    ) -> list[Alike]:
        """The training images nearest to an activation of `layer`."""
        nearest = self.search.search(activation.reshape(-1), count)
        return [
            Alike(self.paths[index], self.labels[index], float(cosine))
            for index, cosine in zip(nearest.indices, nearest.cosines, strict=True)
        ]


def are_known(network: Classifier) -> bool:
    """Whether a network is of a run, whose training images can be read."""
    return network.source is not None and (network.source / "config.json").is_file()


def read(network: Classifier, cache_dir: Path | None = None) -> TrainingImages:
    """Reads the lists of a run, and computes features where its training kept none.

    They are the activations of the last layer before those that trained, from the cache
    of the training; of a network that was trained from its first layer, those of pool5.

    Raises:
      ValueError: the network is of no run, or its training images cannot be read.
      OSError: likewise.
    """
    if network.source is None or not are_known(network):
        raise ValueError("this network is of no run: its training images are not known")
    config = _config(network.source)
    train, val = sides.read_examples(config, network.source)
    if cache_dir is None:
        cache_dir = Path(config.cache_dir or files.default_cache_dir())
    looked = sides.look(train, val, cache_dir)
    layers = network.model.layers()
    layer = frozen_boundary(layers, config.train_layers) or "pool5"

    # As the training asked for them, so that its cache answers.
    num_train, views = len(train.names), config.views
    order = [i for i in range(num_train) for _ in views]
    order += range(num_train, len(looked))
    paths = [*train.paths, *val.paths]
    pictures = pipeline.ImageFiles(
        [paths[i] for i in order],
        config.resize,
        network.model.preprocessing,
        [*views] * num_train + ["whole"] * len(val.names),
    )
    part = frozen.Frozen(network.model, network.params, layer)
    rows, reasons = features.compute(
        part.forward(layout.over_all_devices(1).local),
        pictures,
        ["" if looked[i].reason else looked[i].sha256 for i in order],
        prefix=part.describe(),
        dtype=network.model.compute_dtype,
        cache_dir=cache_dir,
        batch_size=_BATCH_SIZE,
    )
    # Of a training image the first view; none of those that cannot be read.
    first = np.arange(num_train) * len(views)
    readable = [i for i in first if not (reasons[i] or looked[order[i]].reason)]
    return TrainingImages(
        layer,
        [paths[order[i]] for i in range(num_train * len(views))],
        [train.class_names[train.labels[order[i]]] for i in first.repeat(len(views))],
        neighbours.index(rows, np.array(readable, np.int64)),
    )


def _config(workdir: AnyPath) -> Config:
    """What a run was."""
    values = results.read_json(workdir / "config.json")
    fields = {}
    for field in dataclasses.fields(Config):
        value = values.get(field.name, field.default)
        fields[field.name] = tuple(value) if isinstance(value, list) else value
    return Config(**fields)
