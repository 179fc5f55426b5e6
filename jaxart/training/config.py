"""What an experiment can set: every field, its default, and what it may hold.

Without JAX: a command's --help needs no more.
"""

import dataclasses
import difflib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

from ml_collections import ConfigDict

from jaxart.data.images import RESIZE_RULES, VIEWS
from jaxart.models import MODELS

ComputeDtype = Literal["float32", "bfloat16"]
Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["constant", "cosine"]
Writer = Literal["tensorboardx", "tensorflow"]


def _field(
    default: Any, about: str, choices: Iterable[str] = (), bounds: str = ""
) -> Any:
    about_field = {"about": about, "choices": choices, "bounds": bounds}
    return dataclasses.field(default=default, metadata=about_field)


# What a number may be, by what an error says of it.
_POSITIVE, _NOT_NEGATIVE, _SHARE = "at least 1", "not below 0", "from 0 to below 1"
_BOUNDS = {
    _POSITIVE: lambda value: value >= 1,
    _NOT_NEGATIVE: lambda value: value >= 0,
    _SHARE: lambda value: 0 <= value < 1,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """An experiment, checked: `Config.of` makes it of what a file in configs/ sets."""

    # The network.
    model: str = _field("alexnet", "the network", MODELS)
    hidden: Sequence[int] = _field(
        (4096, 4096), "widths of fc6 and fc7; () puts fc8 on pool5"
    )
    weights: str = _field("", "a file of `jaxart convert`; '' starts from random")
    train_layers: Sequence[str] = _field(
        ("fc8",), "the layers to re-train; the rest is frozen"
    )
    num_classes: int = _field(10, "classes", bounds=_POSITIVE)
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
    seed: int = _field(0, "of all that is drawn")

    # Data.
    train_data: str = _field(
        "", "list file, CSV file or folder of class folders; 'procedural' paints some"
    )
    val_data: str = _field("", "likewise; '' splits val_fraction off train_data")
    val_fraction: float = _field(0.2, "share of each class", bounds=_SHARE)
    image_root: str = _field(
        "", "where relative paths start; '' is the list's own folder"
    )
    resize: str = _field("tf1_bilinear", "how an image becomes square", RESIZE_RULES)
    views: Sequence[str] = _field(
        ("whole",), "what training sees of a picture: one drawn per epoch"
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
    writer: Writer = _field(
        "tensorboardx", "tensorflow is clu's own, slower to start", get_args(Writer)
    )

    @classmethod
    def of(cls, fields: ConfigDict) -> "Config":
        """What the fields set, once every one is there, is known, and may be so.

        Raises:
          ValueError: names the field, its value and the choices.
        """
        check_names(fields)
        missing = [field for field in base_config() if field not in fields]
        if missing:
            raise ValueError(
                f"config fields {missing} are missing; base_config() of "
                "jaxart.training.config has them"
            )
        for field in dataclasses.fields(cls):
            value, choices = fields[field.name], field.metadata["choices"]
            bounds = field.metadata["bounds"]
            if choices and value not in choices:
                raise ValueError(f"{field.name}={value!r}: one of {', '.join(choices)}")
            if bounds and not _BOUNDS[bounds](value):
                raise ValueError(f"{field.name}={value}: {bounds}")
        _check_views(fields.views)
        if not fields.train_data:
            raise ValueError(
                "train_data is empty: --config.train_data=LIST, CSV or FOLDER of class "
                "folders ('procedural' paints some)"
            )
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """The fields in order, as JSON has them."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def base_config() -> ConfigDict:
    """The defaults; a file in configs/ changes what its experiment is about."""
    return ConfigDict(
        {field.name: field.default for field in dataclasses.fields(Config)}
    )


def check_names(fields: Iterable[str]) -> None:
    """Makes sure that fields exist.

    Raises:
      ValueError: names the one that does not, and the near one that does.
    """
    known = list(base_config())
    for field in fields:
        if field not in known:
            near = difflib.get_close_matches(field, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {known}"
            raise ValueError(f"unknown config field {field!r}; {hint}")


def _check_views(views: Any) -> None:
    if (
        isinstance(views, str)  # a forgotten comma: ("whole")
        or not views
        or len(set(views)) < len(views)
        or not set(views) <= set(VIEWS)
    ):
        raise ValueError(
            f"views={views!r}: a tuple, such as ('whole', 'whole_mirrored'), of one or "
            f"more of {', '.join(VIEWS)}; none twice"
        )
