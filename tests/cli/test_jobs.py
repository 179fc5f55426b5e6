"""`jaxart JOB` as a user types it: help, mistakes, and how a job ends."""

import importlib
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from jaxart import __main__ as jobs
from jaxart.cli import convert, export, faults
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
    assert modules == {"__init__", "faults", "flags", "shared", "start", "streams"}


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


def test_a_fault_is_one_line_and_says_where_its_trace_is(monkeypatch, capfd, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(jobs.start, "set_up", jobs.start.logging.getLogger)
    monkeypatch.setattr(convert, "run", lambda flags: [][1])
    assert jobs.main(["convert", "--check=x"]) == 1
    (said,) = capfd.readouterr().err.splitlines()
    what, _, file = said.partition(" the full trace is in ")
    assert what == (
        "jaxart: a fault of jaxart's own: IndexError: list index out of range; please "
        "report it:"
    )
    text = Path(file).read_text()
    assert tmp_path in Path(file).parents and "Traceback (most recent call" in text
    assert text.startswith(f"jaxart {jobs.jaxart.__version__}, Python 3.")


def test_a_trace_goes_where_there_is_room_or_into_the_message(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    monkeypatch.setattr(faults.tempfile, "tempdir", str(tmp_path / "temporary"))
    assert f"the full trace is in {tmp_path / 'temporary'}" in faults.report(
        KeyError(1)
    )
    monkeypatch.setattr(faults.tempfile, "tempdir", str(blocked))
    assert "report it with its trace:\nKeyError: 1" in faults.report(KeyError(1))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "out of memory (MemoryError): a smaller --batch_size needs"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"),
            "out of memory (RuntimeError: RESOURCE_EXHAUSTED: Out of memory while",
        ),
        (
            OSError(28, "No space left on device", "/a/b"),
            "/a/b: no space is left on the",
        ),
        (
            OSError(28, "No space left on device"),
            "a disk is full (OSError: [Errno 28] ",
        ),
        (
            RuntimeError("x: No space left on device"),
            "a disk is full (RuntimeError: x:",
        ),
    ],
)
def test_what_the_machine_lacks_is_no_fault(error, said):
    assert faults.explain(error).startswith(said)
    assert "\n" not in faults.explain(error)


NOBODY_READS = {
    "head": "{command} | head -c 3",
    "true": "{command} | true",
    "both": "{command} 2>&1 | head -c 3",
    "closed": "{command} >&-",
    "all closed": "{command} <&- >&- 2>&-",
}


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("how", NOBODY_READS)
@pytest.mark.parametrize("words", ["saliency --list_methods", "train --help"])
def test_nobody_reads_on(words, how, unbuffered):
    """As in `jaxart saliency --list_methods | head -1`: nothing is said."""
    done = in_shell(
        NOBODY_READS[how], f"-m jaxart {words}", PYTHONUNBUFFERED=unbuffered
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) == (3 if "head" in NOBODY_READS[how] else 0)


@pytest.mark.parametrize("how", NOBODY_READS)
def test_a_mistake_has_its_status_though_nobody_reads(how):
    assert in_shell(NOBODY_READS[how], "-m jaxart predict --top_k=0").returncode == 1


@pytest.mark.parametrize(
    "form",
    [
        "{command} 2>&1 | true",
        pytest.param("{command} >&- 2>&-", marks=pytest.mark.slow),
    ],
)
def test_work_is_done_to_its_end_though_nobody_reads(tmp_path, paintings, form):
    """What a job prints and logs goes nowhere; its files and its status are there."""
    run, table, maps = tmp_path / "run", tmp_path / "table.csv", tmp_path / "maps"
    settings = "model=tinynet num_epochs=1 batch_size=8 hidden=8, train_layers=fc6,fc8"
    fields = [f"--config.{field}" for field in settings.split()]
    places = [f"--config.train_data={paintings}", f"--config.cache_dir={tmp_path}"]
    of_run = [f"--workdir={run}", f"--images={paintings}"]
    for words in (
        ["train", "--config=demo", f"--workdir={run}", *fields, *places],
        ["predict", *of_run, f"--out={table}"],
        ["saliency", *of_run, f"--out={maps}"],
    ):
        done = in_shell(form, shlex.join(["-m", "tests.tiny_command", *words]))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for path in (run / "result.json", run / "report.html", table, maps / "run.json"):
        assert path.is_file()


def test_an_output_that_is_full_is_an_error():
    done = in_shell("{command} >/dev/full", "-m jaxart --help")
    assert done.returncode == 1
    (said,) = done.stderr.splitlines()
    assert said.startswith("jaxart: a disk is full (OSError: [Errno 28] No space left")


def in_shell(form, words, **environment):
    """Runs a command line of bash; the status is jaxart's."""
    command = form.format(command=f"{sys.executable} {words}")
    return subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
        | environment,
        capture_output=True,
        text=True,
    )
