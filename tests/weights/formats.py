"""One network in every file that jaxart reads, written without jaxart.

A network is given as Caffe has it: `{'conv1': [kernel, bias], ...}`, kernels OIHW and
(out, in), the first fully connected layer for C, H, W order, input BGR.
"""

import h5py
import numpy as np
import onnx
from safetensors.numpy import save_file

from tests.weights import test_caffemodel, test_torchvision, torch_files

KERAS = {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}
TORCHVISION_MEAN, TORCHVISION_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN = (103.939, 116.779, 123.68)


def to_tree(blobs):
    """The parameter tree of jaxart: HWIO, (in, out), H, W, C order."""
    tree, channels = {}, None
    for name, (kernel, bias) in blobs.items():
        if kernel.ndim == 4:
            kernel, channels = kernel.transpose(2, 3, 1, 0), len(bias)
        else:
            if channels:
                side = round((kernel.shape[1] / channels) ** 0.5)
                maps = kernel.reshape(len(bias), channels, side, side)
                kernel = maps.transpose(0, 2, 3, 1).reshape(kernel.shape)
                channels = None
            kernel = kernel.T
        kernel = np.ascontiguousarray(kernel)
        tree[name] = {"kernel": kernel, "bias": bias}
    return tree


def write_npy(path, blobs):
    np.save(path, {k: [p["kernel"], p["bias"]] for k, p in to_tree(blobs).items()})


def write_npy_of_dicts(path, blobs):
    tree = to_tree(blobs).items()
    layers = {
        name.encode(): {b"weights": pair["kernel"], b"biases": pair["bias"]}
        for name, pair in tree
    }
    np.save(path, layers)


def write_npz(path, blobs):
    tree = to_tree(blobs)
    arrays = {f"{name}_W": pair["kernel"] for name, pair in tree.items()}
    np.savez(path, **arrays, **{f"{k}_b": pair["bias"] for k, pair in tree.items()})


def write_caffemodel(path, blobs, layer=test_caffemodel.new_layer):
    dims = {
        test_caffemodel.new_layer: test_caffemodel.packed_dims,
        test_caffemodel.v1_layer: test_caffemodel.v1_dims,
    }[layer]
    with open(path, "wb") as file:
        file.write(test_caffemodel.field(1, b"net"))
        for name, arrays in blobs.items():
            kind = "Convolution" if arrays[0].ndim == 4 else "InnerProduct"
            parts = [test_caffemodel.blob(array, dims) for array in arrays]
            file.write(layer(name, kind, parts))


def write_v1_caffemodel(path, blobs):
    write_caffemodel(path, blobs, test_caffemodel.v1_layer)


def write_caffe_h5(path, blobs):
    with h5py.File(path, "w") as file:
        for name, arrays in blobs.items():
            for number, array in enumerate(arrays):
                file[f"data/{name}/{number}"] = array


def write_keras_h5(path, blobs):
    with h5py.File(path, "w") as file:
        for name, pair in to_tree(blobs).items():
            block, _, number = name.removeprefix("conv").partition("_")
            name = KERAS.get(name, f"block{block}_conv{number}")
            file[f"{name}/{name}/kernel:0"] = pair["kernel"]
            file[f"{name}/{name}/bias:0"] = pair["bias"]


def state_dict(blobs, names=None):
    return {
        f"{(names or {}).get(name, name)}.{parameter}": np.ascontiguousarray(array)
        for name, arrays in blobs.items()
        for parameter, array in zip(("weight", "bias"), arrays, strict=True)
    }


def torchvision_names(blobs):
    """Where torchvision has a VGG's layers: it counts each ReLU and each pool, too."""
    names, place, last = {}, 0, "1"
    for layer in blobs:
        if layer.startswith("conv"):
            block = layer.removeprefix("conv")[0]
            place += block != last
            names[layer] = f"features.{place}"
            place, last = place + 2, block
    return names | test_torchvision.DENSE


def for_torchvision(blobs):
    """The same network for red first in 0..1, less a mean, over a deviation.

    With q its input, p = 255 (std q + mean) are the pixels, and Caffe's input is p
    less Caffe's mean.
    """
    kernel, bias = (array.astype(np.float64) for array in blobs["conv1_1"])
    kernel = kernel[:, ::-1]
    shift = 255 * np.array(TORCHVISION_MEAN) - CAFFE_MEAN[::-1]
    bias = bias + np.einsum("oihw,i->o", kernel, shift)
    kernel = kernel * 255 * np.array(TORCHVISION_STD)[:, None, None]
    first = [kernel.astype(np.float32), bias.astype(np.float32)]
    return {"conv1_1": first, **{k: v for k, v in blobs.items() if k != "conv1_1"}}


def write_torchvision(path, blobs):
    save_file(state_dict(for_torchvision(blobs), torchvision_names(blobs)), path)


def write_torchvision_pth(path, blobs):
    state = state_dict(for_torchvision(blobs), torchvision_names(blobs))
    torch_files.write_zip(path, torch_files.state_dict(state))


def write_torchvision_legacy_pth(path, blobs):
    state = state_dict(for_torchvision(blobs), torchvision_names(blobs))
    torch_files.write_legacy(path, torch_files.state_dict(state))


def write_caffe_named_safetensors(path, blobs):
    save_file(state_dict(blobs), path)


def write_caffe_named_pth(path, blobs):
    torch_files.write_zip(path, torch_files.state_dict(state_dict(blobs)))


def write_onnx(path, blobs):
    """The weights and the nodes that they belong to: nothing that could run."""
    nodes, model_input = [], "data"
    for name, (kernel, _) in blobs.items():
        inputs = [model_input, f"{name}_w_0", f"{name}_b_0"]
        attributes = {} if kernel.ndim == 4 else {"transB": 1}
        operator = "Conv" if kernel.ndim == 4 else "Gemm"
        nodes.append(onnx.helper.make_node(operator, inputs, [name], **attributes))
        model_input = name
    graph = onnx.helper.make_graph(nodes, "net", [], [])
    model = onnx.helper.make_model(graph)
    for name, arrays in blobs.items():
        for suffix, array in zip("wb", arrays, strict=True):
            model.graph.initializer.add(
                name=f"{name}_{suffix}_0",
                data_type=onnx.TensorProto.FLOAT,
                dims=array.shape,
                raw_data=np.ascontiguousarray(array).tobytes(),
            )
    path.write_bytes(model.SerializeToString())


# Every format that has all networks, and what only VGGs have.
WRITERS = {
    "npy": write_npy,
    "npy_of_dicts": write_npy_of_dicts,
    "npz": write_npz,
    "caffemodel": write_caffemodel,
    "v1_caffemodel": write_v1_caffemodel,
    "caffe_h5": write_caffe_h5,
    "caffe_named_pth": write_caffe_named_pth,
    "caffe_named_safetensors": write_caffe_named_safetensors,
    "onnx": write_onnx,
}
VGG_WRITERS = {
    "keras_h5": write_keras_h5,
    "torchvision": write_torchvision,
    "torchvision_pth": write_torchvision_pth,
    "torchvision_legacy_pth": write_torchvision_legacy_pth,
}
ALL = WRITERS | VGG_WRITERS


def narrow_vgg16():
    """VGG16 with one or two filters a layer: a file is headers for the most part."""
    return _narrow_vgg(2, 2, 3, 3, 3)


def narrow_vgg19():
    """VGG19 with one or two filters a layer."""
    return _narrow_vgg(2, 2, 4, 4, 4)


def _narrow_vgg(*depths):
    shapes, inputs = {}, 3
    convolutions = [
        f"conv{block}_{number}"
        for block, depth in enumerate(depths, start=1)
        for number in range(1, depth + 1)
    ]
    for layer in [*convolutions, *KERAS]:
        outputs = 1 + len(shapes) % 2
        is_convolution = layer.startswith("conv")
        width = 49 * inputs if layer == "fc6" else inputs
        shapes[layer] = (outputs, width, 3, 3) if is_convolution else (outputs, width)
        inputs = outputs
    return _draw(shapes)


def narrow_alexnet():
    """AlexNet with a few filters a layer, in its groups."""
    shapes = {
        "conv1": (4, 3, 11, 11),
        "conv2": (6, 2, 5, 5),
        "conv3": (4, 6, 3, 3),
        "conv4": (2, 2, 3, 3),
        "conv5": (4, 1, 3, 3),
        "fc6": (3, 36 * 4),
        "fc7": (2, 3),
        "fc8": (5, 2),
    }
    return _draw(shapes)


def _draw(shapes):
    rng = np.random.default_rng(0)
    return {
        layer: [rng.normal(size=size).astype(np.float32) for size in (shape, shape[0])]
        for layer, shape in shapes.items()
    }
