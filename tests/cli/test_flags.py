"""How flags are spelled, shown and refused, for every job."""

import argparse
import contextlib
import importlib
import math

import pytest

from jaxart import __main__ as jobs
from jaxart.cli import flags
from jaxart.cli.flags import FlagError, Parser


@pytest.fixture
def parser():
    made = Parser("job", "Does a job.\n\n  jaxart job --part_size=3")
    made.add_argument("--part_size", type=flags.count, default=8, help="of a part")
    made.add_argument(
        "--lrn-alpha", type=flags.not_negative, default=0.0, help="of the norm"
    )
    made.add_argument("--names", type=flags.names, default=())
    made.add_argument("--fast", action="store_true", help="hurry")
    return made


@pytest.mark.parametrize(
    "words",
    [
        ["--part_size=3", "--lrn-alpha=0.5"],
        ["--part-size=3", "--lrn_alpha=0.5"],
        ["--part-size", "3", "--lrn_alpha", "0.5"],
    ],
)
def test_flags_have_hyphens_or_underscores(parser, words):
    parsed = parser.parse([*words, "--names=a-b, c_d"])
    assert vars(parsed) == {
        **{"part_size": 3, "lrn_alpha": 0.5, "names": ("a-b", "c_d"), "fast": False}
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--prt_size=3"], "unknown flag --prt_size; did you mean --part_size?"),
        (["--part-siz=3"], "unknown flag --part-siz; did you mean --part_size?"),
        (["--x=1"], "unknown flag --x; --help lists the flags"),
        (["x"], "unknown arguments: x (flags are --name=value)"),
        (["--part_size=0"], "--part_size: '0' is not a whole number from 1 on"),
        (["--part_size"], "--part_size: expected one argument"),
        *(
            ([f"--lrn-alpha={x}"], f"--lrn-alpha: {x!r} is not a number from 0 on")
            for x in ("x", "nan", "inf", "1e999", "-inf", "-0.1", "")
        ),
        (["--fast=true"], "--fast: ignored explicit argument 'true'"),
    ],
)
def test_a_mistake_is_one_line(parser, words, message):
    with pytest.raises(FlagError) as error:
        parser.parse(words)
    assert str(error.value) == message


def test_help_shows_flags_as_they_are_typed(parser, capsys):
    with pytest.raises(SystemExit) as stop:
        parser.parse(["--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert "\n  jaxart job --part_size=3\n" in printed
    assert "--part_size=N  of a part (default: 8)\n" in printed
    # 0 is no flag that is off.
    assert "--lrn-alpha=X  of the norm (default: 0.0)\n" in printed
    assert "--fast         hurry\n" in printed


def test_what_is_required_is_named():
    given = argparse.Namespace(images="a", out="")
    with pytest.raises(FlagError, match="^--out is missing$"):
        flags.require(given, "images", "out")


JOBS = [name for name in jobs.JOBS if name != "train"]  # whose config has its own


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "9" * 30])
def test_no_flag_takes_a_number_that_is_not_finite(monkeypatch, job, value):
    """Of all flags of all jobs that have a type: none gives such a number."""
    module = importlib.import_module(f"jaxart.cli.{job.replace(' ', '_')}")
    kinds = {}
    monkeypatch.setattr(
        Parser, "parse", lambda self, words: kinds.update(_kinds(self)) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        module.parse([])
    assert not {float, int} & {*kinds.values()}
    for kind in kinds.values():
        with contextlib.suppress(argparse.ArgumentTypeError, ValueError):
            given = kind(value)
            assert not isinstance(given, float | int) or (
                math.isfinite(given) and given == 10.0**30 - 1
            )


def _kinds(parser):
    return {a.dest: a.type for a in parser._actions if a.type not in (None, str)}
