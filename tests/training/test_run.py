"""What a run's folder holds, and which run may go on in it."""

import json

import pytest

from jaxart import runs
from jaxart.training.config import Config
from jaxart.training.resuming import ResumeError
from jaxart.training.run import Run


@pytest.mark.parametrize("is_saved", [False, True])
def test_a_run_goes_on_with_its_classes_in_their_order(tmp_path, is_saved):
    saved = runs.Saved({}, runs.Progress(3, 1.0, 9)) if is_saved else None
    run = Run(Config(train_data="x"), tmp_path, None, None, saved)
    (tmp_path / "config.json").write_text('{"network": {"classes": ["10", "2"]}}')
    run.write_config({"classes": ("10", "2")})
    if is_saved:
        with pytest.raises(ResumeError, match="10, 2; this one has 2, 10, in this"):
            run.write_config({"classes": ("2", "10")})
    else:
        run.write_config({"classes": ("2", "10")})
    written = json.loads((tmp_path / "config.json").read_text())["network"]["classes"]
    assert written == (["10", "2"] if is_saved else ["2", "10"])
