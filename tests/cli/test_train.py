"""Training's flags: experiments by name, fields of the config, and what is neither."""

import dataclasses
import itertools

import pytest

from jaxart.cli import train
from jaxart.cli.flags import FlagError
from jaxart.training.config import Config
from tests import ROOT

# ml_collections imports files in a way that Python means to give up.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

FIELDS = dataclasses.fields(Config)
HERE = ["--config=demo", "--workdir=x"]


@pytest.mark.parametrize(
    "config", ["--config=demo", f"--config={ROOT}/configs/demo.py"]
)
def test_an_experiment_is_found_by_its_name_or_path(config):
    flags = train.parse([config, "--workdir=x"])
    assert (flags.fields.train_data, flags.workdir) == ("procedural", "x")


def test_an_experiment_of_your_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "configs/demo.py").read_text().replace("adamw", "sgd")
    (tmp_path / "mine.py").write_text(text)
    flags = train.parse(["--config", "mine.py", "--workdir", "x"])
    assert flags.fields.optimizer == "sgd"


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        ([], "--config is missing: one of"),
        (["--config="], "--config is missing: one of"),
        (["--config"], "--config is missing: one of"),
        (["--config=dmo"], "--config=dmo: no such file, and none of"),
        (["--config=configs/dmo.py"], "--config=configs/dmo.py: no such file, and"),
    ],
)
def test_the_experiments_are_listed(words, begins):
    with pytest.raises(FlagError) as error:
        train.parse(words)
    text = str(error.value)
    assert text.startswith(begins)
    assert "\n  demo        The demo: ten procedural styles, no download.\n" in text
    assert all(
        f"\n  {file.stem} " in text for file in (ROOT / "configs").glob("[a-z]*.py")
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--config.num_epochs=3", "--config.cache=False", "--config.hidden=(5,6)"],
        ["--config.num-epochs", "3", "--noconfig.cache", "--config.hidden=(5,6)"],
    ],
)
def test_fields_are_set(words):
    fields = train.parse(["--config=fc8", "--workdir=x", *words]).fields
    assert (fields.num_epochs, fields.cache, fields.hidden) == (3, False, (5, 6))


@pytest.mark.parametrize("field", [field.name for field in FIELDS])
def test_a_field_alone_is_no_flag(field):
    for name in (field, field.replace("_", "-")):
        with pytest.raises(FlagError) as error:
            train.parse([*HERE, f"--{name}=3"])
        assert str(error.value) == f"--{name}=3 is --config.{field}=3"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config=demo"], "--workdir is missing"),
        ([*HERE, "--wrkdir=x"], "unknown flag --wrkdir; did you mean --workdir?"),
        ([*HERE, "--config.wieghts=x"], "unknown config field 'wieghts'; did you mean"),
        ([*HERE, "--epochs=3"], "unknown flag --epochs; did you mean --config.num_e"),
        ([*HERE, "demo"], "unknown arguments: demo"),
        ([*HERE, "--config.num_epochs=a"], "flag --config.num_epochs=a: invalid lit"),
        ([*HERE, "--num_processes=0"], "--num_processes: '0' is not a whole number"),
        ([*HERE, "--process_id=-1"], "--process_id: '-1' is not a whole number from 0"),
    ],
)
def test_mistakes(words, message):
    with pytest.raises(ValueError) as error:
        train.parse(words)
    assert str(error.value).startswith(message)


def test_flags_of_absl():
    assert train.parse([*HERE, "--verbosity=-1"])


def test_help_has_every_field_with_its_default_and_what_it_may_be(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        train.parse(["--help"])
    assert stop.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    for field in FIELDS:
        (number,) = (
            i
            for i, line in enumerate(lines)
            if line.startswith(f"  --config.{field.name}=")
        )
        text = "".join(lines[number : number + 2])
        about = field.metadata
        assert about["about"] in text and about["bounds"] in text
        assert all(choice in text for choice in about["choices"])
        if isinstance(field.default, int | float):
            assert f"--config.{field.name}={field.default}" in text


def test_the_groups_are_those_of_the_source():
    lines = (ROOT / "jaxart/training/config.py").read_text().splitlines()
    groups = {}
    for line, following in itertools.pairwise(lines):
        name = following.strip().partition(":")[0]
        if line.startswith("    # ") and name in {field.name for field in FIELDS}:
            groups[name] = line.strip("# .").lower()
    assert groups == train._GROUPS
