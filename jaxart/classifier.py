"""A trained classifier, ready to use: from a weight file, or from a run."""

import difflib
import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxart import runs, storage
from jaxart.data import labels
from jaxart.data.resizing import RESIZE_RULES
from jaxart.models import MODELS, Network, with_todays_name
from jaxart.models.layers import FC_NAMES, HEAD, trainable
from jaxart.storage import AnyPath, results
from jaxart.storage.results import DamagedError
from jaxart.weights import WeightsError, canonical, convert

MAX_CLASSES_IN_ERROR = 30

_FIELDS = {"model": str, "network": dict, "resize": str, "train_layers": list}


class ClassifierError(ValueError):
    """No classifier can be made of what was given; the message says why."""


class Classifier(NamedTuple):
    """A network, its parameters, and what its logits mean."""

    model: Network
    params: Any
    class_names: tuple[str, ...]  # what each logit stands for
    resize: str  # the rule of its training; '' where the weights do not say
    source: AnyPath | None = None  # its run or weight file; None if made by hand
    temperature: float | None = None  # of its run's validation; None if not known

    def __reduce__(self):
        """Travels to another process as where it is from, and is loaded there."""
        if self.source is None:
            raise ClassifierError(
                "this network is from no file and no run, so that no other process can "
                "load it"
            )
        return load, (self.source,)

    def class_index(self, label: str, *, is_name: bool = False) -> int:
        """The class that a name stands for, or, unless `is_name`, an index.

        Raises:
          ClassifierError: there is no such class, or more than one.
        """
        named = labels.position(label, self.class_names)
        if named is not None:
            return named
        index = None if is_name else labels.number(label)
        if index is not None:
            if 0 <= index < len(self.class_names):
                return index
            last = len(self.class_names) - 1
            raise ClassifierError(f"class {label}: the indices are 0 to {last}")
        near = [name for name in self.class_names if name.lower() == label.lower()]
        if len(near) == 1:
            return self.class_names.index(near[0])
        # Names that only differ in their synset, crane (n02012849), count as near.
        start = f"{label} (".lower()
        near += [name for name in self.class_names if name.lower().startswith(start)]
        near = near or difflib.get_close_matches(label, self.class_names)
        if not near and len(self.class_names) <= MAX_CLASSES_IN_ERROR:
            near = list(self.class_names)
        hint = f": one of {', '.join(near)}?" if near else ""
        raise ClassifierError(f"no class is called {label!r}{hint}")


def load(source: str | os.PathLike) -> Classifier:
    """The classifier of a run's best epoch, or of a weight file.

    Args:
      source: a run's folder, or a file of `jaxart convert`; by its URL, too.

    Raises:
      WeightsError: not a usable weight file.
      ClassifierError: no classifier can be made of it.
    """
    path = storage.weights_path(source)
    return from_run(path) if path.is_dir() else from_weights(path)


def from_weights(path: AnyPath) -> Classifier:
    """The classifier that a file of `jaxart convert` holds.

    Raises:
      WeightsError: not such a file.
      ClassifierError: its last layers are missing: it classifies nothing.
    """
    metadata = canonical.read_metadata(path)
    layers = json.loads(metadata["layers"])
    if HEAD not in layers:
        raise ClassifierError(
            f"{path} has no {HEAD}: it tells no classes apart. Give it a head with\n"
            "  jaxart train --config=vgg16_fc8 "
            f"--config.model={metadata['model']} --workdir=RUN "
            f"--config.weights={path} --config.train_data=LIST\n"
            "and then use --workdir=RUN."
        )
    params, _ = canonical.read(path)
    return _of_weights(path, params, metadata)


def from_public_weights(path: AnyPath, stated: convert.Stated) -> Classifier:
    """The classifier that a file of any format holds that `jaxart convert` reads.

    Raises:
      WeightsError: the file is bad, does not fit, or contradicts what is stated.
      ClassifierError: its last layers are missing: it classifies nothing.
    """
    converted = convert.read(path, stated)
    if HEAD not in converted.params:
        raise ClassifierError(f"{path} has no {HEAD}: it tells no classes apart")
    return _of_weights(path, converted.params, converted.metadata)


def _of_weights(
    path: AnyPath, params: Mapping[str, Any], metadata: dict[str, str]
) -> Classifier:
    """Parameters that were read, as what their metadata say."""
    model = MODELS[metadata["model"]](
        num_classes=params[HEAD]["bias"].size,
        hidden=tuple(params[name]["bias"].size for name in FC_NAMES if name in params),
        **canonical.model_fields(metadata),
    )
    missing = [name for name in trainable(model.layers()) if name not in params]
    if missing:
        raise WeightsError(f"{path}: layers {', '.join(missing)} are missing")
    class_names = json.loads(metadata["class_names"])
    if len(class_names) not in (0, model.num_classes):
        raise WeightsError(
            f"{path}: names {len(class_names)} classes for {model.num_classes} logits"
        )
    if metadata["resize"] not in ("", *RESIZE_RULES):
        raise WeightsError(f"{path}: an unknown resize rule: {metadata['resize']!r}")
    return Classifier(
        model,
        jax.tree.map(jnp.asarray, params),
        tuple(class_names) or tuple(str(i) for i in range(model.num_classes)),
        metadata["resize"],
        storage.resolve(path),
    )


def from_run(workdir: AnyPath) -> Classifier:
    """The best epoch of a run of `jaxart train`.

    Raises:
      ClassifierError: the folder holds no run, or one without a checkpoint.
      DamagedError: its config.json or result.json is not as training writes it.
    """
    try:
        config = results.read_json(workdir / "config.json", **_FIELDS)
    except FileNotFoundError:
        raise ClassifierError(
            f"{workdir}: no run of `jaxart train` (config.json is missing)"
        ) from None
    model, class_names, shapes = _described(workdir / "config.json", config)
    checkpoints = runs.Checkpoints(workdir)
    if checkpoints.latest_step is None:
        raise ClassifierError(
            f"{workdir}: the run has no checkpoint yet; the same command of "
            "`jaxart train` goes on with it"
        )
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    params = checkpoints.restore_best(
        jax.tree.map(lambda x: x.update(sharding=device), shapes),
        config["train_layers"],
    )
    checkpoints.close()
    source = storage.resolve(workdir)
    return Classifier(
        *(model, params, class_names),
        *(config["resize"], source, _temperature(workdir)),
    )


def _described(
    path: AnyPath, config: Mapping[str, Any]
) -> tuple[Network, tuple[str, ...], Any]:
    """The network that a config describes, its classes, and its parameters' shapes."""
    name, facts = with_todays_name(config["model"], config["network"])
    try:
        class_names = tuple(facts.pop("classes"))
        facts.pop("preprocessing")
        facts["hidden"] = tuple(facts["hidden"])  # JSON has lists
        model = MODELS[name](**facts)
        return model, class_names, param_shapes(model)
    except (LookupError, TypeError, ValueError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise DamagedError(
            f"{path}: damaged: it describes none of {', '.join(MODELS)} ({reason})"
        ) from None


def _temperature(workdir: AnyPath) -> float | None:
    """What a run's logits are divided by; None where it did not end, or is older."""
    path = workdir / "result.json"
    try:
        temperature = results.read_json(path).get("temperature")
    except FileNotFoundError:
        return None
    if temperature is None or isinstance(temperature, float | int) and temperature > 0:
        return temperature
    raise DamagedError(f"{path}: damaged: temperature is {temperature!r}")


def param_shapes(model: Network) -> Any:
    """A network's parameter tree of shapes and types, without their memory."""
    size = model.preprocessing["size"]
    image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), image)["params"]
