"""What goes into an exported network and what comes out, for those without jaxart."""

from typing import Any

from jaxart import __version__
from jaxart.classifier import Classifier
from jaxart.data.resizing import CROP_SHORT_SIDE
from jaxart.models import name_of

_RESIZE_SENTENCES = {
    "antialias": (
        "warp to {size} x {size} with Pillow's bilinear filter "
        "(Image.resize, Resampling.BILINEAR)"
    ),
    "tf1_bilinear": (
        "warp to {size} x {size} by plain bilinear interpolation without "
        "antialiasing, where output pixel i is at i * (side of the image) / {size} and "
        "the last row and column are repeated (TensorFlow 1's resize_images)"
    ),
    "crop": (
        "scale the short side to {short_side} with Pillow's bilinear filter, keeping "
        "the aspect, and take the {size} x {size} in the centre"
    ),
}


def describe(network: Classifier, layout: str) -> dict[str, Any]:
    """What it takes to prepare an image for a network, and to read its answer.

    `layout` is that of the exported network's input, 'NCHW' or 'NHWC'. The facts are
    plain data: `mean` in channel order, on the scale of the pixels.
    """
    facts = network.model.preprocessing
    size, order, mean = facts["size"], facts["channel_order"], list(facts["mean"])
    # The rule that predictions fall back on where the weights name none.
    resize = network.resize or "antialias"
    resizing = _RESIZE_SENTENCES[resize].format(
        size=size, short_side=max(CROP_SHORT_SIDE, size)
    )
    shape = {"NCHW": f"[N, 3, {size}, {size}]", "NHWC": f"[N, {size}, {size}, 3]"}
    return {
        "model": name_of(network.model),
        "jaxart_version": __version__,
        "layout": layout,
        "channel_order": order,
        "pixel_range": [0, 255],
        "mean": mean,
        "size": size,
        "resize": resize,
        "class_names": list(network.class_names),
        "preprocessing": (
            "decode to RGB with values 0 to 255 (EXIF rotation applied, transparency "
            f"over white); {resizing}; put the channels in the order "
            f"{', '.join(order.upper())}; subtract the mean "
            f"{', '.join(map(str, mean))}; do not scale; float32 {shape[layout]}"
        ),
        "output": (
            f"logits, float32 [N, {len(network.class_names)}], in the order of "
            "class_names; their softmax are the probabilities"
        ),
    }
