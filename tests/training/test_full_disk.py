"""Training on a full disk: one line, and when there is room the same run goes on."""

import contextlib

import pytest

from jaxart import runs
from jaxart.storage.disk import DiskFullError
from jaxart.training.loop import train_and_evaluate


# Orbax leaves an event loop behind where it fails.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("room", [10_000, 100_000, 250_000], ids=str)
def test_a_full_disk_is_one_line_and_the_same_run_goes_on(
    config, tmp_path, small_disk, room
):
    config.num_epochs = 4
    config.hidden = (64, 64)
    whole = train_and_evaluate(config, tmp_path / "whole")
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb") as file:
        file.write(bytes((1 << 20) - room))
    with pytest.raises(DiskFullError, match=f"^{small_disk}/run.* free some space,"):
        train_and_evaluate(config, small_disk / "run")
    assert not (small_disk / "run" / "result.json").exists()
    filler.unlink()
    resumed = train_and_evaluate(config, small_disk / "run")
    for field in ("val_accuracy", "val_loss", "steps", "temperature"):
        assert whole[field] == resumed[field]
    predictions = (tmp_path / "whole" / "predictions.csv").read_bytes()
    assert (small_disk / "run" / "predictions.csv").read_bytes() == predictions
    left = [path.name for path in (small_disk / "run").rglob("*tmp*")]
    assert not left and runs.Checkpoints(small_disk / "run").latest_step == 16
