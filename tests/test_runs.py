"""Checkpoints: what is kept, what comes back, and what is refused."""

import os
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from jaxart import storage
from jaxart.runs import Checkpoints, Progress, folder_of, set_aside_half_made
from jaxart.storage import StorageError
from jaxart.storage.results import DamagedError
from jaxart.training import optim
from jaxart.training.config import Config
from jaxart.training.plan import Plan

# Orbax leaves an event loop behind where a restore fails.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)

CONFIG = {"model": "alexnet"}


def params(value):
    return {
        "fc7": {"kernel": jnp.full((3, 2), float(value)), "bias": jnp.zeros(2)},
        "fc8": {"kernel": jnp.full((2, 2), float(value)), "bias": jnp.ones(2)},
    }


def test_the_last_and_the_best_are_kept_and_come_back_bit_equal(tmp_path):
    config = Config(train_layers=("fc8",), momentum=0.9)
    tx = optim.make_optimizer(config, Plan(config, num_train=50))
    opt_state = tx.init(params(0.0))
    noisy = jax.tree.map(lambda x: x + jnp.asarray(0.1, x.dtype), opt_state)
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.latest_step is None
    whole = params(7.0) | {"fc8": params(0.0)["fc8"]}
    checkpoints.save_frozen(optim.only_frozen(whole, ("fc8",)))
    for step, accuracy in ((5, 0.2), (10, 0.9), (15, 0.3), (20, 0.4)):
        checkpoints.save(
            Progress(step, 1.5 * step, num_train=50),
            optim.only_trained(params(step / 3), ("fc8",)),
            noisy,
            config=CONFIG,
            metrics={"accuracy": accuracy, "loss": 1.0},
        )
    checkpoints.close()

    checkpoints = Checkpoints(tmp_path)
    kept = {p.name for p in (tmp_path / "checkpoints").iterdir() if p.is_dir()}
    assert kept == {"10", "15", "20"}
    assert checkpoints.latest_step == 20
    assert checkpoints.metrics(10)["accuracy"] == 0.9
    progress, last, last_state = checkpoints.restore(
        params(0.0), opt_state, train_layers=("fc8",)
    )
    assert progress == Progress(20, 30.0, num_train=50)
    assert jax.tree.structure(last_state) == jax.tree.structure(noisy)
    for got, wanted in (
        (last, whole | {"fc8": params(20 / 3)["fc8"]}),
        (last_state, noisy),
        (
            checkpoints.restore_best(params(0.0), ("fc8",)),
            whole | {"fc8": params(10 / 3)["fc8"]},
        ),
    ):
        jax.tree.map(np.testing.assert_array_equal, got, wanted)
    assert list(last) == ["fc7", "fc8"]
    checkpoints.close()


def test_a_run_without_frozen_layers(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_frozen({})
    checkpoints.save(
        Progress(1, 1.0, 50),
        params(1.0),
        params(2.0),
        config=CONFIG,
        metrics={"accuracy": 0.5},
    )
    got = checkpoints.restore_best(params(0.0), ("fc7", "fc8"))
    jax.tree.map(np.testing.assert_array_equal, got, params(1.0))
    checkpoints.close()


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory):
    """A run of two checkpoints, of which the last is the best."""
    folder = tmp_path_factory.mktemp("undamaged")
    checkpoints = Checkpoints(folder)
    checkpoints.save_frozen({"fc7": params(7.0)["fc7"]})
    for step in (15, 20):
        checkpoints.save(
            Progress(step, 1.0, num_train=50),
            {"fc8": params(step)["fc8"]},
            {"momentum": params(step / 7)["fc8"]},
            config=CONFIG,
            metrics={"accuracy": step / 100},
        )
    checkpoints.close()
    return folder


def damage(file, how):
    content = bytearray(file.read_bytes())
    if how == "removed":
        file.unlink()
    elif how == "cut":
        file.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 4
        file.write_bytes(content)


@pytest.mark.parametrize("how", ["flipped", "cut", "removed"])
@pytest.mark.parametrize(
    "name",
    ["params/d/*", "opt_state/d/*", "opt_state/manifest.ocdbt"]
    + ["metrics/metrics", "progress/metadata"],
)
def test_a_damaged_checkpoint_is_passed_over(undamaged, tmp_path, caplog, name, how):
    run = tmp_path / "run"
    shutil.copytree(undamaged, run)
    (file,) = (run / "checkpoints/20").glob(name)
    damage(file, how)
    set_aside_half_made(folder_of(run))
    checkpoints = Checkpoints(run)
    whole = params(0.0) | {"fc7": params(7.0)["fc7"]}
    state = {"momentum": params(0.0)["fc8"]}
    restored = checkpoints.restore(whole, state, train_layers=("fc8",))
    step = restored.progress.step
    assert step == 15 and f"{run}/checkpoints/20: damaged: " in caplog.text
    wanted = {"fc7": params(7.0)["fc7"], "fc8": params(15)["fc8"]}
    jax.tree.map(np.testing.assert_array_equal, restored.params, wanted)
    wanted = {"momentum": params(15 / 7)["fc8"]}
    jax.tree.map(np.testing.assert_array_equal, restored.opt_state, wanted)
    # The run goes on: the step that was passed over is saved anew.
    checkpoints.save(
        Progress(20, 1.0, num_train=50),
        {"fc8": params(3.0)["fc8"]},
        state,
        config=CONFIG,
        metrics={"accuracy": 0.9},
    )
    best, trained = checkpoints.restore_best_trained(whole, ("fc8",))
    assert best == 20 and trained["fc8"]["kernel"][0, 0] == 3.0
    checkpoints.close()


def test_what_orbax_had_begun_to_remove_goes(undamaged, tmp_path, caplog):
    run = tmp_path / "run"
    shutil.copytree(undamaged, run)
    shutil.rmtree(run / "checkpoints/15/config")
    set_aside_half_made(folder_of(run))
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["20"]
    assert not caplog.text


def test_the_best_that_is_damaged_is_passed_over_by_who_only_reads(
    undamaged, tmp_path, caplog
):
    run = tmp_path / "run"
    shutil.copytree(undamaged, run)
    (file,) = (run / "checkpoints/20/params/d").iterdir()
    damage(file, "flipped")
    before = sorted(run.rglob("*"))
    checkpoints = Checkpoints(run)
    best = checkpoints.restore_best(params(0.0), ("fc8",))
    checkpoints.close()
    jax.tree.map(np.testing.assert_array_equal, best["fc8"], params(15)["fc8"])
    assert sorted(run.rglob("*")) == before


@pytest.mark.parametrize("is_known", [True, False])
def test_damaged_frozen_layers_are_saved_again_from_where_they_came(
    undamaged, tmp_path, caplog, is_known
):
    run = tmp_path / "run"
    shutil.copytree(undamaged, run)
    damage(max((run / "frozen/d").iterdir(), key=os.path.getsize), "flipped")
    checkpoints = Checkpoints(run)
    whole = params(7.0 if is_known else 6.0)
    state = {"momentum": params(0.0)["fc8"]}
    if not is_known:
        with pytest.raises(DamagedError, match=f"{run}/frozen: damaged: "):
            checkpoints.restore(whole, state, train_layers=("fc8",))
    else:
        checkpoints.restore(whole, state, train_layers=("fc8",))
        checkpoints.wait()
        best = checkpoints.restore_best(params(0.0), ("fc8",))
        jax.tree.map(np.testing.assert_array_equal, best["fc7"], whole["fc7"])
        assert f"{run}/frozen: damaged: " in caplog.text
    checkpoints.close()


def test_s3_is_refused_with_what_works_instead():
    with pytest.raises(StorageError) as raised:
        Checkpoints(storage.path("s3://bucket/run"))
    assert str(raised.value) == (
        f"workdir=s3://bucket/run: Orbax {ocp.__version__} keeps no checkpoints in "
        "s3://. A workdir can be a local or shared folder, or gs://"
    )


def test_orbax_itself_takes_gs_and_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert folder_of(storage.path("gs://bucket/run/")) == "gs://bucket/run"
    assert folder_of(Path("run")) == str(tmp_path / "run")
