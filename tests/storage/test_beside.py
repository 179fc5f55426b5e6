"""What killed writers leave goes; what living ones write stays."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxart import storage
from jaxart.storage import beside
from tests import ROOT

WRITING = """
import sys
from pathlib import Path
from jaxart import storage
with storage.{how}(Path(sys.argv[1])) as new:
    (new / "half" if new.is_dir() else new).write_bytes(b"half")
    print("writing", flush=True)
    sys.stdin.read()
"""
HOW = ["written", "written_folder", "written_together"]


@pytest.fixture(params=HOW)
def writer(request, tmp_path):
    """A process that is writing `out`."""
    program = WRITING.format(how=request.param)
    process = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "out"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"writing\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("how", HOW)
def test_what_a_killed_writer_left_goes_with_the_next(writer, tmp_path, how):
    (left,) = tmp_path.iterdir()

    def write():
        beside.remove_left_once.cache_clear()  # as another process would begin
        with getattr(storage, how)(tmp_path / "out") as new:
            (new / "x" if new.is_dir() else new).touch()

    write()
    assert {path.name for path in tmp_path.iterdir()} == {"out", left.name}
    writer.kill()
    writer.communicate()
    storage.beside.remove(tmp_path / "out")
    write()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_process_of_the_same_number_is_another(tmp_path, monkeypatch):
    """In a container every run's may be 1."""
    left = beside.new(tmp_path)
    left.mkdir()
    beside.remove_left(tmp_path)
    assert left.exists()
    monkeypatch.setattr(beside, "_PROCESS", "0" * 8)
    beside.remove_left(tmp_path)
    assert not left.exists()


def test_of_other_machines_what_is_old_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(beside, "_HOST", "0" * 8)
    left = beside.new(tmp_path)
    monkeypatch.undo()
    left.touch()
    beside.remove_left(tmp_path)
    assert left.exists()
    later = time.time() + 8 * 86400
    monkeypatch.setattr(beside.time, "time", lambda: later)
    beside.remove_left(tmp_path)
    assert not left.exists()


def test_files_of_others_stay(tmp_path):
    names = [".jaxart-x.tmp", "x.tmp", "0123456789abcdef.tmp", ".hidden"]
    for name in names:
        (tmp_path / name).touch()
    beside.remove_left(Path(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == set(names)
