"""A classifier's parameters for weight files: ours, and Caffe's in a `.npy`."""

import hashlib
import json
from pathlib import Path

import numpy as np

from jaxart import storage
from jaxart.classifier import Classifier
from jaxart.models.layers import trainable
from jaxart.storage import AnyPath
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

    Raises:
      OSError: the file cannot be written.
    """
    layers = {
        layer: [pair["kernel"], pair["bias"]] for layer, pair in arrays(network).items()
    }
    with open(path, "wb") as file:  # np.save itself would add .npy to a name in .NPY
        np.save(file, np.asarray(layers, object))


def run_metadata(network: Classifier, workdir: AnyPath) -> dict[str, str]:
    """What a canonical file of a run's network says of itself.

    Raises:
      OSError: the run's config.json cannot be read.
    """
    config = (workdir / "config.json").read_bytes()
    return canonical.model_metadata(network.model) | {
        "source": f"the run {storage.resolve(workdir).name}",
        "source_sha256": hashlib.sha256(config).hexdigest(),
        "source_channel_order": network.model.preprocessing["channel_order"],
        "class_names": json.dumps(list(network.class_names)),
        "resize": network.resize,
    }
