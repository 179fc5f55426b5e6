"""What an experiment can set: every field, its default, and what it may hold.

Without JAX: a command's --help needs no more.
"""

import dataclasses
import difflib
import json
import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar, get_args

from ml_collections import ConfigDict

from jaxart.data.resizing import RESIZE_RULES, VIEWS
from jaxart.models import MODELS

HELD = "training"  # in a workdir: what a process holds that trains there

ComputeDtype = Literal["float32", "bfloat16"]
Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["constant", "cosine"]
OnChange = Literal["refuse", "continue"]
Writer = Literal["tensorboardx", "tensorflow"]

T = TypeVar("T")


def _field(default: T, about: str, choices: Iterable[str] = (), bounds: str = "") -> T:
    about_field = {"about": about, "choices": choices, "bounds": bounds}
    return dataclasses.field(default=default, metadata=about_field)


# What a value may be, by what an error says of it.
_POSITIVE, _NOT_NEGATIVE, _SHARE = "at least 1", "not below 0", "from 0 to below 1"
_SEED = "from 0 to 4294967295"
_WIDTHS, _DISTINCT = "whole numbers of at least 1", "at least one, and none twice"
_BOUNDS: dict[str, Callable[[Any], bool]] = {
    _POSITIVE: lambda value: value >= 1,
    _NOT_NEGATIVE: lambda value: value >= 0,
    _SHARE: lambda value: 0 <= value < 1,
    _SEED: lambda value: 0 <= value < 2**32,  # as grain and NumPy take them
    _WIDTHS: lambda values: all(isinstance(x, int) and x >= 1 for x in values),
    _DISTINCT: lambda values: 0 < len(values) == len(set(values)),
}


@dataclasses.dataclass(frozen=True)
class Config:
    """An experiment; `Config.of` makes it of what a file in configs/ sets, checked."""

    # The network.
    model: str = _field("alexnet", "the network", MODELS)
    hidden: tuple[int, ...] = _field(
        (4096, 4096), "widths of fc6 and fc7; none puts fc8 on pool5", bounds=_WIDTHS
    )
    weights: str = _field("", "a file of `jaxart convert`; '' starts from random")
    train_layers: tuple[str, ...] = _field(
        ("fc8",), "the layers to re-train; the rest is frozen"
    )
    num_classes: int = _field(
        0, "classes; 0 is as many as train_data has", bounds=_NOT_NEGATIVE
    )
    dropout_rate: float = _field(0.5, "of fc6's and fc7's outputs", bounds=_SHARE)
    compute_dtype: ComputeDtype = _field(
        "float32", "bfloat16 halves the activations' memory", get_args(ComputeDtype)
    )

    # Training.
    learning_rate: float = _field(0.01, "after the warm-up", bounds=_NOT_NEGATIVE)
    optimizer: Optimizer = _field("sgd", "of the trained layers", get_args(Optimizer))
    momentum: float = _field(0.0, "of sgd", bounds=_NOT_NEGATIVE)
    weight_decay: float = _field(0.0, "of kernels", bounds=_NOT_NEGATIVE)
    schedule: Schedule = _field("constant", "of the learning rate", get_args(Schedule))
    warmup_epochs: float = _field(0.0, "rising from 0", bounds=_NOT_NEGATIVE)
    num_epochs: int = _field(10, "times through the data", bounds=_POSITIVE)
    batch_size: int = _field(128, "of all devices together", bounds=_POSITIVE)
    accumulate_steps: int = _field(
        1, "parts that a batch is worked on in, to save memory", bounds=_POSITIVE
    )
    model_axis: int = _field(
        1, "devices that share the kernels of fc6 and fc7", bounds=_POSITIVE
    )
    display_step: int = _field(
        3, "steps between two entries in TensorBoard", bounds=_POSITIVE
    )
    seed: int = _field(
        0, "of new weights, dropout, views and the order of the images", bounds=_SEED
    )

    # Data.
    train_data: str = _field(
        "", "list file, CSV file or folder of class folders; 'procedural' paints some"
    )
    val_data: str = _field("", "likewise; '' splits val_fraction off train_data")
    val_fraction: float = _field(0.2, "share of each class", bounds=_SHARE)
    split_seed: int = _field(0, "of that split, and of painted pictures", bounds=_SEED)
    image_root: str = _field(
        "", "where relative paths start; '' is the list's own folder"
    )
    any_suffix: bool = _field(
        False, "look into a folder's files whose suffix is no image's, too"
    )
    resize: str = _field("tf1_bilinear", "how an image becomes square", RESIZE_RULES)
    views: tuple[str, ...] = _field(
        ("whole",),
        "what training sees of a picture: one drawn per epoch",
        VIEWS,
        _DISTINCT,
    )
    max_skipped_fraction: float = _field(
        0.1, "more unreadable images than this stop the run", bounds=_SHARE
    )
    check_leaks: bool = _field(True, "look for validation images that training has too")
    num_workers: int = _field(0, "processes that load images; 0 uses threads")

    # The frozen-prefix cache.
    cache: bool = _field(True, "run the frozen part once, not in each epoch")
    cache_dir: str = _field("", "'' is the user's cache folder")

    # What is kept.
    checkpoint_every_epochs: int = _field(
        1, "epochs between two checkpoints", bounds=_POSITIVE
    )
    on_change: OnChange = _field(
        "refuse",
        "what to do where a run goes on with another learning rate or the like",
        get_args(OnChange),
    )
    writer: Writer = _field(
        "tensorboardx", "tensorflow is clu's own, slower to start", get_args(Writer)
    )

    @classmethod
    def of(cls, fields: ConfigDict) -> "Config":
        """What the fields set, once every one is there, is known, and may be so.

        Raises:
          ValueError: names the field, its value and what it may be.
        """
        check_names(fields)
        missing = [field for field in base_config() if field not in fields]
        if missing:
            raise ValueError(
                f"config fields {missing} are missing; base_config() of "
                "jaxart.training.config has them"
            )
        if not fields.train_data:
            raise ValueError(
                "train_data is empty: --config.train_data=LIST, CSV or FOLDER of class "
                "folders ('procedural' paints some)"
            )
        values: dict[str, Any] = {}  # untyped in a ConfigDict, checked here
        for field in dataclasses.fields(cls):
            value = fields[field.name]
            is_tuple = isinstance(field.default, tuple)
            values[field.name] = _listed(value) if is_tuple else value
            _check(field, values[field.name])
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The fields in order, as JSON has them."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def base_config() -> ConfigDict:
    """The defaults; a file in configs/ changes what its experiment is about."""
    return ConfigDict(
        {field.name: field.default for field in dataclasses.fields(Config)}
    )


def check_names(fields: Iterable[str]) -> None:
    """Raises a ValueError that names a field that there is not, and the near one."""
    known = list(base_config())
    for field in fields:
        if field not in known:
            near = difflib.get_close_matches(field, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {known}"
            raise ValueError(f"unknown config field {field!r}; {hint}")


def _check(field: dataclasses.Field, value: Any) -> None:
    choices, bounds = field.metadata["choices"], field.metadata["bounds"]
    chosen = value if isinstance(value, tuple) else (value,)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{field.name}={value!r}: a finite number, {bounds}")
    is_wrong = choices and not set(chosen) <= set(choices)
    if is_wrong or (bounds and not _BOUNDS[bounds](value)):
        allowed = [f"one of {', '.join(choices)}"] if choices else []
        allowed += [bounds] if bounds else []
        raise ValueError(f"{field.name}={value!r}: {'; '.join(allowed)}")


def _listed(values: Any) -> tuple[Any, ...]:
    """A field's values; a text among them has some, with commas between them."""
    # ml_collections makes ('whole,center',) of --config.views=whole,center, and ('',)
    # of nothing.
    listed = []
    for value in [values] if isinstance(values, str) else values:
        if isinstance(value, str):
            listed += filter(None, map(str.strip, value.split(",")))
        else:
            listed.append(value)
    return tuple(listed)
