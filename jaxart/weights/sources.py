"""Other people's weight files of any format, told by their content."""

from pathlib import Path
from typing import NamedTuple

from jaxart.models import Network
from jaxart.weights.channel_order import recognise_channel_order
from jaxart.weights.errors import WeightsError
from jaxart.weights.layout import Params
from jaxart.weights.readers import (
    caffe_h5,
    caffe_npy,
    caffe_state_dict,
    caffemodel,
    hdf5,
    keras_h5,
    npz,
    onnx_file,
    onnx_initializers,
    state_dict,
    torchvision,
)

_STATED = "the channel order is as stated: these weights are not known ones"
_FOLLOWS = "the channel order follows from the file"
_KNOWN = "the first layer is the Oxford VGG16's: its channel order is right"


class Source(NamedTuple):
    """What a file holds."""

    params: Params  # in our layout, the first kernel still for the file's own input
    channel_order: str | None  # of `CHANNEL_ORDERS`; None where nothing says it
    reason: str  # how that is known
    is_recognised: bool  # the first layer's values are known, and are of that order


def read(path: Path, network: Network) -> Source:
    """Reads a weight file of any format that jaxart knows, whatever it is called.

    `network` is what it is to be of, at whatever widths: its layers say what they are
    called in other libraries.

    Raises:
      WeightsError: no such format, layers that the network does not have, or a damaged
        file; nothing in it is run.
      OSError: the file cannot be opened.
    """
    params, channel_order, fact = _read(path, network)
    known = recognise_channel_order(params)
    if known is not None:
        return Source(params, known, _KNOWN, is_recognised=True)
    reason = f"{_FOLLOWS}: {fact}" if channel_order else _STATED
    return Source(params, channel_order, reason, is_recognised=False)


def _read(path: Path, network: Network) -> tuple[Params, str | None, str]:
    """Returns the parameters, their channel order, and what in the file says it."""
    with open(path, "rb") as stream:
        magic = stream.read(6)
    if magic == b"\x93NUMPY":
        return caffe_npy.read(path), "bgr", "a .npy dict is Caffe's own format"
    if state_dict.is_state_dict_file(path):
        arrays = state_dict.read(path)
        if caffe_state_dict.names_caffe_layers(arrays):
            params = caffe_state_dict.to_params(path, arrays)
            return params, "bgr", "the names are Caffe's"
        params = torchvision.to_params(path, arrays, network)
        return params, "torchvision", "the names are torchvision's"
    if magic.startswith(b"PK\x03\x04"):
        return npz.read(path), None, ""
    if hdf5.is_hdf5(path):
        if caffe_h5.is_caffe_h5(path):
            return caffe_h5.read(path, network), "bgr", "the layout is Caffe's HDF5"
        params = keras_h5.read(path, network)
        is_vgg = "conv1_1" in params
        return params, "bgr" if is_vgg else None, "Keras' VGGs are Caffe's"
    if onnx_file.is_onnx(path):
        read = onnx_initializers.read(path, network)
        return *read, "its metadata or its names say so"
    if caffemodel.is_caffemodel(path):
        return caffemodel.read(path), "bgr", "a .caffemodel is Caffe's own format"
    raise WeightsError(
        f"{path}: no .npy, .npz, .caffemodel, .h5, .safetensors, .pth or .onnx file "
        f"(it starts with {magic!r})"
    )
