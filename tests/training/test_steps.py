"""The compiled steps: what frozen layers cost, what padding changes, what counts."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxart.data import pipeline
from jaxart.devices import layout
from jaxart.models import AlexNet
from jaxart.training import optim, steps
from jaxart.training.config import Config
from jaxart.training.plan import Plan
from tests.runs import TinyNet, random_params


def make_step(
    train_layers,
    *,
    kind=TinyNet,
    hidden=(16, 16),
    batch_size=2,
    accumulate_steps=1,
):
    """A step of a network, its state, and a batch for it."""
    model = kind(num_classes=3, hidden=hidden)
    size = model.preprocessing["size"]
    images = 50 * jax.random.normal(jax.random.key(1), (batch_size, size, size, 3))
    params = random_params(model)
    config = Config(
        train_layers=train_layers,
        momentum=0.9,
        weight_decay=1e-4,
        accumulate_steps=accumulate_steps,
    )
    tx = optim.make_optimizer(config, Plan(config, num_train=batch_size))
    state = steps.TrainState(jnp.int32(0), params, tx.init(params))
    batch = {
        "image": images,
        "label": jnp.arange(batch_size) % 3,
        "mask": jnp.ones(batch_size, bool),
    }
    step = steps.make_train_step(
        config,
        lambda p, x, keys: model.apply({"params": p}, x, dropout_keys=keys),
        tx,
        jax.random.key(2),
        layout.over_all_devices(),
    )
    return step, state, batch


def test_frozen_layers_stay_bit_equal_and_have_no_optimizer_state():
    step, state, batch = make_step(("fc7", "fc8"))
    before = jax.device_get(state.params)
    momenta = [leaf for leaf in jax.tree.leaves(state.opt_state) if leaf.ndim]
    trained = jax.tree.leaves({name: before[name] for name in ("fc7", "fc8")})
    assert sorted(x.shape for x in momenta) == sorted(x.shape for x in trained)
    for _ in range(3):
        state, logs = step(state, batch, True)
    after = jax.device_get(state.params)
    for layer in before:
        for name in before[layer]:
            is_equal = np.array_equal(before[layer][name], after[layer][name])
            assert is_equal == (layer not in ("fc7", "fc8")), (layer, name)
    assert logs["gradient_norm"] > 0
    for kind in ("value", "gradient"):
        assert set(logs["histograms"][kind]) == {"fc7", "fc8"}
        for rows in jax.tree.leaves(logs["histograms"][kind]):
            assert rows[:, 2].sum() in (16 * 16, 16, 16 * 3, 3)  # counts every element


@pytest.mark.slow
def test_frozen_layers_cost_no_backward_pass():
    # Full width, with gradient norms and histograms in the step: the bound.
    def flops(train_layers):
        step, state, batch = make_step(train_layers, kind=AlexNet, hidden=(4096, 4096))
        return step.lower(state, batch, True).compile().cost_analysis()["flops"]

    every_layer = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
    assert flops(("fc7", "fc8")) < 0.40 * flops(every_layer)


def test_histograms_are_filled_only_where_the_step_is_displayed():
    step, state, batch = make_step(("fc8",))
    state, logs = step(state, batch, False)
    assert not any(np.any(rows) for rows in jax.tree.leaves(logs["histograms"]))
    _, logs = step(state, batch, True)
    assert all(np.any(rows) for rows in jax.tree.leaves(logs["histograms"]))


def test_the_last_batchs_padding_changes_nothing():
    step, state, batch = make_step(("fc8",), batch_size=4)
    ragged = batch | {"mask": jnp.array([True, True, True, False])}
    garbage = ragged | {"image": ragged["image"].at[3].set(1e6)}
    copy = jax.tree.map(jnp.copy, state)
    state, logs = step(state, ragged, False)
    other, other_logs = step(copy, garbage, False)
    np.testing.assert_allclose(logs["loss"], other_logs["loss"], rtol=1e-6)
    np.testing.assert_allclose(
        state.params["fc8"]["kernel"], other.params["fc8"]["kernel"], rtol=1e-5
    )


def test_a_batch_in_parts_trains_as_the_whole():
    mask = jnp.array([True] * 7 + [False])
    ends = []
    for accumulate_steps in (1, 4):
        step, state, batch = make_step(
            ("conv5", "fc6", "fc7", "fc8"),
            batch_size=8,
            accumulate_steps=accumulate_steps,
        )
        for _ in range(2):
            state, logs = step(state, batch | {"mask": mask}, True)
        ends.append((state.params, logs))
    # Dropout is drawn for each example, so the parts change none of it.
    for whole, parts in zip(*map(jax.tree.leaves, ends), strict=True):
        np.testing.assert_allclose(whole, parts, rtol=1e-4, atol=1e-5)


def test_evaluation_of_constant_logits_equals_the_hand_computed_number():
    # Logits (2, 1, 0) for everybody: log-sum-exp = ln(e^2 + e + 1) = 2.40760596.
    # Losses are 0.40760596, 1.40760596 and 2.40760596 for classes 0, 1 and 2.
    # Labels 0 0 1 2 1 give the mean (2 * 0.40760596 + 2 * 1.40760596 + 2.40760596) / 5.
    expected_loss = (2 * 0.40760596 + 2 * 1.40760596 + 2.40760596) / 5
    constant = jnp.array([2.0, 1.0, 0.0])
    eval_step = steps.make_eval_step(
        lambda params, x: jnp.broadcast_to(constant, (x.shape[0], 3)),
        layout.over_all_devices(),
    )
    batches = pipeline.batches(
        np.zeros((5, 2), np.float32),
        np.array([0, 0, 1, 2, 1]),
        np.arange(5),
        batch_size=2,  # the third batch is half padding
    )
    metrics, logits = steps.evaluate(eval_step, {}, batches)
    assert math.isclose(metrics["loss"], expected_loss, rel_tol=1e-6)
    assert math.isclose(metrics["accuracy"], 2 / 5, rel_tol=1e-6)
    np.testing.assert_array_equal(
        metrics["confusion"], [[2, 0, 0], [2, 0, 0], [1, 0, 0]]
    )
    assert logits.shape == (5, 3)
    np.testing.assert_allclose(logits[0], [2, 1, 0], rtol=1e-5)
    assert eval_step._cache_size() == 1
