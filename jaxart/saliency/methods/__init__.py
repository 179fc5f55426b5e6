"""Every attribution method, as a pure function.

All are jit-compatible and batched. They take `logits_fn: images [B, H, W, C] -> logits
[B, K]`, `images` as that network takes them, floating-point numbers, and `targets`, a
class index or one for each image [B]; arrays are JAX's or NumPy's. They return a signed
float32 attribution of the images' shape; class activation maps are [B, h, w]. The
score is the target's logit. Randomness comes through `key` alone, and an image's
attribution does not depend on the batch that it comes in. `batch_size` bounds the
memory of methods that look at many copies of an image: that many run at once. A
setting that is out of range, a target that is no class, and an image of integers is a
`ValueError` that says which there are.
"""

from jaxart.saliency.methods.cam import (
    grad_cam,
    grad_cam_plus_plus,
    guided_grad_cam,
    layer_cam,
)
from jaxart.saliency.methods.gradients import (
    channel_map,
    deconvnet,
    gradient,
    gradient_x_input,
    guided_backprop,
    smoothgrad,
    smoothgrad_squared,
    vargrad,
)
from jaxart.saliency.methods.maximization import class_model
from jaxart.saliency.methods.paths import (
    blur_integrated_gradients,
    guided_integrated_gradients,
    integrated_gradients,
)
from jaxart.saliency.methods.perturbation import occlusion, rise

__all__ = [
    "blur_integrated_gradients",
    "channel_map",
    "class_model",
    "deconvnet",
    "grad_cam",
    "grad_cam_plus_plus",
    "gradient",
    "gradient_x_input",
    "guided_backprop",
    "guided_grad_cam",
    "guided_integrated_gradients",
    "integrated_gradients",
    "layer_cam",
    "occlusion",
    "rise",
    "smoothgrad",
    "smoothgrad_squared",
    "vargrad",
]
