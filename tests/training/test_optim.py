"""Which layers train: labels, masks, schedules and updates, against hand arithmetic."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxart.training import optim
from jaxart.training.config import Config
from jaxart.training.plan import Plan

PARAMS = {
    name: {"kernel": jnp.full((2, 2), 2.0), "bias": jnp.ones(2)}
    for name in ("fc6", "fc7", "fc8")
}
GRADS = jax.tree.map(lambda x: jnp.full_like(x, 0.5), PARAMS)


def make(optimizer="sgd", *, train_layers=("fc7", "fc8"), **fields):
    config = Config(
        optimizer=optimizer, train_layers=train_layers, learning_rate=0.1, **fields
    )
    return optim.make_optimizer(config, Plan(config, num_train=1))


def step(tx, params, state):
    updates, state = tx.update(GRADS, state, params)
    return optax.apply_updates(params, updates), state


def test_plain_sgd_moves_trained_layers_by_rate_times_gradient():
    tx = make()
    params, _ = step(tx, PARAMS, tx.init(PARAMS))
    np.testing.assert_allclose(params["fc8"]["kernel"], 2.0 - 0.1 * 0.5)
    np.testing.assert_allclose(params["fc7"]["bias"], 1.0 - 0.1 * 0.5)
    np.testing.assert_array_equal(params["fc6"]["kernel"], PARAMS["fc6"]["kernel"])


def test_weight_decay_is_of_kernels_only():
    tx = make(weight_decay=0.01)
    params, _ = step(tx, PARAMS, tx.init(PARAMS))
    # Caffe's L2: the gradient grows by 0.01 * 2.0.
    np.testing.assert_allclose(params["fc8"]["kernel"], 2.0 - 0.1 * (0.5 + 0.02))
    np.testing.assert_allclose(params["fc8"]["bias"], 1.0 - 0.1 * 0.5)
    np.testing.assert_array_equal(params["fc6"]["kernel"], PARAMS["fc6"]["kernel"])


def test_momentum_gathers_over_two_steps():
    tx = make(momentum=0.9)
    params, state = step(tx, PARAMS, tx.init(PARAMS))
    params, _ = step(tx, params, state)
    # 0.1 * 0.5, then 0.1 * (0.5 + 0.9 * 0.5).
    np.testing.assert_allclose(params["fc8"]["bias"], 1 - 0.05 - 0.095, rtol=1e-6)


def test_adamw_decouples_the_decay():
    tx = make("adamw", weight_decay=0.01)
    params, _ = step(tx, PARAMS, tx.init(PARAMS))
    # Adam's first step is the rate; the decay is rate * 0.01 * 2.0, kernels only.
    np.testing.assert_allclose(params["fc8"]["kernel"], 2 - 0.1 - 0.002, rtol=1e-5)
    np.testing.assert_allclose(params["fc8"]["bias"], 1 - 0.1, rtol=1e-5)


@pytest.mark.parametrize(("kind", "arrays_per_parameter"), [("sgd", 1), ("adamw", 2)])
def test_frozen_layers_have_no_state(kind, arrays_per_parameter):
    state = make(kind, momentum=0.9, train_layers=("fc8",)).init(PARAMS)
    arrays = [x for x in jax.tree.leaves(state) if x.ndim]
    assert len(arrays) == 2 * arrays_per_parameter  # of fc8's kernel and bias
    assert sum(x.size for x in arrays) == 6 * arrays_per_parameter


@pytest.mark.parametrize(
    ("schedule", "warmup_epochs", "expected"),
    [
        ("constant", 0.0, {0: 0.4, 5: 0.4, 9: 0.4}),
        ("constant", 2.0, {0: 0.0, 1: 0.1, 2: 0.2, 4: 0.4, 9: 0.4}),
        # Cosine over the 8 steps after the warm-up: half way down at its 4th.
        ("cosine", 1.0, {0: 0.0, 1: 0.2, 2: 0.4, 6: 0.2, 10: 0.0}),
        ("cosine", 0.0, {0: 0.4, 5: 0.2, 10: 0.0}),
    ],
)
def test_schedules(schedule, warmup_epochs, expected):
    config = Config(
        schedule=schedule,
        learning_rate=0.4,
        warmup_epochs=warmup_epochs,
        num_epochs=5,
        batch_size=4,
    )
    rate_of = optim.make_schedule(config, Plan(config, num_train=7))  # 2 steps an epoch
    for step_number, rate in expected.items():
        assert float(rate_of(step_number)) == pytest.approx(rate, abs=1e-7)


@pytest.mark.parametrize("train_layers", [("fc8", "fc9"), ("fc",), ()])
def test_train_layers_must_match(train_layers):
    with pytest.raises(ValueError, match="the layers are fc6, fc7, fc8"):
        optim.check_train_layers(train_layers, PARAMS)


def test_only_trained_keeps_whole_layers_by_their_whole_name():
    tree = PARAMS | {"fc80": PARAMS["fc8"]}
    assert set(optim.only_trained(tree, ("fc8",))) == {"fc8"}
    assert optim.label_layers(tree, ("fc8",))["fc80"]["kernel"] == "freeze"
