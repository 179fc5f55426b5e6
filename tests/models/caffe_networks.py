"""The networks as Caffe has them, at full size, with random weights; and OpenCV's.

The tables come from the prototxts and the paper, not from `jaxart.models`.

References:
  bvlc_alexnet and bvlc_reference_caffenet: github.com/BVLC/caffe, models,
    train_val.prototxt.
  VGG16 and VGG19: Simonyan and Zisserman 2014, table 1, columns D and E; their
    prototxts are gist.github.com/ksimonyan/211839e770f7b538e2d8 and
    gist.github.com/ksimonyan/3785162f95cd2d5fee77.
"""

from pathlib import Path

import cv2
import numpy as np

from tests.models.caffe_files import Layer, caffemodel, prototxt

POOL_3_2 = "pool: MAX kernel_size: 3 stride: 2"
POOL_2_2 = "pool: MAX kernel_size: 2 stride: 2"
LRN = "local_size: 5 alpha: 0.0001 beta: 0.75"

NORM1 = Layer("norm1", "LRN", LRN)
NORM2 = Layer("norm2", "LRN", LRN)
POOL1 = Layer("pool1", "Pooling", POOL_3_2)
POOL2 = Layer("pool2", "Pooling", POOL_3_2)


def conv(name: str, settings: str, *shape: int) -> Layer:
    """Shape: outputs, inputs of one group, height, width."""
    return Layer(name, "Convolution", f"num_output: {shape[0]} {settings}", shape)


def relu(name: str) -> Layer:
    return Layer(name, "ReLU")


def fully_connected(pool5_size: int) -> list[Layer]:
    def fc(name: str, *shape: int) -> Layer:
        return Layer(name, "InnerProduct", f"num_output: {shape[0]}", shape)

    return [
        fc("fc6", 4096, pool5_size),
        relu("relu6"),
        Layer("drop6", "Dropout", "dropout_ratio: 0.5"),
        fc("fc7", 4096, 4096),
        relu("relu7"),
        Layer("drop7", "Dropout", "dropout_ratio: 0.5"),
        fc("fc8", 1000, 4096),
    ]


def alexnet_layers(*, pool_first: bool) -> list[Layer]:
    return [
        conv("conv1", "kernel_size: 11 stride: 4", 96, 3, 11, 11),
        relu("relu1"),
        *([POOL1, NORM1] if pool_first else [NORM1, POOL1]),
        conv("conv2", "kernel_size: 5 pad: 2 group: 2", 256, 48, 5, 5),
        relu("relu2"),
        *([POOL2, NORM2] if pool_first else [NORM2, POOL2]),
        conv("conv3", "kernel_size: 3 pad: 1", 384, 256, 3, 3),
        relu("relu3"),
        conv("conv4", "kernel_size: 3 pad: 1 group: 2", 384, 192, 3, 3),
        relu("relu4"),
        conv("conv5", "kernel_size: 3 pad: 1 group: 2", 256, 192, 3, 3),
        relu("relu5"),
        Layer("pool5", "Pooling", POOL_3_2),
        *fully_connected(256 * 6 * 6),
    ]


def vgg16_layers() -> list[Layer]:
    return vgg_layers(
        *("1_1 64 3", "1_2 64 64", "pool1", "2_1 128 64", "2_2 128 128", "pool2"),
        *("3_1 256 128", "3_2 256 256", "3_3 256 256", "pool3"),
        *("4_1 512 256", "4_2 512 512", "4_3 512 512", "pool4"),
        *("5_1 512 512", "5_2 512 512", "5_3 512 512", "pool5"),
    )


def vgg19_layers() -> list[Layer]:
    return vgg_layers(
        *("1_1 64 3", "1_2 64 64", "pool1", "2_1 128 64", "2_2 128 128", "pool2"),
        *("3_1 256 128", "3_2 256 256", "3_3 256 256", "3_4 256 256", "pool3"),
        *("4_1 512 256", "4_2 512 512", "4_3 512 512", "4_4 512 512", "pool4"),
        *("5_1 512 512", "5_2 512 512", "5_3 512 512", "5_4 512 512", "pool5"),
    )


def vgg_layers(*rows: str) -> list[Layer]:
    """Rows: a convolution's number, outputs and inputs; or a pool's name."""
    layers = []
    for name, *sizes in map(str.split, rows):
        if sizes:
            shape = (*map(int, sizes), 3, 3)
            layers.append(conv(f"conv{name}", "kernel_size: 3 pad: 1", *shape))
            layers.append(relu(f"relu{name}"))
        else:
            layers.append(Layer(name, "Pooling", POOL_2_2))
    return layers + fully_connected(512 * 7 * 7)


def random_blobs(layers: list[Layer]) -> dict[str, list[np.ndarray]]:
    """Weights that keep the size of the activations, from pixels to logits."""
    rng = np.random.default_rng(0)
    blobs = {}
    for layer in layers:
        if layer.shape:
            kernel = rng.standard_normal(layer.shape, dtype=np.float32)
            # He et al. 2015, eq. 10, has 2: it keeps the size, and biases add to it.
            kernel *= np.sqrt(1.6 / np.prod(layer.shape[1:]))
            bias = 10 * rng.standard_normal(layer.shape[0], dtype=np.float32)
            blobs[layer.name] = [kernel, bias]
    return blobs


def write_images(folder: Path, size: int) -> list[Path]:
    """Two pictures: noise, and large patches of even colour."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (size, size, 3))
    patches = rng.integers(0, 256, (8, 8, 3)).repeat(32, axis=0).repeat(32, axis=1)
    paths = [folder / "noise.png", folder / "patches.png"]
    for path, pixels in zip(paths, (noise, patches[:size, :size]), strict=True):
        cv2.imwrite(str(path), pixels.astype(np.uint8))
    return paths


def run_caffe(
    layers: list[Layer],
    blobs: dict[str, list[np.ndarray]],
    paths: list[Path],
    names: list[str],
) -> dict[str, np.ndarray]:
    """The named layers' outputs for pictures, channels last: all of it is OpenCV's."""
    pictures = [cv2.imread(str(path)) for path in paths]
    images = cv2.dnn.blobFromImages(pictures, mean=(103.939, 116.779, 123.68))
    net = cv2.dnn.readNetFromCaffe(
        np.frombuffer(prototxt(layers, images.shape), np.uint8),
        np.frombuffer(caffemodel(layers, blobs), np.uint8),
    )
    net.setInput(images)
    outputs = dict(zip(names, net.forward(names), strict=True))
    return {
        name: output.transpose(0, 2, 3, 1) if output.ndim == 4 else output
        for name, output in outputs.items()
    }


def relative_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Of the largest absolute value."""
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def assert_discriminating(logits: np.ndarray) -> None:
    """A network that answers nearly the same everywhere would agree with anything."""
    largest = np.abs(logits).max()
    assert 1 < largest < 1000
    assert (logits.std(axis=1) > 0.1 * largest).all()
    assert relative_error(logits[0], logits[1]) > 0.1
