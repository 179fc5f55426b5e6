"""The first example, in an environment that has jaxart and what it needs alone."""

import os
import shutil
import subprocess
import sys

import pytest

from tests import ROOT, runs
from tests.face.conftest import CLASSES

EXAMPLE = """
import jaxart

network = jaxart.load("run")
print(network.predict("painting.png"))
network.explain("painting.png", method="grad_cam", target="owl").save("owl.png")
"""


@pytest.mark.slow
def test_three_lines_in_a_fresh_environment(picture, tmp_path):
    def run(*words):
        how = {"cwd": tmp_path, "env": bare, "capture_output": True, "text": True}
        process = subprocess.run(list(map(str, words)), **how)
        if "No matching distribution" in process.stderr:
            pytest.skip("no package index can be reached")
        assert process.returncode == 0, process.stderr
        return process.stdout

    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    source = tmp_path / "source"  # pip builds in it
    for name in ("jaxart", "configs"):
        shutil.copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    python = tmp_path / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    run(python, "-m", "pip", "install", "--quiet", source)

    runs.write(tmp_path / "run", *runs.small_alexnet(num_classes=4), CLASSES)
    shutil.copy(picture, tmp_path / "painting.png")
    assert run(python, "-c", EXAMPLE).startswith("Prediction(")
    assert (tmp_path / "owl.png").stat().st_size > 100
