"""What an experiment can set: every field, its default, and what it may hold."""

import difflib
from collections.abc import Iterable

from ml_collections import ConfigDict

from jaxart.data.images import RESIZE_RULES, VIEWS
from jaxart.models import MODELS
from jaxart.models.layers import COMPUTE_DTYPES
from jaxart.training.optim import OPTIMIZERS, SCHEDULES
from jaxart.training.writers import WRITERS


def base_config() -> ConfigDict:
    """The defaults; a file in configs/ changes what its experiment is about."""
    config = ConfigDict()

    # The network.
    config.model = "alexnet"  # alexnet or vgg16
    config.hidden = (4096, 4096)  # widths of fc6 and fc7; () puts fc8 on pool5
    config.weights = ""  # file of tools/convert_weights.py; '' starts from random
    config.train_layers = ("fc8",)  # the layers to re-train; the rest is frozen
    config.num_classes = 10
    config.dropout_rate = 0.5
    config.compute_dtype = "float32"  # bfloat16 halves the activations' memory

    # Training.
    config.learning_rate = 0.01
    config.optimizer = "sgd"  # sgd or adamw
    config.momentum = 0.0  # of sgd
    config.weight_decay = 0.0  # of kernels
    config.schedule = "constant"  # constant or cosine
    config.warmup_epochs = 0.0
    config.num_epochs = 10
    config.batch_size = 128
    config.accumulate_steps = 1  # parts that a batch is worked on in, to save memory
    config.model_axis = 1  # devices that share the kernels of fc6 and fc7
    config.display_step = 3  # steps between two entries in TensorBoard
    config.seed = 0

    # Data: list file, CSV file or folder of class folders; 'procedural' paints some.
    config.train_data = ""
    config.val_data = ""  # '' splits val_fraction off train_data
    config.val_fraction = 0.2
    config.image_root = ""  # where relative paths start; '' is the list's own folder
    config.resize = "tf1_bilinear"  # tf1_bilinear, antialias or crop
    config.views = ("whole",)  # what training sees of a picture: one drawn per epoch
    config.max_skipped_fraction = 0.1  # more unreadable images than this stop the run
    config.check_leaks = True  # look for validation images that training has too
    config.num_workers = 0  # processes that load images; 0 uses threads

    # The frozen-prefix cache.
    config.cache = True  # run the frozen part once, not in each epoch
    config.cache_dir = ""  # '' is the user's cache folder

    # What is kept.
    config.checkpoint_every_epochs = 1
    config.writer = "tensorboardx"  # or tensorflow: clu's own, slower to start
    return config


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


def check(config: ConfigDict) -> None:
    """Makes sure that every field is there, is known, and holds what it may.

    Raises:
      ValueError: names the field, its value and the choices.
    """
    check_names(config)
    missing = [field for field in base_config() if field not in config]
    if missing:
        raise ValueError(
            f"config fields {missing} are missing; base_config() of "
            "jaxart.training.config has them"
        )
    for field, choices in {
        "model": tuple(MODELS),
        "optimizer": OPTIMIZERS,
        "schedule": SCHEDULES,
        "resize": RESIZE_RULES,
        "writer": WRITERS,
        "compute_dtype": COMPUTE_DTYPES,
    }.items():
        if config[field] not in choices:
            raise ValueError(f"{field}={config[field]!r}: one of {', '.join(choices)}")
    views = config.views
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
    for field in (
        "num_classes",
        "num_epochs",
        "batch_size",
        "accumulate_steps",
        "model_axis",
        "display_step",
        "checkpoint_every_epochs",
    ):
        if config[field] < 1:
            raise ValueError(f"{field}={config[field]}: at least 1")
    for field in ("learning_rate", "momentum", "weight_decay", "warmup_epochs"):
        if config[field] < 0:
            raise ValueError(f"{field}={config[field]}: not below 0")
    for field in ("dropout_rate", "val_fraction", "max_skipped_fraction"):
        if not 0 <= config[field] < 1:
            raise ValueError(f"{field}={config[field]}: from 0 to below 1")
    if not config.train_data:
        raise ValueError(
            "train_data is empty: --config.train_data=LIST, CSV or FOLDER of class "
            "folders ('procedural' paints some)"
        )
