"""Other people's weight files become ours: read, checked, turned and described.

Whatever the source's colours, what comes of it takes BGR less Caffe's mean.
"""

import concurrent.futures
import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxart import storage
from jaxart.models import MODELS, Network, imagenet
from jaxart.models.layers import FC_NAMES, HEAD
from jaxart.storage import AnyPath
from jaxart.weights import canonical, sources
from jaxart.weights.channel_order import for_caffe_input, recognise_channel_order
from jaxart.weights.errors import WeightsError
from jaxart.weights.layout import Params
from jaxart.weights.merge import check_fit


class Converted(NamedTuple):
    """A source as it would be written, or a converted file as it is."""

    params: Params  # for BGR input, in network order
    metadata: dict[str, str]
    remark: str  # how the channel order is known, or that the file is sound
    contradiction: str  # what the first layer's values say against the order, or ''


@dataclasses.dataclass(frozen=True)
class Stated:
    """What a user says of a source; its file may say some of that, too."""

    model: str  # a name of `models.MODELS`
    channel_order: str | None = None  # one of `choices.CHANNEL_ORDERS`
    class_names: AnyPath | None = None  # a file with one a line, in the logits' order
    lrn_alpha: float | None = None  # Caffe's, before its division by the local size


def convert(src: AnyPath, stated: Stated) -> Converted:
    """Reads a source, requires it to be the model that is stated, and turns it.

    Raises:
      WeightsError: the source is bad, does not fit, or contradicts what is stated.
      OSError: the source cannot be opened.
    """
    network = _network(stated)
    path = storage.local_copy(src)
    if canonical.is_canonical(path):
        raise WeightsError(f"{path}: is a jaxart weight file already")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        digest = pool.submit(storage.version, path)  # hashing takes as long as reading
        source = sources.read(path, network)
    layers = _require_fit(path, stated.model, source.params)
    params = {layer: dict(source.params[layer]) for layer in layers}
    order, contradiction = _channel_order(path, source, stated.channel_order)
    first = params[next(iter(params))]
    first["kernel"], first["bias"] = for_caffe_input(
        first["kernel"], first["bias"], order, network.preprocessing["mean"]
    )
    metadata = canonical.model_metadata(network) | {
        "source": path.name,
        "source_sha256": digest.result(),
        "source_channel_order": order,
        "resize": "",
        "class_names": json.dumps(_class_names(path, params, stated.class_names)),
    }
    return Converted(params, metadata, source.reason, contradiction)


def read(src: AnyPath, stated: Stated) -> Converted:
    """As `convert`, of a source that says nothing against what is stated.

    Raises:
      WeightsError: as `convert`; or the values contradict the order stated.
      OSError: the source cannot be opened.
    """
    converted = convert(src, stated)
    if converted.contradiction:
        raise WeightsError(f"{src}: {converted.contradiction}")
    return converted


def write(out: AnyPath, src: AnyPath, stated: Stated) -> Converted:
    """Converts a source to a file; returns what is in it.

    Raises:
      WeightsError: as `read`.
      OSError: the source cannot be opened, or `out` not be written.
    """
    converted = read(src, stated)
    canonical.write(out, converted.params, converted.metadata)
    return converted._replace(metadata=canonical.read_metadata(out))


def check(path: AnyPath, stated: Stated | None) -> Converted:
    """Looks at a converted file, or at what would become of a source as `stated`.

    Raises:
      WeightsError: as `convert`; or a converted file is damaged.
      OSError: the file cannot be opened.
    """
    if not canonical.is_canonical(path):
        if stated is None:
            raise WeightsError("--check of a file that is not converted needs --model")
        return convert(path, stated)
    params, metadata = canonical.verify(path)
    _require_fit(path, metadata["model"], params)
    remark = "sound: every bit is as it was written"
    return Converted(params, metadata, remark, _contradiction(params, "bgr"))


def describe(converted: Converted) -> str:
    """A table of the layers, and what is known of them, for people."""
    params = converted.params
    lines = [f"{'layer':<10}{'kernel':<18}{'kernel norm':>12}{'bias norm':>12}"]
    for layer, arrays in params.items():
        shape = "x".join(map(str, arrays["kernel"].shape))
        kernel_norm, bias_norm = (
            np.linalg.norm(arrays[name].ravel()) for name in ("kernel", "bias")
        )
        lines.append(f"{layer:<10}{shape:<18}{kernel_norm:>12.4f}{bias_norm:>12.4f}")
    if HEAD not in params:
        lines.append("(no fully connected layers)")
    facts = {key: text for key, text in converted.metadata.items() if key != "layers"}
    names = json.loads(facts["class_names"])
    facts["class_names"] = (
        f"{len(names)}, {names[0]} to {names[-1]}" if names else "not named"
    )
    lines += ["", *(f"{key}: {text}" for key, text in sorted(facts.items()))]
    return "\n".join(lines)


def _require_fit(path: AnyPath, model: str, params: Params) -> list[str]:
    """Requires a network of this kind, of any head; returns its layers in order."""

    def width(layer: str, default: int) -> int:
        return int(np.size(params.get(layer, {}).get("bias", np.empty(default))))

    size = MODELS[model].preprocessing["size"]
    has_fc = any(layer.startswith("fc") for layer in params)
    network = MODELS[model](
        num_classes=width(HEAD, imagenet.NUM_CLASSES),
        hidden=tuple(width(name, 4096) for name in FC_NAMES if name in params),
    )
    images = jnp.zeros((1, size, size, 3))
    wanted = jax.eval_shape(lambda: network.init(jax.random.key(0), images))["params"]
    if not has_fc:
        wanted = {name: value for name, value in wanted.items() if name != HEAD}
    try:
        check_fit(wanted, params)
    except WeightsError as error:
        raise WeightsError(f"{path}: for {model}: {error}") from None
    return list(wanted)


def _channel_order(
    path: Path, source: sources.Source, stated: str | None
) -> tuple[str, str]:
    """What the first layer takes, and what its values say against it."""
    order = stated or source.channel_order
    if order is None:
        raise WeightsError(
            f"{path}: the file does not say its channel order: state "
            "--channel-order=rgb (the public vgg16_weights.npz is RGB), "
            "--channel-order=bgr (weights in Caffe's order) or "
            "--channel-order=torchvision"
        )
    if source.channel_order in (None, order):
        return order, ""
    if source.is_recognised:
        return order, _contradiction(source.params, order)
    raise WeightsError(
        f"{path}: --channel-order={stated}, but {source.reason}: leave the flag out"
    )


def _contradiction(params: Params, channel_order: str) -> str:
    known = recognise_channel_order(params)
    if known in (None, channel_order):
        return ""
    return (
        f"the channel order stated is {channel_order}, but the first layer is the "
        f"Oxford VGG16's in {known} order: the right flag is --channel-order={known}"
    )


def _class_names(path: Path, params: Params, name_file: AnyPath | None) -> list[str]:
    num_classes = params[HEAD]["bias"].size if HEAD in params else 0
    if name_file is None:
        return list(imagenet.class_names()) if num_classes == 1000 else []
    names = [line.strip() for line in name_file.read_text("utf-8").splitlines()]
    names = [name for name in names if name]
    if len(names) != num_classes:
        raise WeightsError(
            f"{name_file}: {len(names)} names for the {num_classes} classes of {path}"
        )
    return names


def _network(stated: Stated) -> Network:
    """The network that is stated, as wide as it was published."""
    kind = MODELS[stated.model]
    if stated.lrn_alpha is None:
        return kind()
    if "lrn_alpha" not in kind.trained_with:
        raise WeightsError(f"--lrn-alpha: {stated.model} has no response norm")
    fields: dict[str, Any] = {"lrn_alpha": stated.lrn_alpha}
    return kind(**fields)
