"""The same numbers on the CPU and on whatever device JAX finds."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import machine
from benchmarks.material import random_images
from benchmarks.sides.saliency_ours import bind
from jaxart.classifier import from_weights
from jaxart.saliency import work

METHODS = {
    "gradient": {},
    "guided_backprop": {},
    "grad_cam": {},
    "smoothgrad": {"num_samples": 4},
    "integrated_gradients": {"num_steps": 8},
    "occlusion": {"window": 64, "stride": 64},
}


def run(weights: str, count: int) -> dict[str, Any]:
    """The largest differences of logits and maps, relative to the largest value."""
    network = from_weights(Path(weights))
    model = network.model
    images = random_images(count, model.preprocessing["size"])
    differences = {}
    devices = (jax.devices("cpu")[0], jax.devices()[0])
    for method, given in METHODS.items():
        explained = []
        for device in devices:
            with jax.default_device(device), jax.default_matmul_precision("highest"):
                attribute = bind(method, model, given, count)
                # Plain jit: `compiling.jit` asks what the default backend needs.
                step = jax.jit(work.make_step(model, attribute).__wrapped__)
                targets = jnp.arange(count, dtype=jnp.int32)
                arrays = jax.device_put((network.params, images, targets), device)
                explained.append(jax.device_get(step(*arrays)))
        differences[method] = _difference(*(e.maps for e in explained))
        differences["logits"] = _difference(*(e.logits for e in explained))
    return {"seconds": {}, "differences": differences}


def device() -> dict[str, Any]:
    """What JAX runs on, and the packages' versions."""
    first = jax.devices()[0]
    memory = (first.memory_stats() or {}).get("bytes_limit")
    about = {"kind": first.device_kind, "platform": first.platform, "bytes": memory}
    return {"seconds": {}, "device": about, "versions": machine.versions()}


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(a).max())
