"""The tutorial of the documentation runs, and shows what it says."""

import nbformat
import pytest
from nbclient import NotebookClient

from tests import ROOT


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client")
def test_the_tutorial_runs_and_shows_pictures(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where the notebook writes
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    shown = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            text = output.get("data", {}).get("text/plain", "")
            shown |= {text.partition("(")[0]: output.get("data")}
    assert {"text/html", "text/plain"} == set(shown["Prediction"])
    assert {"text/html", "image/png", "text/plain"} == set(shown["Explanation"])
