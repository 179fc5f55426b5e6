"""Configs: the report's values, and errors that name the field and the choices."""

import importlib.util
import math
import re
import sys

import pytest
from absl import flags
from ml_collections import ConfigDict, config_flags

from jaxart.models import MODELS
from jaxart.models.layers import trainable
from jaxart.training.config import Config, base_config
from tests import ROOT

CONFIGS = sorted((ROOT / "configs").glob("[a-z]*.py"))

SOME_VIEWS = (
    "one of whole, center, top_left, top_right, bottom_left, bottom_right, "
    "whole_mirrored, center_mirrored, top_left_mirrored, top_right_mirrored, "
    "bottom_left_mirrored, bottom_right_mirrored; at least one, and none twice"
)


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_can_run_and_says_how(path):
    module = load(path)
    config = module.get_config()
    Config.of(config)
    model = MODELS[config.model](hidden=tuple(config.hidden))
    assert set(config.train_layers) <= set(trainable(model.layers()))
    assert f"--config={path.stem} --workdir=runs/" in module.__doc__


@pytest.mark.parametrize(
    ("name", "train_layers"), [("fc8", ("fc8",)), ("fc7_fc8", ("fc7", "fc8"))]
)
def test_the_reports_values(name, train_layers):
    (path,) = (path for path in CONFIGS if path.stem == name)
    config = load(path).get_config()
    report = {
        "model": "alexnet",
        "hidden": (4096, 4096),
        "train_layers": train_layers,
        "learning_rate": 0.01,
        "num_epochs": 10,
        "batch_size": 128,
        "dropout_rate": 0.5,
        "display_step": 3,
        "optimizer": "sgd",
        "momentum": 0.0,
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup_epochs": 0.0,
        "resize": "tf1_bilinear",
    }
    assert {field: config[field] for field in report} == report


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model", "resnet", "model='resnet': one of alexnet, caffenet, vgg16, vgg19"),
        *(
            (field, value, f"{field}={value!r}: a finite number, not below 0")
            for field in ("learning_rate", "weight_decay", "momentum", "warmup_epochs")
            for value in (math.nan, math.inf)
        ),
        ("dropout_rate", math.nan, "dropout_rate=nan: a finite number, from 0 to"),
        ("seed", -1, "seed=-1: from 0 to 4294967295"),
        ("split_seed", 2**32, "split_seed=4294967296: from 0 to 4294967295"),
        ("resize", "nearest", "resize='nearest': one of tf1_bilinear, antialias, crop"),
        ("optimizer", "adam", "optimizer='adam': one of sgd, adamw"),
        ("schedule", "step", "schedule='step': one of constant, cosine"),
        (
            "compute_dtype",
            "float16",
            "compute_dtype='float16': one of float32, bfloat16",
        ),
        ("writer", "wandb", "writer='wandb': one of tensorboardx, tensorflow"),
        ("batch_size", 0, "batch_size=0: at least 1"),
        ("display_step", -1, "display_step=-1: at least 1"),
        ("learning_rate", -0.1, "learning_rate=-0.1: not below 0"),
        ("dropout_rate", 1.0, "dropout_rate=1.0: from 0 to below 1"),
        ("num_classes", -1, "num_classes=-1: not below 0"),
        ("hidden", ("wide",), "hidden=('wide',): whole numbers of at least 1"),
        ("hidden", (8, 0), "hidden=(8, 0): whole numbers of at least 1"),
        ("train_data", "", "train_data is empty"),
        ("views", (), f"views=(): {SOME_VIEWS}"),
        ("views", ("left",), f"views=('left',): {SOME_VIEWS}"),
        ("views", ("whole", "left"), f"views=('whole', 'left'): {SOME_VIEWS}"),
        ("views", ("center", "center"), f"views=('center', 'center'): {SOME_VIEWS}"),
    ],
)
def test_a_bad_value_is_named_with_the_choices(field, value, message):
    config = base_config()
    config.train_data = "train.txt"
    Config.of(config)
    config[field] = value
    with pytest.raises(ValueError, match=re.escape(message)):
        Config.of(config)


@pytest.mark.parametrize(
    ("flag", "wanted"),
    [
        ("views=whole,center", ("whole", "center")),
        ("views=whole, center_mirrored,", ("whole", "center_mirrored")),
        ("views=center", ("center",)),
        ("views=('whole','center')", ("whole", "center")),
        ("train_layers=fc7,fc8", ("fc7", "fc8")),
        ("train_layers=conv5_3", ("conv5_3",)),
        ("hidden=64,32", (64, 32)),
        ("hidden=64", (64,)),
        ("hidden=(64,)", (64,)),
        ("hidden=", ()),
        ("hidden=()", ()),
    ],
)
def test_the_command_line_lists_with_commas(monkeypatch, flag, wanted):
    argv = ["jaxart", "--config.train_data=train.txt", f"--config.{flag}"]
    values = flags.FlagValues()
    monkeypatch.setattr(sys, "argv", argv)  # where config_flags looks for fields
    config_flags.DEFINE_config_dict("config", base_config(), flag_values=values)
    values(argv)
    assert getattr(Config.of(values.config), flag.split("=")[0]) == wanted


def test_a_text_with_a_forgotten_comma_is_one_element():
    fields = base_config().to_dict() | {"train_data": "x", "train_layers": "fc8"}
    assert Config.of(ConfigDict(fields)).train_layers == ("fc8",)


def test_an_unknown_field_names_the_near_one():
    config = base_config()
    config.unlock()
    config.wieghts = "x"
    with pytest.raises(ValueError, match="'wieghts'; did you mean 'weights'"):
        Config.of(config)


def test_a_missing_field_is_named():
    config = base_config()
    config.unlock()
    del config.seed
    with pytest.raises(ValueError, match=r"\['seed'\] are missing"):
        Config.of(config)
