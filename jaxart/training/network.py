"""A network with its parameters: random, then pretrained where a file is given."""

import dataclasses
import logging
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from clu import parameter_overview
from jaxtyping import Array

from jaxart import storage
from jaxart.classifier import param_shapes
from jaxart.models import MODELS, Network
from jaxart.models.layers import FC_NAMES, trainable
from jaxart.training import optim
from jaxart.training.config import Config
from jaxart.weights import canonical, merge

logger = logging.getLogger(__name__)


def build(config: Config, key: Array) -> tuple[Network, Any]:
    """Makes a network and its parameter tree.

    The layers that train may start from random parameters, which `key` draws, where the
    weights do not fit them; without weights, every layer does.

    Raises:
      ValueError: a layer that is to train is none of the network's.
      WeightsError: the file is missing, damaged, of another network, or does not
        hold what the network needs.
    """
    model = _make_model(config)
    optim.check_train_layers(config.train_layers, trainable(model.layers()))
    params = _make_params(config, model, key)
    logger.info("%s", overview(params, config.train_layers))
    return model, params


def _make_model(config: Config) -> Network:
    """The network, with what a weight file of it says of its layers."""
    fields = {}
    if config.weights:
        metadata = canonical.read_metadata(storage.weights_path(config.weights))
        if metadata["model"] == config.model:
            fields = canonical.model_fields(metadata)
    return MODELS[config.model](
        num_classes=config.num_classes,
        hidden=config.hidden,
        dropout_rate=config.dropout_rate,
        compute_dtype=config.compute_dtype,
        **fields,
    )


def _make_params(config: Config, model: Network, key: Array) -> Any:
    """Pretrained parameters, and random ones where there are none."""
    shapes = param_shapes(model)
    if not config.weights:
        logger.info("weights='': every layer starts from random parameters")
        return draw(shapes, key)
    merged = merge.load(
        storage.weights_path(config.weights),
        shapes,
        model=config.model,
        train_layers=config.train_layers,
        removed_layers=FC_NAMES[len(config.hidden) :],
    )
    for what, names in {
        "from the weights file": merged.loaded_layers,
        "from random parameters": merged.fresh_layers,
        "in the file, not in this network": merged.left_out_layers,
    }.items():
        logger.info("Layers %s: %s", what, ", ".join(names) or "none")

    fresh = {layer: shapes[layer] for layer in shapes if layer in merged.fresh_layers}
    params = merged.params | draw(fresh, key)
    return {layer: params[layer] for layer in shapes}


def draw(shapes: Any, key: Array) -> dict[str, dict[str, np.ndarray]]:
    """Random parameters as the layers draw them: Glorot-uniform kernels, zero biases.

    All numbers are one draw, cut into pieces: a draw a layer compiles much longer.
    Kernels are [..., fan in, fan out].
    """
    num_numbers = sum(arrays["kernel"].size for arrays in shapes.values())
    numbers = np.asarray(jax.random.uniform(key, (num_numbers,), minval=-1))
    params, end = {}, 0
    for layer, arrays in shapes.items():
        kernel, bias = arrays["kernel"], arrays["bias"]
        start, end = end, end + kernel.size
        *window, fan_in, fan_out = kernel.shape
        # Glorot and Bengio 2010, eq. 16
        limit = np.sqrt(6 / (math.prod(window) * (fan_in + fan_out)))
        params[layer] = {
            "kernel": np.float32(limit) * numbers[start:end].reshape(kernel.shape),
            "bias": np.zeros(bias.shape, np.float32),
        }
    return params


def describe(model: Network) -> dict[str, Any]:
    """What it takes to build the network again, as plain data."""
    facts = {
        field.name: getattr(model, field.name)
        for field in dataclasses.fields(model)
        if field.name not in ("relu", "parent", "name")
    }
    return facts | {"preprocessing": model.preprocessing}


@dataclasses.dataclass
class _Row:
    name: str
    shape: tuple[int, ...]
    size: int
    trained: str


def overview(params: Any, train_layers: Sequence[str]) -> str:
    """A table of all parameters that marks those that train."""
    rows = [
        _Row(f"{layer}/{name}", x.shape, x.size, "yes" if layer in train_layers else "")
        for layer, arrays in params.items()
        for name, x in arrays.items()
    ]
    trained = sum(row.size for row in rows if row.trained)
    total = sum(row.size for row in rows)
    table = parameter_overview.make_table(rows)
    return f"{table}\nTotal: {total:,}, trained: {trained:,}"
