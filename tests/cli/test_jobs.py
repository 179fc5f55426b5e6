"""`jaxart JOB` as a user types it: help, mistakes, and how a job ends."""

import importlib
import os
import subprocess
import sys

import pytest

from jaxart import __main__ as jobs
from jaxart.cli import convert, export
from tests import ROOT

SLOW = set("jax flax orbax grain scipy sklearn cmap optax ray tensorboard".split())
FORMS = (
    *(["-m", "jaxart", *name.split()] for name in ("", "wikiart", *jobs.JOBS)),
    *(["-m", f"jaxart.{name}"] for name in ("main", "predict", "saliency", "export")),
    *(["-m", "jaxart.saliency.class_model"], ["-m", "jaxart.report"]),
    *(["-m", "jaxart.app"],),
    *(["tools/convert_weights.py"], ["tools/wikiart.py"]),
    ["tools/wikiart.py", "curate"],
)


def run(*words, **how):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, *words],
        **{"cwd": ROOT, "env": environment, "capture_output": True, "text": True} | how,
    )


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
def test_help_imports_nothing_slow(form):
    done = run("-X", "importtime", *form, "--help")
    assert done.returncode == 0
    assert "jaxart" in done.stdout and "--help" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & SLOW


def test_every_job_has_a_line_and_says_what_it_does(run_command):
    status, printed, _ = run_command("--help")
    assert status == 0
    for name, text in jobs.JOBS.items():
        assert f"  {name:<18}{text}\n" in printed
        assert f"  jaxart {name} --" in run_command(*name.split(), "--help")[1]


def test_every_job_is_in_the_table():
    modules = {path.stem for path in (ROOT / "jaxart/cli").glob("*.py")}
    for name in jobs.JOBS:
        module = importlib.import_module(f"jaxart.cli.{name.replace(' ', '_')}")
        assert module.parse and module.run and module.STOPPED
        modules.remove(name.replace(" ", "_"))
    assert modules == {"__init__", "flags", "shared", "start"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "jaxart: which job? one of train, predict, saliency,"),
        (["predit"], "jaxart: 'predit' is no job: did you mean `jaxart predict`?"),
        (["paint"], "jaxart: 'paint' is no job: "),
        (["wikiart"], "jaxart: which job? one of wikiart download, wikiart curate,"),
        (["wikiart", "curat"], "did you mean `jaxart wikiart curate`?"),
        (["--images=x"], "jaxart: '--images=x' is no job: "),
    ],
)
def test_what_is_no_job(run_command, words, message):
    status, printed, said = run_command(*words)
    assert (status, printed, said.count("\n")) == (1, "", 1)
    assert message in said


def test_the_version(run_command):
    assert run_command("--version") == (0, f"jaxart {jobs.jaxart.__version__}\n", "")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ValueError("out=x: no"), 1, "jaxart: out=x: no\n"),
        (ImportError("pip install 'jaxart[onnx]'"), 1, "jaxart: pip install 'jaxart["),
        (BrokenPipeError(32, "a worker"), 1, "jaxart: [Errno 32] a worker\n"),
        (KeyboardInterrupt(), 130, "\njaxart: stopped; nothing is written\n"),
    ],
)
def test_how_a_job_ends(monkeypatch, capfd, error, status, said):
    def fail(flags):
        raise error

    monkeypatch.setattr(jobs.start, "set_up", jobs.start.logging.getLogger)
    monkeypatch.setattr(export, "run", fail)
    assert jobs.main(["export", "--out=x"]) == status
    printed = capfd.readouterr()
    assert printed.out == "" and printed.err.startswith(said)


def test_a_fault_shows_where_it_is(monkeypatch):
    monkeypatch.setattr(jobs.start, "set_up", jobs.start.logging.getLogger)
    monkeypatch.setattr(convert, "run", lambda flags: [][1])
    with pytest.raises(IndexError):
        jobs.main(["convert", "--check=x"])


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["saliency --list_methods", "train --help"])
def test_nobody_reads_on(words, unbuffered):
    """As in `jaxart saliency --list_methods | head -1`."""
    command = f"{sys.executable} -m jaxart {words} | head -c 3"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(
        command, shell=True, env=environment, capture_output=True, text=True
    )
    assert (len(done.stdout), done.stderr) == (3, "")
