r"""Draws the image that a class is, to a network.

  python -m jaxart.saliency.class_model --weights=vgg16.safetensors \
      --class=flamingo --out=flamingo.png
  python -m jaxart.saliency.class_model --workdir=runs/vgg16 --class=cubism \
      --out=cubism.png

Simonyan et al. 2013, "Deep inside convolutional networks", eq. 1.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags
from jaxtyping import Float, UInt8
from PIL import Image
from tqdm import tqdm

from jaxart import classifier, commands, storage
from jaxart.devices import compiling
from jaxart.models import Network
from jaxart.saliency import pictures
from jaxart.saliency.methods.maximization import class_model

WEIGHTS = flags.DEFINE_string(
    "weights", None, "ImageNet classifier: a file of tools/convert_weights.py."
)
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Fine-tuned classifier: a run of jaxart.main; its best epoch."
)
CLASS = flags.DEFINE_string("class", None, "The class to draw: its name or index.")
OUT = flags.DEFINE_string("out", None, "PNG file.")
STEPS = flags.DEFINE_integer("steps", 200, "Gradient steps.", lower_bound=1)
LEARNING_RATE = flags.DEFINE_float(
    "learning_rate", 2.0, "About how far a pixel goes in a step, on 0 to 255."
)
L2 = flags.DEFINE_float("l2", 1e-6, "Weight of the squared norm of the image.")
JITTER = flags.DEFINE_integer(
    "jitter", 8, "Rolls the image by up to this many pixels in a step; 0: off."
)
BLUR = flags.DEFINE_float("blur", 0.5, "Width of a regular blur, pixels; 0: off.")
BLUR_EVERY = flags.DEFINE_integer("blur_every", 4, "Steps between two blurs.")
SEED = flags.DEFINE_integer("seed", 0, "Of the jitter.")
SETTINGS = (STEPS, LEARNING_RATE, L2, JITTER, BLUR, BLUR_EVERY)
# Values beyond it are drawn black or white.
CONTRAST_PERCENTILE = 99.5

flags.mark_flags_as_required(["class", "out"])


def main(argv: list[str]) -> None:
    """Draws what the flags describe."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    commands.set_up()
    try:
        out = storage.path(OUT.value)
        if out.suffix.lower() != ".png":
            raise ValueError(f"out={OUT.value}: a .png file")
        network = classifier.load(WEIGHTS.value, WORKDIR.value)
        index = network.class_index(CLASS.value)
        image, logits = draw(network, index)
        picture = Image.fromarray(to_picture(image, network.model))
        pictures.save(picture, out)
    except (ValueError, OSError) as error:
        sys.exit(f"jaxart: {error}")
    probability = float(jax.nn.softmax(logits)[index])
    print(
        f"{OUT.value}: {network.class_names[index]}, logit {float(logits[index]):.2f}, "
        f"probability {probability:.3f}"
    )


def draw(
    network: classifier.Classifier, index: int
) -> tuple[Float[np.ndarray, "h w 3"], Float[jax.Array, " k"]]:
    """The image of a class, as the network's input, and what the network says of it."""
    size = network.model.preprocessing["size"]

    with tqdm(total=STEPS.value, desc="climbing", unit="step") as bar:

        @compiling.jit
        def climb(params):
            def logits_fn(images):
                return network.model.apply({"params": params}, images)

            image = class_model(
                logits_fn,
                index,
                shape=(size, size, 3),
                key=jax.random.key(SEED.value),
                on_step=lambda step: bar.update(),
                **{flag.name: flag.value for flag in SETTINGS},
            )
            return image, logits_fn(image[None])[0]

        image, logits = jax.device_get(climb(network.params))
        jax.effects_barrier()
    return image, jnp.asarray(logits)


def to_picture(
    image: Float[np.ndarray, "h w 3"], model: Network
) -> UInt8[np.ndarray, "h w 3"]:
    """A network's input as RGB, about mid-grey and with its contrast stretched."""
    if model.preprocessing["channel_order"] == "bgr":
        image = image[:, :, ::-1]
    limit = np.percentile(np.abs(image), CONTRAST_PERCENTILE) or 1.0
    return np.rint(np.clip(127.5 + 127.5 * image / limit, 0, 255)).astype(np.uint8)


if __name__ == "__main__":
    app.run(main)
