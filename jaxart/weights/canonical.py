"""Our own weight file: safetensors, with the facts that its arrays do not show.

Arrays are float32 under flat names (`conv1/kernel`), kernels HWIO, input BGR. The
metadata, text to text as safetensors has it, say which network the file is for, how
images must be prepared, and where the weights come from.

Source: https://huggingface.co/docs/safetensors.
"""

import hashlib
import json
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jaxart import storage
from jaxart.models import MODELS, Network, name_of, with_todays_name
from jaxart.storage import AnyPath
from jaxart.weights.errors import WeightsError, refuse_bad_file
from jaxart.weights.known_files import command_for
from jaxart.weights.layout import Params

_FORMAT = "jaxart"
_CHECKSUMS = "content_xxh3"  # which files of earlier versions lack
_FACTS = "metadata"  # in the place of a tensor's name
_REQUIRED_METADATA = (
    "format",
    "model",
    "source",
    "source_sha256",
    "channel_order",
    "source_channel_order",
    "mean",
    "size",
    "resize",
    "layers",
    "class_names",
    "content_blake2b",
)


def write(
    path: AnyPath,
    params: Params,
    metadata: dict[str, str],
) -> None:
    """Writes a canonical file whole or not at all; parameters are in network order.

    The metadata are what `model_metadata` gives, and `source` (a file name),
    `source_sha256`, `source_channel_order`, `resize` (the rule of its training; '' if
    unknown) and `class_names` (a JSON list, empty if unknown). The rest is put in.

    Raises:
      WeightsError: an array is not finite, or metadata are missing.
      StorageError: the disk has no room for it.
    """
    metadata = metadata | {
        "format": _FORMAT,
        "channel_order": "bgr",
        "layers": json.dumps(list(params)),
        "content_blake2b": "",
    }
    missing = _missing_metadata(metadata)
    if missing:
        raise WeightsError(f"{path}: not written: metadata {missing} are missing")
    tensors = _flat(params)
    _check_finite(path, tensors)
    metadata[_CHECKSUMS] = json.dumps(_checksums(tensors, metadata))
    metadata["content_blake2b"] = _content_blake2b(tensors, metadata)
    num_bytes = sum(array.nbytes for array in tensors.values())
    storage.require_room(path, num_bytes)
    with storage.written(path) as file:
        file.touch()
        mode = file.stat().st_mode  # the user's own; save_file makes it private
        save_file(tensors, file, metadata)
        file.chmod(mode)


def read(path: AnyPath) -> tuple[Params, dict[str, str]]:
    """Reads a canonical file: the parameters in network order, and the metadata.

    What was written with checksums is compared with them.

    Raises:
      WeightsError: not a canonical file, or not a sound one: says what is damaged.
      FileNotFoundError: there is no such file; says how to get it.
    """
    metadata = read_metadata(path)
    stored = _stored_metadata(path)
    copy = storage.local_copy(path)
    with refuse_bad_file(path), safe_open(copy, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        params = {
            layer: {name: tensors[f"{layer}/{name}"] for name in ("kernel", "bias")}
            for layer in json.loads(metadata["layers"])
        }
        if len(tensors) != 2 * len(params):
            raise WeightsError("its arrays are not those of the layers it names")
        for name, array in tensors.items():
            if array.dtype != np.float32:
                raise WeightsError(f"{name} is {array.dtype}, not float32")
        _require_checksums(tensors, stored)
    _check_finite(path, tensors)
    return params, metadata


def verify(path: AnyPath) -> tuple[Params, dict[str, str]]:
    """As `read`, and requires every bit to be as it was written."""
    params, metadata = read(path)
    stored = _stored_metadata(path)
    if _content_blake2b(_flat(params), stored) != stored["content_blake2b"]:
        raise WeightsError(f"{path}: damaged: its content is not what was written")
    return params, metadata


def is_canonical(path: AnyPath) -> bool:
    """Tells whether a file, which is there, calls itself a canonical one."""
    copy = storage.local_copy(path)
    try:
        with safe_open(copy, framework="numpy") as file:
            return (file.metadata() or {}).get("format") == _FORMAT
    except SafetensorError:
        return False


def read_metadata(path: AnyPath) -> dict[str, str]:
    """Reads what a canonical file says about itself, without its arrays, as `read`."""
    metadata = _stored_metadata(path)
    model, facts = with_todays_name(metadata["model"], metadata)
    if model not in MODELS:
        raise WeightsError(
            f"{path}: the weights are for {model!r}; the networks are "
            f"{', '.join(MODELS)}"
        )
    return facts | {"model": model}


def _stored_metadata(path: AnyPath) -> dict[str, str]:
    if not path.is_file():
        command = command_for(path)
        hint = (
            f"get it with: {command}"
            if command
            else "`jaxart convert` makes one (--help says from what)"
        )
        raise FileNotFoundError(f"{path}: no such weight file; {hint}")
    convert = (
        "convert the file with: jaxart convert "
        f"--model={'|'.join(MODELS)} --src={path} --out=FILE.safetensors"
    )
    with (
        refuse_bad_file(path, note=f"; {convert}"),
        safe_open(storage.local_copy(path), framework="numpy") as file,
    ):
        metadata = file.metadata() or {}
    missing = _missing_metadata(metadata)
    if missing or metadata["format"] != _FORMAT or metadata["channel_order"] != "bgr":
        raise WeightsError(
            f"{path}: not a jaxart weight file (metadata missing: {missing}); {convert}"
        )
    return metadata


def model_metadata(model: Network) -> dict[str, str]:
    """What a file's metadata say of the network that it is for: a part of `write`'s."""
    facts = model.preprocessing
    return {
        "model": name_of(model),
        "mean": json.dumps(list(facts["mean"])),
        "size": str(facts["size"]),
        **{name: repr(getattr(model, name)) for name in model.trained_with},
    }


def model_fields(metadata: dict[str, str]) -> dict[str, Any]:
    """Returns the fields of the model class that a file's metadata fix, by name."""
    names = MODELS[metadata["model"]].trained_with
    return {name: float(metadata[name]) for name in names}


def _missing_metadata(metadata: dict[str, str]) -> list[str]:
    model = metadata.get("model", "")
    fields = MODELS[model].trained_with if model in MODELS else ()
    return [key for key in (*_REQUIRED_METADATA, *fields) if key not in metadata]


def _flat(params: Params) -> dict[str, np.ndarray]:
    return {
        f"{layer}/{name}": np.ascontiguousarray(arrays[name], np.float32)
        for layer, arrays in params.items()
        for name in ("kernel", "bias")  # as `read` gives them
    }


def _checksums(
    tensors: dict[str, np.ndarray], metadata: dict[str, str]
) -> dict[str, str]:
    """XXH3 of each array with its name and shape, and of the other metadata."""
    facts = metadata | {"content_blake2b": "", _CHECKSUMS: ""}
    sums = {_FACTS: storage.checksum(json.dumps(facts, sort_keys=True).encode())}
    for name, array in tensors.items():
        sums[name] = storage.checksum(f"{name} {array.shape}".encode(), array)
    return sums


def _require_checksums(
    tensors: dict[str, np.ndarray], metadata: dict[str, str]
) -> None:
    """Raises `WeightsError`, which names what is not as it was written."""
    if _CHECKSUMS not in metadata:
        return
    written = json.loads(metadata[_CHECKSUMS])
    sums = _checksums(tensors, metadata)
    damaged = [name for name in sums if sums[name] != written.get(name)]
    if damaged:
        raise WeightsError(f"damaged: not as it was written: {', '.join(damaged)}")


def _content_blake2b(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> str:
    """The hash of the metadata, without it, and of the arrays, in order."""
    facts = {**metadata, "content_blake2b": ""}
    digest = hashlib.blake2b(json.dumps(facts, sort_keys=True).encode())
    for name, array in tensors.items():
        digest.update(f"{name} {array.shape}".encode())
        digest.update(array.data.cast("B"))
    return digest.hexdigest()


def _check_finite(path: AnyPath, tensors: dict[str, np.ndarray]) -> None:
    bad = [name for name, array in tensors.items() if not np.isfinite(array).all()]
    if bad:
        raise WeightsError(f"{path}: not finite: {', '.join(bad)}")
