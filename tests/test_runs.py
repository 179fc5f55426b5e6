"""Checkpoints: what is kept, what comes back, and what is refused."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from jaxart import storage
from jaxart.runs import FIXED_FIELDS, Checkpoints, Progress, ResumeError, folder_of
from jaxart.storage import StorageError
from jaxart.training import optim
from jaxart.training.config import Config, base_config
from jaxart.training.plan import Plan

CONFIG = dict.fromkeys(FIXED_FIELDS, 1)


def params(value):
    return {
        "fc7": {"kernel": jnp.full((3, 2), value), "bias": jnp.zeros(2)},
        "fc8": {"kernel": jnp.full((2, 2), value), "bias": jnp.ones(2)},
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
    assert kept == {"10", "20"}
    assert (checkpoints.latest_step, checkpoints.best_step) == (20, 10)
    assert checkpoints.metrics(10)["accuracy"] == 0.9
    progress, last, last_state = checkpoints.restore(
        params(0.0), opt_state, train_layers=("fc8",), num_train=50
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
    with pytest.raises(ResumeError, match="on 50 training images; now there are 51"):
        checkpoints.restore(params(0.0), opt_state, train_layers=("fc8",), num_train=51)
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


def test_a_changed_field_is_named_with_both_values(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.check_config(CONFIG)  # an empty workdir takes any
    checkpoints.save(
        Progress(1, 1.0, 50),
        params(0.0),
        params(0.0),
        config=CONFIG,
        metrics={"accuracy": 0.5},
    )
    checkpoints.check_config(CONFIG)
    for field in FIXED_FIELDS:
        with pytest.raises(ResumeError, match=f"{field}=1; this one has {field}=2"):
            checkpoints.check_config(CONFIG | {field: 2})
    checkpoints.close()


def test_an_older_run_goes_on_with_the_split_that_its_seed_drew(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    older = {field: 3 for field in FIXED_FIELDS if field != "split_seed"}
    checkpoints.save(
        Progress(1, 1.0, 50),
        params(0.0),
        params(0.0),
        config=older,
        metrics={"accuracy": 0.5},
    )
    checkpoints.check_config(older | {"split_seed": 3})
    with pytest.raises(ResumeError, match="split_seed=3; this one has split_seed=0"):
        checkpoints.check_config(older | {"split_seed": 0})
    checkpoints.close()


def test_the_fixed_fields_are_config_fields():
    assert set(FIXED_FIELDS) < set(base_config())


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
