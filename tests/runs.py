"""Classifiers for tests: what a finished run leaves, without the training."""

import json
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxart.models import AlexNet, Network
from jaxart.models.layers import Convolution, MaxPool
from jaxart.runs import Checkpoints, Progress
from jaxart.training import network, optim


class TinyNet(Network):
    """Two convolutions on 16 x 16 pixels: compiles and runs in no time."""

    preprocessing: ClassVar = {
        "size": 16,
        "channel_order": "bgr",
        "mean": (103.939, 116.779, 123.68),
    }

    @nn.nowrap
    def convolutions(self):
        return {
            "conv1": Convolution(6, 3, pad=1, parent=None),
            "relu1": self.relu,
            "pool1": MaxPool(2, 2, parent=None),
            "conv5": Convolution(8, 3, pad=1, parent=None),
            "relu5": self.relu,
            "pool5": MaxPool(2, 2, parent=None),
        }


def random_params(model, seed=0):
    """Parameters that give logits of a few units for any photograph."""
    rng = np.random.default_rng(seed)
    size = model.preprocessing["size"]
    image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), image)["params"]

    def draw(path, shape):
        if path[-1].key == "bias":
            return jnp.asarray(rng.normal(size=shape.shape), jnp.float32)
        scale = np.sqrt(2 / np.prod(shape.shape[:-1]))
        scale *= 0.02 if path[0].key == "conv1" else 1
        return jnp.asarray(scale * rng.normal(size=shape.shape), jnp.float32)

    return jax.tree.map_with_path(draw, shapes)


def small_alexnet(seed=0, **fields):
    """AlexNet with fc8 straight on pool5, and random parameters."""
    model = AlexNet(**{"num_classes": 3, "hidden": ()} | fields)
    return model, random_params(model, seed)


def write(workdir, model, params, classes, resize="tf1_bilinear", **progress):
    """Writes config.json and a checkpoint, as `jaxart train` does."""
    progress = {"step": 1, "accuracy": 0.5} | progress
    facts = network.describe(model) | {"classes": classes}
    name = type(model).__name__.lower()
    config = {"model": name, "resize": resize, "network": facts}
    config |= {"train_layers": ["fc8"]}
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "config.json").write_text(json.dumps(config))
    checkpoints = Checkpoints(workdir)
    checkpoints.save_frozen(optim.only_frozen(params, ["fc8"]))
    checkpoints.save(
        Progress(progress["step"], 1.0, 1),
        optim.only_trained(params, ["fc8"]),
        {"count": jnp.int32(progress["step"])},
        config=config,
        metrics={"accuracy": progress["accuracy"]},
    )
    checkpoints.close()
