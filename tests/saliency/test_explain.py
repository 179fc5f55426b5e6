import jax
import jax.numpy as jnp

from jaxart.models import winograd
from jaxart.saliency import catalogue, work
from tests import runs


def test_the_class_and_its_gradient_share_one_forward_pass(monkeypatch):
    for limit, value in {"SIDE": 8, "CHANNELS": 6}.items():
        monkeypatch.setattr(winograd, f"MIN_{limit}", value)
    model = runs.TinyNet(num_classes=4, hidden=(6,))
    attribute = catalogue.bind(
        *("gradient", model, catalogue.complete_settings("gradient", model, {})),
        channel_rule="max_abs",
        batch_size=4,
        key=jax.random.key(0),
    )
    images = jnp.zeros((4, 16, 16, 3))
    params = runs.random_params(model)
    step = work.make_step(model, attribute)
    program = step.lower(params, images, jnp.zeros(4, jnp.int32)).compile()
    # conv5's loop over the images, forward and backward: not forward twice.
    assert program.as_text().count(" while(") == 2
