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

from jaxart.models import winograd

Rectifier = Callable[[Array], Array]
Layer = nn.Module | Rectifier

FC_NAMES = ("fc6", "fc7")
HEAD = "fc8"


def _convolve(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k k c c2"], stride: int, pad: int
) -> Float[Array, "b h2 w2 c2"]:
    """Convolves images with a square kernel, zero padded by `pad` on each side.

    On CPU some convolutions are Winograd's. The gradient with respect to `x` at stride
    1 is written as a convolution with the flipped kernel, laid out for it. XLA does
    that by itself, except inside a loop: on CPU, where methods that sample spend all
    their time, it is 4 times faster. Forward-mode derivatives are not defined.
    """
    plain = functools.partial(_plain_convolve, stride=stride, pad=pad)
    if winograd.suits(x, kernel, stride, pad):
        return jax.lax.platform_dependent(
            x, kernel, cpu=winograd.convolve, default=plain
        )
    return plain(x, kernel)


def _plain_convolve(x, kernel, *, stride, pad):
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=[(pad, pad)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _convolve_forward(x, kernel, stride, pad):
    return convolve(x, kernel, stride, pad), (x, kernel)


def _convolve_backward(stride, pad, inputs, gradient):
    x, kernel = inputs
    if stride == 1:
        flipped = jnp.flip(kernel, axis=(0, 1)).swapaxes(2, 3)
        # Without the barriers XLA takes flip and transposition back out.
        flipped = jax.lax.optimization_barrier(flipped)
        x_gradient = convolve(gradient, flipped, 1, kernel.shape[0] - 1 - pad)
    else:
        plain = functools.partial(_plain_convolve, stride=stride, pad=pad)
        x_gradient, _ = jax.vjp(plain, x, kernel)[1](gradient)
    # Over the images, instead of over the channels.
    turned = jax.lax.optimization_barrier(
        (x.transpose(3, 1, 2, 0), gradient.transpose(1, 2, 0, 3))
    )
    kernel_gradient = jax.lax.conv_general_dilated(
        *turned,
        window_strides=(1, 1),
        padding=[(pad, pad)] * 2,
        rhs_dilation=(stride, stride),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )[:, : kernel.shape[0], : kernel.shape[1]]
    return x_gradient, kernel_gradient.transpose(1, 2, 0, 3)


convolve = jax.custom_vjp(_convolve, nondiff_argnums=(2, 3))
convolve.defvjp(_convolve_forward, _convolve_backward)


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
    """Caffe's Dropout: what stays is divided by its share.

    Every example draws from a key of its own, so that its draws depend neither on the
    batch it came in nor on the device that it came to.

    Attributes:
      rate: share of the numbers that are set to 0.
      stream: tells the draws of a network's dropout layers apart.
    """

    rate: float
    stream: int

    def __call__(
        self, x: Float[Array, "b ..."], keys: Key[Array, " b"]
    ) -> Float[Array, "b ..."]:
        kept_share = 1 - self.rate

        def draw(key):
            key = jax.random.fold_in(key, self.stream)
            return jax.random.bernoulli(key, kept_share, x.shape[1:])

        return jnp.where(jax.vmap(draw)(keys), x / kept_share, 0)


class Network(nn.Module):
    """An ordered list of named layers, ending in fully connected ones.

    A subclass gives the convolutional part; fc6, fc7 and fc8 follow.

    Attributes:
      num_classes: number of logits.
      hidden: widths of fc6 and fc7; shorter leaves out fc7, then fc6, so that
        `()` puts fc8 straight on pool5.
      dropout_rate: rate of drop6 and drop7.
      relu: the rectifier of every ReLU layer; swap it for guided backprop.
      compute_dtype: 'float32' or 'bfloat16', of the activations before fc8, whose
        logits are float32 as all parameters are.
    """

    num_classes: int = 1000
    hidden: tuple[int, ...] = (4096, 4096)
    dropout_rate: float = 0.5
    relu: Rectifier = jax.nn.relu
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

        Args:
          x: images [B, H, W, C] as `preprocessing` says, or the activation of
            layer `after`.
          after: name of the layer that gave `x`; None where `x` are images.
          upto: name of the last layer to run; None runs to the logits.
          dropout_keys: a random key for each example; None turns dropout off.

        Returns:
          Activation of layer `upto`; by default logits [B, num_classes].

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
        random = isinstance(layer, Dropout) and layer.rate > 0
        if random or name in train_layers:
            break
        boundary = name
    return boundary
