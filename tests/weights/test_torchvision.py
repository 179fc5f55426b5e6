"""torchvision's VGG16 reads, folded for our input; hostile files are only refused."""

import collections
import io
import os
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxart.models.vgg16 import VGG16
from jaxart.weights import WeightsError, torch_zip, torchvision

CONVOLUTIONS = {
    "conv1_1": 0,
    "conv1_2": 2,
    "conv2_1": 5,
    "conv2_2": 7,
    "conv3_1": 10,
    "conv3_2": 12,
    "conv3_3": 14,
    "conv4_1": 17,
    "conv4_2": 19,
    "conv4_3": 21,
    "conv5_1": 24,
    "conv5_2": 26,
    "conv5_3": 28,
}
DENSE = {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}
TIMM = {
    "classifier.0": "pre_logits.fc1",
    "classifier.3": "pre_logits.fc2",
    "classifier.6": "head.fc",
}
MEAN = np.array([0.485, 0.456, 0.406])  # RGB
STD = np.array([0.229, 0.224, 0.225])
CAFFE_MEAN = np.array([103.939, 116.779, 123.68])  # BGR


@pytest.fixture
def state():
    """The state_dict of a narrow torchvision VGG16."""
    rng = np.random.default_rng(0)
    state = {}
    inputs = 3
    for number, index in enumerate(CONVOLUTIONS.values()):
        outputs = 4 + number % 3
        state[f"features.{index}.weight"] = rng.normal(size=(outputs, inputs, 3, 3))
        state[f"features.{index}.bias"] = rng.normal(size=outputs)
        inputs = outputs
    inputs *= 49
    for outputs, module in zip((6, 5, 3), DENSE.values(), strict=True):
        state[f"{module}.weight"] = rng.normal(size=(outputs, inputs))
        state[f"{module}.bias"] = rng.normal(size=outputs)
        inputs = outputs
    return {name: array.astype(np.float32) for name, array in state.items()}


def as_timm(state):
    """The same network with convolutions for its first two dense layers."""
    renamed = {}
    for name, array in state.items():
        module, _, parameter = name.rpartition(".")
        if name == "classifier.0.weight":
            array = array.reshape(len(array), -1, 7, 7)
        if name == "classifier.3.weight":
            array = array[:, :, None, None]
        renamed[f"{TIMM.get(module, module)}.{parameter}"] = np.ascontiguousarray(array)
    return renamed


class Storage:
    """A storage to be pickled: the bytes of `data` under a key."""

    def __init__(self, kind, key, data, num_elements=None):
        self.id = ("storage", kind, key, "cpu", num_elements)
        self.data = data


class Tensor:
    """Pickles as a tensor does."""

    def __init__(self, storage, offset, size, stride):
        self.arguments = (storage, offset, size, stride, False)

    def __reduce__(self):
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (*self.arguments, collections.OrderedDict())


KINDS = {"e": "HalfStorage", "f": "FloatStorage", "d": "DoubleStorage"}


def stand_ins():
    """Modules with what a pickle of tensors names, as far as pickling needs it."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2():
        pass

    for name in ("FloatStorage", "HalfStorage", "DoubleStorage", "LongStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    return {"torch": torch, "torch._utils": utils}


def tensor(array, key="0", size=None, stride=None, offset=0, num_elements=None):
    """A contiguous tensor, or one that says something else."""
    kind = KINDS.get(array.dtype.char, "LongStorage")
    num_elements = array.size if num_elements is None else num_elements
    storage = Storage(kind, key, array.tobytes(), num_elements)
    if stride is None:
        stride = tuple(step // array.itemsize for step in array.strides)
    return Tensor(storage, offset, array.shape if size is None else size, stride)


def write_pth(path, content, compression=zipfile.ZIP_STORED, members=(), pickled=None):
    """Writes what `torch.save` writes, without PyTorch."""
    storages = {}
    modules = stand_ins()

    class Pickler(pickle._Pickler):
        def persistent_id(self, thing):
            if isinstance(thing, Storage):
                word, kind, key, *rest = thing.id
                storages[key] = thing.data
                kind = getattr(modules["torch"], kind) if kind else None
                return (word, kind, key, *rest)
            return None

    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        stream = io.BytesIO()
        Pickler(stream, 2).dump(content)
    written = {
        "data.pkl": stream.getvalue() if pickled is None else pickled,
        "byteorder": b"little",
        **{f"data/{key}": data for key, data in storages.items()},
        "version": b"3\n",
        ".data/serialization_id": b"0" * 40,
        **dict(members),
    }
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in written.items():
            if data is not None:
                archive.writestr(f"vgg16/{name}", data)
    return path


def state_dict(state):
    content = collections.OrderedDict(
        (name, tensor(array, str(key)))
        for key, (name, array) in enumerate(state.items())
    )
    content._metadata = collections.OrderedDict(
        [("", {"version": 1}), ("features", {"version": 1})]
    )
    return content


def write_state(path, state):
    if path.suffix == ".pth":
        return write_pth(path, state_dict(state))
    save_file(state, path)
    return path


def convolve(image, kernel_oihw, bias, padding):
    """The first layer as PyTorch defines it, tap by tap: (C, H, W) -> (O, H, W)."""
    _, height, width = image.shape
    padded = np.pad(image, [(0, 0), (1, 1), (1, 1)]) if padding else image
    rows, columns = (height, width) if padding else (height - 2, width - 2)
    out = np.zeros((len(kernel_oihw), rows, columns)) + bias[:, None, None]
    for i in range(3):
        for j in range(3):
            patch = padded[:, i : i + rows, j : j + columns]
            out += np.tensordot(kernel_oihw[:, :, i, j].astype(np.float64), patch, 1)
    return out


def both_first_layers(path, state, padding):
    """The first layer's output by torchvision's convention and by ours."""
    pixels = np.random.default_rng(1).integers(0, 256, size=(3, 20, 24))  # RGB
    theirs = convolve(
        (pixels / 255 - MEAN[:, None, None]) / STD[:, None, None],
        state["features.0.weight"],
        state["features.0.bias"],
        padding,
    )
    first = torchvision.read(path)["conv1_1"]
    ours = convolve(
        pixels[::-1] - CAFFE_MEAN[:, None, None],
        first["kernel"].transpose(3, 2, 0, 1),
        first["bias"],
        padding,
    )
    return theirs, ours


@pytest.mark.parametrize("timm", [False, True], ids=["torchvision", "timm"])
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_reads_every_layer(tmp_path, state, name, timm):
    path = write_state(tmp_path / name, as_timm(state) if timm else state)
    assert torchvision.is_torchvision_file(path)
    assert torch_zip.is_torch_zip(path) == (name == "a.pth")
    params = torchvision.read(path)
    assert list(params) == [*CONVOLUTIONS, *DENSE]
    for arrays in params.values():
        assert list(arrays) == ["kernel", "bias"]
        assert all(array.dtype == np.float32 for array in arrays.values())
        assert all(array.flags.c_contiguous for array in arrays.values())
    for layer, index in list(CONVOLUTIONS.items())[1:]:
        weight = state[f"features.{index}.weight"]
        for i, j in ((0, 0), (0, 2), (1, 2)):
            np.testing.assert_array_equal(
                params[layer]["kernel"][i, j], weight[:, :, i, j].T
            )
        np.testing.assert_array_equal(
            params[layer]["bias"], state[f"features.{index}.bias"]
        )


@pytest.mark.parametrize("timm", [False, True], ids=["torchvision", "timm"])
def test_dense_layers_compute_the_same(tmp_path, state, timm):
    """PyTorch flattens (C, H, W), we flatten (H, W, C)."""
    path = write_state(tmp_path / "a.pth", as_timm(state) if timm else state)
    params = torchvision.read(path)
    channels = len(state["features.28.bias"])
    features = np.random.default_rng(1).normal(size=(channels, 7, 7))
    theirs, ours = features.ravel(), features.transpose(1, 2, 0).ravel()
    for layer, module in DENSE.items():
        theirs = state[f"{module}.weight"] @ theirs + state[f"{module}.bias"]
        ours = ours @ params[layer]["kernel"] + params[layer]["bias"]
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_first_layer_is_the_same_inside(tmp_path, state):
    path = write_state(tmp_path / "a.pth", state)
    theirs, ours = both_first_layers(path, state, padding=False)
    assert np.abs(theirs).max() > 10
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_first_layer_differs_little_at_the_border(tmp_path, state):
    """There the image goes on in Caffe's mean colour instead of torchvision's."""
    path = write_state(tmp_path / "a.pth", state)
    theirs, ours = both_first_layers(path, state, padding=True)
    difference = ours - theirs
    np.testing.assert_allclose(difference[:, 1:-1, 1:-1], 0, rtol=0, atol=1e-5)

    # What the padding is in torchvision's units, in our convention and in theirs.
    shift = (CAFFE_MEAN[::-1] / 255 - MEAN) / STD
    assert np.abs(shift).max() < 0.009
    taps = np.einsum("oihw,i->ohw", state["features.0.weight"].astype(float), shift)
    np.testing.assert_allclose(
        difference[:, 0, 1:-1], taps[:, 0].sum(1)[:, None] + np.zeros(22), atol=1e-5
    )
    np.testing.assert_allclose(
        difference[:, -1, -1], taps[:, 2].sum(1) + taps[:, :2, 2].sum(1), atol=1e-5
    )
    assert 0 < np.abs(difference).max() < 0.003 * np.abs(theirs).max()


def test_the_means_are_the_model_s():
    assert VGG16.preprocessing["mean"] == tuple(CAFFE_MEAN)


def test_convolutions_alone(tmp_path, state):
    state = {name: a for name, a in state.items() if name.startswith("features")}
    path = write_state(tmp_path / "a.pth", state)
    assert list(torchvision.read(path)) == list(CONVOLUTIONS)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_reads_other_floats(tmp_path, state, name, dtype):
    state = {name: array.astype(dtype) for name, array in state.items()}
    params = torchvision.read(write_state(tmp_path / name, state))
    np.testing.assert_array_equal(
        params["fc8"]["bias"], state["classifier.6.bias"].astype(np.float32)
    )


def test_reads_views_and_compressed_members(tmp_path):
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    content = {
        "transposed": tensor(array, "0", (4, 3, 2), (1, 4, 12)),
        "part": tensor(np.arange(40.0), "1", (2, 5), (10, 1), offset=7),
        "scalar": tensor(np.float32([3]), "2", (), ()),
        "empty": tensor(np.float32([3]), "3", (0, 4), (4, 1), offset=1),
    }
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        found = torch_zip.read_state_dict(
            write_pth(tmp_path / "a.pth", content, compression)
        )
        np.testing.assert_array_equal(found["transposed"], array.T)
        np.testing.assert_array_equal(
            found["part"], [np.arange(7, 12), np.arange(17, 22)]
        )
        assert found["scalar"] == 3 and found["empty"].shape == (0, 4)
        assert not found["part"].flags.writeable


def network(indices, **more):
    return {
        f"features.{index}.{name}": np.ones(shape, np.float32)
        for index in indices
        for name, shape in (("weight", (2, 2, 3, 3)), ("bias", (2,)))
    } | more


OTHER_NETWORKS = {
    "alexnet, .*64 filters .*no groups, no response norm": network(
        (3, 6, 8, 10), **{"features.0.weight": np.ones((64, 3, 11, 11), np.float32)}
    ),
    r"batch norm \(vgg16_bn": network(
        (0, 1, 3),
        **{
            "features.1.running_mean": np.ones(2, np.float32),
            "features.1.num_batches_tracked": np.array([5]),
        },
    ),
    "torchvision's vgg11": network((0, 3, 6, 8, 11, 13, 16, 18)),
    "torchvision's vgg13": network((0, 2, 5, 7, 10, 12, 15, 17, 20, 22)),
    "torchvision's vgg19": network(
        (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
    ),
    "holds 'conv1.weight'": {"conv1.weight": np.ones((64, 3, 7, 7), np.float32)},
    "holds 'weight'": {"weight": np.ones(3, np.float32)},
    "lacks VGG16's conv3_1": network((0, 2, 5, 7)),
}


@pytest.mark.parametrize("message", OTHER_NETWORKS)
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_refuses_other_networks_by_name(tmp_path, name, message):
    path = write_state(tmp_path / name, OTHER_NETWORKS[message])
    with pytest.raises(WeightsError, match=rf"{name}: .*{message}"):
        torchvision.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features.2.bias": None}, "conv1_2 has only one of"),
        ({"features.2.weight": np.ones((5, 9, 3, 3))}, "conv1_2 has a kernel of shape"),
        ({"features.2.weight": np.ones((5, 4, 5, 5))}, "conv1_2 has a kernel of shape"),
        ({"features.2.weight": np.ones((5, 4))}, "features.2.weight has the shape"),
        ({"features.0.weight": np.ones((4, 1, 3, 3))}, "conv1_1 has a kernel of shape"),
        ({"features.0.weight": np.ones((4, 3, 3, 3), int)}, "is an array of int64"),
        ({"classifier.0.weight": np.ones((6, 4))}, "classifier.0.weight has the shape"),
        ({"classifier.0.weight": np.ones((6, 49))}, "fc6 has a kernel of shape"),
        ({"classifier.0.weight": np.ones((6, 49 * 8))}, "fc6 has 392 inputs, not 196"),
        ({"classifier.3.weight": np.ones((5, 7))}, "fc7 has a kernel of shape"),
        ({"classifier.0.weight": None, "classifier.0.bias": None}, "lacks fc6"),
        ({"head.fc.bias": np.ones(3)}, "has fc8 under two names"),
        ({"features.2.gamma": np.ones(3)}, "holds 'features.2.gamma'"),
    ],
)
def test_names_what_does_not_fit(tmp_path, state, change, message):
    state = {name: a for name, a in (state | change).items() if a is not None}
    with pytest.raises(WeightsError, match=rf"a\.pth: .*{message}"):
        torchvision.read(write_state(tmp_path / "a.pth", state))


class Call:
    """Pickles to a call of a function."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


FLOATS = np.arange(6, dtype=np.float32)
ORDERED, REBUILD = (
    b"ccollections\nOrderedDict\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
)
ID = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x06t"


def storage(kind="FloatStorage", key="0", num_elements=6):
    return Tensor(Storage(kind, key, FLOATS.tobytes(), num_elements), 0, (6,), (1,))


# name -> content, given a file that it would create.
HOSTILE = {
    "os.system": lambda m: Call(os.system, f"touch {m}"),
    "os.system for a tensor": lambda m: {"a": Call(os.system, f"touch {m}")},
    "os.system beside one": lambda m: {
        "a": tensor(FLOATS),
        "b": Call(os.system, f"touch {m}"),
    },
    "eval": lambda m: {"a": Call(eval, f"open({str(m)!r}, 'w')")},
    "a module": lambda m: {"a": types.SimpleNamespace(b=1)},
    "not a dict": lambda m: [tensor(FLOATS)],
    "empty": lambda m: {},
    "a checkpoint": lambda m: {"state_dict": {"a": tensor(FLOATS)}, "epoch": 3},
    "a key that is no string": lambda m: {3: tensor(FLOATS)},
    "a storage larger than its member": lambda m: {
        "a": tensor(FLOATS, num_elements=7, size=(7,), stride=(1,))
    },
    "a storage smaller than its member": lambda m: {
        "a": tensor(FLOATS, num_elements=5, size=(5,), stride=(1,))
    },
    "a storage of 2**60": lambda m: {
        "a": tensor(FLOATS, num_elements=2**60, size=(2**60,), stride=(1,))
    },
    "a storage of -1": lambda m: {"a": storage(num_elements=-1)},
    "a storage of no number": lambda m: {"a": storage(num_elements="6")},
    "a storage of no type": lambda m: {"a": storage(kind=None)},
    "a storage of two types": lambda m: {
        "a": storage(),
        "b": storage("HalfStorage", num_elements=12),
        "c": storage("DoubleStorage", num_elements=3),
    },
    "a shape past the end": lambda m: {"a": tensor(FLOATS, size=(7,))},
    "a stride past the end": lambda m: {
        "a": tensor(FLOATS, size=(3, 2), stride=(3, 1))
    },
    "an offset past the end": lambda m: {"a": tensor(FLOATS, size=(6,), offset=1)},
    "an offset far past the end": lambda m: {
        "a": tensor(FLOATS, size=(1,), offset=2**31 - 1)
    },
    "an offset past the end of nothing": lambda m: {
        "a": tensor(FLOATS, size=(0,), offset=7)
    },
    "a negative offset": lambda m: {"a": tensor(FLOATS, size=(1,), offset=-1)},
    "a negative stride": lambda m: {"a": tensor(FLOATS, stride=(-1,))},
    "a negative shape": lambda m: {"a": tensor(FLOATS, size=(-1,))},
    "a stride of 0": lambda m: {"a": tensor(FLOATS, size=(10**9,), stride=(0,))},
    "overlapping rows": lambda m: {"a": tensor(FLOATS, size=(3, 3), stride=(1, 1))},
    "fewer strides": lambda m: {"a": tensor(FLOATS, size=(2, 3), stride=(1,))},
    "a stride of 2**70": lambda m: {"a": tensor(FLOATS, size=(1,), stride=(2**70,))},
    "one storage under many names": lambda m: {
        str(i): tensor(FLOATS) for i in range(9)
    },
    "a tensor of a tensor": lambda m: {"a": Tensor(tensor(FLOATS), 0, (1,), (1,))},
    "a path for a key": lambda m: {"a": tensor(FLOATS, "../../etc/passwd" * 9, (9,))},
}
# name -> the bytes of data.pkl, over a storage "0" of 6 floats.
HOSTILE_PICKLES = {
    "os.system by hand": b"cos\nsystem\n(X\x04\0\0\0truetR.",
    "INST": b"(S'true'\nios\nsystem\n.",
    "torch.load": b"ctorch\nload\n(VX\ntR.",
    "a dotted name": b"\x80\x04\x8c\x05torch\x8c\x15FloatStorage.__init__\x93.",
    "PERSID": b"Pthing\n.",
    "an id of another kind": b"X\x05\0\0\0thingQ.",
    "an id of another word": ID.replace(b"storage", b"mistake", 1) + b"Q.",
    "an id of something else": b"(NNNNNtQ.",
    "an id with a list for a type": ID.replace(b"ctorch\nFloatStorage\n", b"]") + b"Q.",
    "an unknown storage": ID.replace(b"Float", b"Bool") + b"Q.",
    "a storage alone": ID + b"Q.",
    "BUILD on a storage": ID + b"Q}b.",
    "BUILD on a storage type": b"ctorch\nFloatStorage\n}X\x05\0\0\0dtypeNsb.",
    "BUILD on a class": ORDERED + b"}X\x07\0\0\0__new__Nsb.",
    "BUILD on a function": REBUILD + b"N}X\x08\0\0\0__init__Ns\x86b.",
    "a call of a storage type": b"ctorch\nFloatStorage\n)R.",
    "a storage that is called": ID + b"Q)R.",
    "a tensor without arguments": REBUILD + b")R.",
    "a dict of a list": ORDERED + b"](K\x01K\x02\x86e\x85R.",
    "a deep list": b"\x80\x02" + b"]" * 300_000 + b"a" * 299_999 + b".",
    "a dict in itself": b"\x80\x02}q\x00X\x01\0\0\0ah\x00s.",
    "2**62 bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",
    "nothing": b"",
    "an end": b".",
}


def assert_refused(path, message=""):
    with pytest.raises(WeightsError, match=rf"hostile\.pth: .*{message}"):
        torch_zip.read_state_dict(path)


@pytest.mark.parametrize("name", HOSTILE)
def test_refuses_hostile_contents(tmp_path, name):
    path = write_pth(tmp_path / "hostile.pth", HOSTILE[name](tmp_path / "marker"))
    assert_refused(path, "nothing in it was run")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", HOSTILE_PICKLES)
def test_refuses_hostile_pickles(tmp_path, name):
    path = write_pth(
        tmp_path / "hostile.pth", tensor(FLOATS), pickled=HOSTILE_PICKLES[name]
    )
    assert_refused(path, "nothing in it was run")
    good = write_pth(tmp_path / "a.pth", {"a": tensor(FLOATS)})
    np.testing.assert_array_equal(torch_zip.read_state_dict(good)["a"], FLOATS)


def test_hostile_contents_are_hostile(tmp_path):
    pickle.loads(pickle.dumps(HOSTILE["os.system"](tmp_path / "marker")))
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"data.pkl": None}, "holds 0 data.pkl"),
        ({"data/0": None}, "should have 24 bytes and is not there"),
        ({"data/0": bytes(28)}, "should have 24 bytes and has 28"),
        ({"byteorder": b"big"}, "not little endian"),
        ({"byteorder": b"little" * 9**6}, "not little endian"),
    ],
)
def test_refuses_other_members(tmp_path, members, message):
    path = write_pth(tmp_path / "hostile.pth", {"a": tensor(FLOATS)}, members=members)
    assert_refused(path, message)


def test_refuses_two_pickles(tmp_path):
    path = write_pth(tmp_path / "hostile.pth", {"a": tensor(FLOATS)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data.pkl", b".")
    assert_refused(path, "holds 2 data.pkl")


def test_refuses_a_member_that_is_there_twice(tmp_path):
    path = write_pth(tmp_path / "hostile.pth", {"a": tensor(FLOATS)})
    with (
        zipfile.ZipFile(path, "a") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr("vgg16/data/0", bytes(24))
    assert_refused(path, "twice")


def test_refuses_zip_bombs(tmp_path, monkeypatch):
    zeros = np.zeros(10**6, np.float32)
    path = tmp_path / "hostile.pth"
    write_pth(path, {"a": tensor(zeros)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(torch_zip, "_MAX_BYTES", 10**6)
    assert_refused(path, "unpacks to more than 1,000,000 bytes")
    # The same with a directory that hides it: 24 bytes are unpacked, and are too few.
    whole = path.read_bytes()
    size = struct.pack("<I", zeros.nbytes)
    path.write_bytes(whole.replace(size, struct.pack("<I", 24)))
    assert_refused(path, "should have 4,000,000 bytes and has 24")
    write_pth(path, {"a": tensor(FLOATS)}, zipfile.ZIP_LZMA)
    assert_refused(path, "compressed as torch does not")
    write_pth(path, {"a": tensor(FLOATS)}, pickled=bytes(17 << 20))
    monkeypatch.setattr(torch_zip, "_MAX_BYTES", 10**9)
    assert_refused(path, "data.pkl is larger")


def test_refuses_the_legacy_format_with_a_sentence(tmp_path):
    path = tmp_path / "hostile.pth"
    path.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2))
    assert torchvision.is_torchvision_file(path)
    with pytest.raises(WeightsError, match="before PyTorch 1.6"):
        torchvision.read(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\x89HDF\r\n\x1a\n", b"\x80"],
)
def test_refuses_files_that_are_neither(tmp_path, content):
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    assert not torchvision.is_torchvision_file(path)
    with pytest.raises(WeightsError, match=r"a\.pth"):
        torchvision.read(path)


def test_a_npz_is_no_torch_file(tmp_path):
    np.savez(tmp_path / "a.npz", data=np.ones(3))
    assert not torchvision.is_torchvision_file(tmp_path / "a.npz")


def test_a_missing_file_is_missing(tmp_path):
    for function in (torchvision.read, torch_zip.read_state_dict):
        with pytest.raises(FileNotFoundError):
            function(tmp_path / "a.pth")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_damage_raises_nothing_else(tmp_path, state, name):
    path = write_state(tmp_path / name, state)
    whole = path.read_bytes()
    for part in range(64):
        path.write_bytes(whole[: part * len(whole) // 64])
        with pytest.raises(WeightsError, match=name):
            torchvision.read(path)
    rng = np.random.default_rng(0)
    num_refused = 0
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            torchvision.read(path)
        except WeightsError:
            num_refused += 1
    assert num_refused > 5
