"""What a run's folder holds, and which run may go on in it."""

import json
from types import SimpleNamespace

import pytest

from jaxart import runs
from jaxart.training.config import Config
from jaxart.training.run import Run


@pytest.mark.parametrize("latest_step", [None, 3])
def test_a_run_goes_on_with_its_classes_in_their_order(tmp_path, latest_step):
    checkpoints = SimpleNamespace(latest_step=latest_step)
    run = Run(Config(train_data="x"), tmp_path, checkpoints, layout=None)
    (tmp_path / "config.json").write_text('{"network": {"classes": ["10", "2"]}}')
    run.write_config({"classes": ("10", "2")})
    if latest_step:
        with pytest.raises(
            runs.ResumeError, match="10, 2; this one has 2, 10, in this"
        ):
            run.write_config({"classes": ("2", "10")})
    else:
        run.write_config({"classes": ("2", "10")})
    written = json.loads((tmp_path / "config.json").read_text())["network"]["classes"]
    assert written == (["10", "2"] if latest_step else ["2", "10"])
