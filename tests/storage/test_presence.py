"""Several may fill a folder at once; what killed ones left goes."""

import signal
import subprocess
import sys

from jaxart import storage
from tests import ROOT

NAME = "0123456789abcdef.tmp"

CHILD = """
import os, sys, time
from pathlib import Path
from jaxart import storage

with storage.shared_folder(Path(sys.argv[1])):
    (Path(sys.argv[1]) / "0123456789abcdef.tmp").touch()
    print("writing", flush=True)
    time.sleep(600)
"""


def test_what_a_writer_left_goes_when_it_is_dead(tmp_path):
    (tmp_path / "users.tmp").touch()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None and child.stdout.readline() == b"writing\n"
        for _ in range(2):
            with storage.shared_folder(tmp_path):
                assert (tmp_path / NAME).exists()
        child.send_signal(signal.SIGKILL)
    with storage.shared_folder(tmp_path):
        assert not (tmp_path / NAME).exists()
        assert (tmp_path / "users.tmp").exists()


def test_of_two_writers_here_neither_takes_the_others(tmp_path):
    with storage.shared_folder(tmp_path):
        (tmp_path / NAME).touch()
        with storage.shared_folder(tmp_path):
            assert (tmp_path / NAME).exists()


def test_where_nothing_can_be_locked_the_work_goes_on(tmp_path):
    worked = []
    with storage.shared_folder(tmp_path / "missing"):
        worked.append(True)
    assert worked and not (tmp_path / "missing").exists()
