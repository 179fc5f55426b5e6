"""The pieces of Caffe's networks, and the ordered list of named layers they form.

A network is a dict of layers in the order in which they run, under their Caffe
names. Any slice of it can run, which serves freezing, the frozen-prefix cache,
Grad-CAM and feature extraction alike.

References:
  Caffe's layer catalogue: caffe.berkeleyvision.org/tutorial/layers.html
  Local response normalisation: Krizhevsky et al. 2012, section 3.3.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxart.models.convolving import convolve

Rectifier = Callable[[Array], Array]
Layer = nn.Module | Rectifier

FC_NAMES = ("fc6", "fc7")
HEAD = "fc8"


class Convolution(nn.Module):
    """Caffe's Convolution: explicit zero padding, optional channel groups.

    A grouped convolution runs as one convolution a group: XLA's own grouped
    form is several times slower on CPU.
    """

    features: int
    kernel_size: int
    stride: int = 1
    pad: int = 0
    groups: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c2"]:
        kernel_shape = (self.kernel_size, self.kernel_size)
        kernel_shape += (x.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), kernel_shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        kernel, bias = kernel.astype(x.dtype), bias.astype(x.dtype)
        outputs = [
            convolve(x_group, kernel_group, self.stride, self.pad)
            for x_group, kernel_group in zip(
                jnp.split(x, self.groups, axis=-1),
                jnp.split(kernel, self.groups, axis=-1),
                strict=True,
            )
        ]
        return jnp.concatenate(outputs, axis=-1) + bias


class InnerProduct(nn.Module):
    """Caffe's InnerProduct: whatever comes in is flattened (H, W, C order) first."""

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "b ..."]) -> Float[Array, "b k"]:
        x = x.reshape(x.shape[0], -1)
        kernel_shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), kernel_shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return x @ kernel.astype(x.dtype) + bias.astype(x.dtype)


class LocalResponseNorm(nn.Module):
    """Caffe's LRN across channels.

    y = x / (k + alpha / size * sum of x^2 over `size` neighbouring channels)^beta.
    TensorFlow's `alpha` is Caffe's divided by the size.
    """

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        reach = self.size // 2
        squares = jnp.square(x.astype(jnp.float32))  # sums need its digits
        squares = jnp.pad(squares, [(0, 0)] * 3 + [(reach, self.size - 1 - reach)])
        windows = [
            jax.lax.slice_in_dim(squares, i, i + x.shape[-1], axis=3)
            for i in range(self.size)
        ]
        scale = self.k + self.alpha / self.size * sum(windows)
        if self.beta != 0.75:
            return (x * scale**-self.beta).astype(x.dtype)
        root = jax.lax.rsqrt(scale)  # two roots are several times cheaper than a power
        return (x * (root * jnp.sqrt(root))).astype(x.dtype)


class MaxPool(nn.Module):
    """Max pooling without padding; whole windows only.

    Caffe rounds the output size up. For the sizes that these networks run at
    (AlexNet 227, VGG 224) that is the same. Of equal values the first of a window
    gets the gradient, as in Caffe.
    """

    window: int
    stride: int

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
        h_span, w_span = (
            (side - self.window) // self.stride * self.stride + 1
            for side in x.shape[1:3]
        )
        # Each place of the window in all windows at once.
        places = [
            x[:, i : i + h_span : self.stride, j : j + w_span : self.stride]
            for i in range(self.window)
            for j in range(self.window)
        ]
        return functools.reduce(lambda a, b: jnp.where(b > a, b, a), places)


class Dropout(nn.Module):
    """Caffe's Dropout: what stays is divided by the fraction that does.

    Every example draws from a key of its own, so that its draws depend neither on the
    batch it came in nor on the device that it came to.
    """

    rate: float  # of the numbers that are set to 0
    stream: int  # tells the draws of a network's dropout layers apart

    def __call__(
        self, x: Float[Array, "b ..."], keys: Key[Array, " b"]
    ) -> Float[Array, "b ..."]:
        kept_fraction = 1 - self.rate

        def draw(key):
            key = jax.random.fold_in(key, self.stream)
            return jax.random.bernoulli(key, kept_fraction, x.shape[1:])

        return jnp.where(jax.vmap(draw)(keys), x / kept_fraction, 0)


class Network(nn.Module):
    """An ordered list of named layers, ending in fully connected ones.

    A subclass gives the convolutional part; fc6, fc7 and fc8 follow.
    """

    num_classes: int = 1000
    # Widths of fc6 and fc7; shorter leaves out fc7, then fc6: () puts fc8 on pool5.
    hidden: tuple[int, ...] = (4096, 4096)
    dropout_rate: float = 0.5  # of drop6 and drop7
    relu: Rectifier = jax.nn.relu  # of every ReLU layer; another for guided backprop
    # Or 'bfloat16': of activations before fc8. Logits and parameters are float32.
    compute_dtype: str = "float32"

    # Plain data, beside the model: what the network's input is made of; what configs
    # call a converted file of it; the fields of numbers that its weights are trained
    # with, which every weight file says.
    preprocessing: ClassVar[dict[str, Any]]
    weight_file: ClassVar[str]
    trained_with: ClassVar[tuple[str, ...]] = ()

    @nn.nowrap
    def convolutions(self) -> dict[str, Layer]:
        """The layers up to and including pool5."""
        return {}

    @nn.nowrap
    def layers(self) -> dict[str, Layer]:
        """Every layer by its Caffe name, in the order in which they run.

        Raises:
          ValueError: `hidden` has more than two widths.
        """
        if len(self.hidden) > len(FC_NAMES):
            raise ValueError(f"hidden={self.hidden}: at most two widths, fc6 and fc7")
        layers = self.convolutions()
        for number, width in enumerate(self.hidden, start=6):
            layers[f"fc{number}"] = InnerProduct(width, parent=None)
            layers[f"relu{number}"] = self.relu
            layers[f"drop{number}"] = Dropout(self.dropout_rate, number, parent=None)
        layers[HEAD] = InnerProduct(self.num_classes, parent=None)
        return layers

    if TYPE_CHECKING:  # Flax's gives a tuple, too: with state, which no layer has

        def apply(self, *args: Any, **settings: Any) -> Array: ...

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b ..."],
        *,
        after: str | None = None,
        upto: str | None = None,
        dropout_keys: Key[Array, " b"] | None = None,
    ) -> Float[Array, "b ..."]:
        """Runs the layers after `after`, up to and including `upto`.

        `x` are images [B, H, W, C] as `preprocessing` says, or the activation of layer
        `after`; what comes of them is that of layer `upto`, or logits [B, num_classes].
        Without `dropout_keys`, one for each example, dropout is off.

        Raises:
          ValueError: a name is none of the layers', or the slice is empty.
        """
        for name, layer in select(self.layers(), after, upto).items():
            x = x.astype(jnp.float32 if name == HEAD else self.compute_dtype)
            if isinstance(layer, nn.Module):
                layer = layer.clone(parent=self, name=name)
            if not isinstance(layer, Dropout):
                x = layer(x)
            elif dropout_keys is not None:
                x = layer(x, dropout_keys)
        return x


def select(
    layers: dict[str, Layer], after: str | None, upto: str | None
) -> dict[str, Layer]:
    """The layers that follow `after`, up to and including `upto`.

    Raises:
      ValueError: a name is none of the layers', or the slice is empty.
    """
    names = list(layers)
    for name in (after, upto):
        if name is not None and name not in layers:
            raise ValueError(f"no layer {name!r}; the layers are {', '.join(names)}")
    start = 0 if after is None else names.index(after) + 1
    stop = len(names) if upto is None else names.index(upto) + 1
    if start >= stop:
        raise ValueError(f"no layer lies after {after!r} and up to {upto!r}")
    return {name: layers[name] for name in names[start:stop]}


def trainable(layers: dict[str, Layer]) -> tuple[str, ...]:
    """Names of the layers that hold parameters, in order."""
    kinds = (Convolution, InnerProduct)
    return tuple(name for name, layer in layers.items() if isinstance(layer, kinds))


def frozen_boundary(
    layers: dict[str, Layer], train_layers: tuple[str, ...]
) -> str | None:
    """The last layer before anything random or trained.

    Everything up to it gives the same activation in every epoch, so it may run
    once. None where the first layer is already trained.
    """
    boundary = None
    for name, layer in layers.items():
        is_random = isinstance(layer, Dropout) and layer.rate > 0
        if is_random or name in train_layers:
            break
        boundary = name
    return boundary
