"""The image that a class is, to a network, as a picture.

Simonyan et al. 2013, "Deep inside convolutional networks", eq. 1.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from tqdm import tqdm

from jaxart.classifier import Classifier, ClassifierError
from jaxart.devices import compiling
from jaxart.models import Network
from jaxart.saliency.methods.maximization import class_model

# Values beyond it are drawn black or white.
CONTRAST_PERCENTILE = 99.5


class Drawn(NamedTuple):
    """A class's image, and what the network says of it."""

    picture: Image.Image
    logit: float
    probability: float


def draw(
    network: Classifier, index: int, *, steps: int, seed: int, **settings: Any
) -> Drawn:
    """Climbs to the image of a class; `settings` are those of `class_model`.

    Raises:
      ClassifierError: nothing moves the class's logit.
    """
    size = network.model.preprocessing["size"]

    with tqdm(total=steps, desc="climbing", unit="step") as bar:

        @compiling.jit
        def climb(params):
            def count(step):
                bar.update()

            def logits_fn(images):
                return network.model.apply({"params": params}, images)

            image = class_model(
                logits_fn,
                index,
                shape=(size, size, 3),
                key=jax.random.key(seed),
                on_step=count,
                steps=steps,
                **settings,
            )
            mean, logits = logits_fn(jnp.stack([jnp.zeros_like(image), image]))
            return image, mean[index], logits[index], jax.nn.softmax(logits)[index]

        image, first, logit, probability = jax.device_get(climb(network.params))
        jax.effects_barrier()
    if logit == first:
        raise ClassifierError(
            f"nothing moves the logit of {network.class_names[index]!r}: after {steps} "
            f"steps it is {logit:.4g}, as of the mean image. Such a network sees "
            "nothing of its input: are its weights those that it was trained to?"
        )
    picture = Image.fromarray(to_picture(image, network.model))
    return Drawn(picture, float(logit), float(probability))


def to_picture(
    image: Float[np.ndarray, "h w 3"], model: Network
) -> UInt8[np.ndarray, "h w 3"]:
    """A network's input as RGB, about mid-grey and with its contrast stretched."""
    if model.preprocessing["channel_order"] == "bgr":
        image = image[:, :, ::-1]
    limit = np.percentile(np.abs(image), CONTRAST_PERCENTILE) or 1.0
    return np.rint(np.clip(127.5 + 127.5 * image / limit, 0, 255)).astype(np.uint8)
