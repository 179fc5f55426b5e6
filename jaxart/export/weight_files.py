"""A classifier's parameters for weight files: ours, and Caffe's in a `.npy`."""

import hashlib
import json
from pathlib import Path

import numpy as np

from jaxart.classifier import Classifier
from jaxart.models.layers import trainable
from jaxart.weights import canonical
from jaxart.weights.layout import Params


def arrays(network: Classifier) -> Params:
    """The parameters `{'conv1': {'kernel', 'bias'}, ...}`, in network order."""
    return {
        layer: {
            name: np.asarray(network.params[layer][name], np.float32)
            for name in ("kernel", "bias")
        }
        for layer in trainable(network.model.layers())
    }


def write_npy(path: Path, network: Classifier) -> None:
    """Writes a pickled dict `{'conv1': [kernel, bias], ...}`, as bvlc_alexnet.npy is.

    Kernels are HWIO, fully connected ones (in, out) in H, W, C order, input BGR.
    """
    layers = {
        layer: [pair["kernel"], pair["bias"]] for layer, pair in arrays(network).items()
    }
    with open(path, "wb") as file:  # np.save itself would add .npy to a name in .NPY
        np.save(file, np.asarray(layers, object))


def write_safetensors(path: Path, network: Classifier) -> None:
    """Writes a file as `jaxart convert` does; it says what the network's own says."""
    canonical.write(path, arrays(network), _metadata(network))


def _metadata(network: Classifier) -> dict[str, str]:
    source = network.source
    if source and not source.is_dir():
        return canonical.read_metadata(source)
    config = (source / "config.json").read_bytes() if source else b""
    return canonical.model_metadata(network.model) | {
        "source": f"the run {source.name}" if source else "a program",
        "source_sha256": hashlib.sha256(config).hexdigest() if source else "",
        "source_channel_order": network.model.preprocessing["channel_order"],
        "class_names": json.dumps(list(network.class_names)),
        "resize": network.resize,
    }
