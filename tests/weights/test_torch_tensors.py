"""Pickles of tensors read as PyTorch has written them; others are only refused."""

import os
import pickle
import struct
import tracemalloc
import types

import numpy as np
import pytest

from jaxart.weights import WeightsError
from jaxart.weights.readers import state_dict
from tests.weights.torch_files import (
    FLOATS,
    ORDERED_DICT,
    REBUILD,
    STORAGE_ID,
    TENSOR,
    VIEW,
    Call,
    Storage,
    Tensor,
    tensor,
    write_legacy,
    write_zip,
)

LEGACY_TENSOR = b"ctorch\nFloatTensor\n)R" + VIEW + b"b"
PARAMETER = b"ctorch.nn.parameter\nParameter\n"
PARAMETER_STATE = b"(\x88\x89" + ORDERED_DICT + b")Rtb"


@pytest.fixture(params=[write_zip, write_legacy], ids=["zip", "legacy"])
def write(request):
    return request.param


# The ways in which PyTorch has pickled a tensor, the oldest last.
@pytest.mark.parametrize(
    "pickled",
    {
        "now": TENSOR,
        "0.2": b"ctorch._utils\n_rebuild_tensor\n" + VIEW + b"R",
        "0.1": LEGACY_TENSOR,
        "0.1, of a GPU": LEGACY_TENSOR.replace(b"torch\nFloatT", b"torch.cuda\nFloatT"),
        "0.1, NEWOBJ": LEGACY_TENSOR.replace(b")R", b")\x81"),
        "parameter": (
            b"ctorch._utils\n_rebuild_parameter\n("
            + TENSOR
            + b"\x88"
            + ORDERED_DICT
            + b")RtR"
        ),
        "0.3, parameter": PARAMETER + LEGACY_TENSOR + b"\x85R" + PARAMETER_STATE,
        "0.1, parameter": PARAMETER + LEGACY_TENSOR + b"\x85\x81" + PARAMETER_STATE,
    }.items(),
    ids=lambda item: item[0],
)
@pytest.mark.parametrize("kind", ["dict", "OrderedDict", "Python 2's"])
def test_reads_tensors_of_all_times(tmp_path, write, pickled, kind):
    item = b"U\x01a" + pickled[1]
    content = {
        "dict": b"}" + item + b"s",
        "OrderedDict": ORDERED_DICT + b")R(" + item + b"u}U\x09_metadata}sb",
        "Python 2's": ORDERED_DICT + b"(]](" + item + b"eatR",
    }[kind]
    path = write(tmp_path / "a", tensor(FLOATS), pickled=b"\x80\x02" + content + b".")
    arrays = state_dict.read(path)
    assert list(arrays) == ["a"] and not arrays["a"].flags.writeable
    np.testing.assert_array_equal(arrays["a"], FLOATS)


def test_reads_views(tmp_path, write):
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    content = {
        "transposed": tensor(array, "0", (4, 3, 2), (1, 4, 12)),
        "part": tensor(np.arange(40.0), "1", (2, 5), (10, 1), offset=7),
        "scalar": tensor(np.float32([3]), "2", (), ()),
        "empty": tensor(np.float32([3]), "3", (0, 4), (4, 1), offset=1),
        "nothing": tensor(np.float32([]), "4"),
        "count": tensor(np.array([5]), "5"),
        "half": tensor(np.arange(3, dtype=np.float16), "6"),
    }
    found = state_dict.read(write(tmp_path / "a", content))
    assert list(found) == list(content)
    np.testing.assert_array_equal(found["transposed"], array.T)
    np.testing.assert_array_equal(found["part"], [np.arange(7, 12), np.arange(17, 22)])
    assert found["part"].dtype == np.float64
    assert found["scalar"] == 3 and found["empty"].shape == (0, 4)
    assert found["nothing"].shape == (0,)
    assert found["count"].dtype == np.int64 and found["count"] == [5]
    assert found["half"].dtype == np.float16
    assert not any(array.flags.writeable for array in found.values())


def test_two_tensors_may_share_a_storage(tmp_path, write):
    content = {
        "a": tensor(FLOATS, size=(2,)),
        "b": tensor(FLOATS, size=(2, 2), stride=(2, 1), offset=2),
    }
    found = state_dict.read(write(tmp_path / "a", content))
    np.testing.assert_array_equal(found["a"], [0, 1])
    np.testing.assert_array_equal(found["b"], [[2, 3], [4, 5]])


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
    "a storage larger than what is there": lambda m: {
        "a": tensor(FLOATS, num_elements=7, size=(7,), stride=(1,))
    },
    "a storage smaller than what is there": lambda m: {
        "a": tensor(FLOATS, num_elements=5, size=(5,), stride=(1,))
    },
    "a storage of 10**18": lambda m: {
        "a": tensor(FLOATS, num_elements=10**18, size=(10**18,), stride=(1,))
    },
    "a storage of 2**31 - 1": lambda m: {
        "a": tensor(FLOATS, num_elements=2**31 - 1, size=(2**31 - 1,), stride=(1,))
    },
    "a storage of -1": lambda m: {"a": storage(num_elements=-1)},
    "a storage of no number": lambda m: {"a": storage(num_elements="6")},
    "a storage of no type": lambda m: {"a": storage(kind=None)},
    "a storage of two types": lambda m: {
        "a": storage(),
        "b": storage("HalfStorage", num_elements=12),
        "c": storage("DoubleStorage", num_elements=3),
    },
    "a storage of two sizes": lambda m: {
        "a": storage(),
        "b": tensor(FLOATS, num_elements=5, size=(5,)),
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
    "overlapping parts": lambda m: {
        "a": tensor(FLOATS, size=(4,)),
        "b": tensor(FLOATS, size=(4,), offset=2),
    },
    "a tensor of a tensor": lambda m: {"a": Tensor(tensor(FLOATS), 0, (1,), (1,))},
    "a path for a key": lambda m: {"a": tensor(FLOATS, "../../etc/passwd" * 9, (9,))},
    "a negative": lambda m: {"a": Tensor(storage().arguments[0], 0, (6,), (1,), "neg")},
}
# name -> the bytes of the pickle, over a storage "0" of 6 floats.
HOSTILE_PICKLES = {
    "os.system by hand": b"cos\nsystem\n(X\x04\0\0\0truetR.",
    "os.system by NEWOBJ": b"cos\nsystem\n(X\x04\0\0\0truet\x81.",
    "INST": b"(S'true'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'true'\no.",
    "torch.load": b"ctorch\nload\n(VX\ntR.",
    "a dotted name": b"\x80\x04\x8c\x05torch\x8c\x15FloatStorage.__init__\x93.",
    "PERSID": b"Pthing\n.",
    "an id of another kind": b"X\x05\0\0\0thingQ.",
    "an id of another word": STORAGE_ID.replace(b"storage", b"mistake", 1) + b"Q.",
    "an id of something else": b"(NNNNNtQ.",
    "an id with a list for a type": (
        STORAGE_ID.replace(b"ctorch\nFloatStorage\n", b"]") + b"Q."
    ),
    "an unknown storage": STORAGE_ID.replace(b"Float", b"Bool") + b"Q.",
    "a storage alone": STORAGE_ID + b"Q.",
    "BUILD on a storage": STORAGE_ID + b"Q}b.",
    "BUILD on a storage type": b"ctorch\nFloatStorage\n}X\x05\0\0\0dtypeNsb.",
    "BUILD on a class": ORDERED_DICT + b"}X\x07\0\0\0__new__Nsb.",
    "BUILD on a function": REBUILD + b"N}X\x08\0\0\0__init__Ns\x86b.",
    "BUILD on a parameter's class": PARAMETER + b"}X\x07\0\0\0__new__Nsb.",
    "a call of a storage type": b"ctorch\nFloatStorage\n)R.",
    "a storage that is called": STORAGE_ID + b"Q)R.",
    "a tensor that is called": TENSOR + b")R.",
    "a tensor without arguments": b"}X\x01\0\0\0a" + REBUILD + b")Rs.",
    "a tensor of a dict's state": TENSOR + b"}b.",
    "a parameter of nothing": PARAMETER + b"N\x85R.",
    "a parameter of an unfinished tensor": (
        b"}X\x01\0\0\0a" + PARAMETER + b"ctorch\nFloatTensor\n)R\x85Rs."
    ),
    "a dict of a list": ORDERED_DICT + b"](K\x01K\x02\x86e\x85R.",
    "a dict in itself": b"\x80\x02}q\x00X\x01\0\0\0ah\x00s.",
    "2**62 bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",
    "a bytearray of 64 GB": b"\x80\x05\x96" + struct.pack("<Q", 2**36) + b".",
    "a frame of 2**62 bytes": b"\x80\x04\x95" + struct.pack("<Q", 2**62),
    "place 2**32 - 1 of the memo": b"\x80\x02Nr\xff\xff\xff\xff.",
    "nothing": b"",
    "an end": b".",
}

# Likewise; what follows such an object itself comes to the end of the stack.
DEEP_PICKLES = {
    "list": b"]" * 100_000 + b"a" * 99_999,
    "dict": b"}" + b"U\x01a}" * 20_000 + b"s" * 20_000,
    "tuple as a key": b"})" + b"\x85" * 100_000 + b"Ns",
    "tuple in an id": b"(X\x07\0\0\0storage)"
    + b"\x85" * 100_000
    + b"q\x00NNK\x06h\x00tQ",
    "tuple for a shape": (
        REBUILD + VIEW.replace(b"K\x06\x85", b")" + b"\x85" * 100_000) + b"R"
    ),
}


def assert_refused(path):
    size = path.stat().st_size
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=r"hostile: .*nothing in it was run"):
            state_dict.read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * size + (1 << 20)


@pytest.mark.parametrize("name", HOSTILE)
def test_refuses_hostile_contents(tmp_path, write, name):
    assert_refused(write(tmp_path / "hostile", HOSTILE[name](tmp_path / "marker")))
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", HOSTILE_PICKLES)
def test_refuses_hostile_pickles(tmp_path, write, name):
    pickled = HOSTILE_PICKLES[name]
    assert_refused(write(tmp_path / "hostile", tensor(FLOATS), pickled=pickled))
    good = write(tmp_path / "a", {"a": tensor(FLOATS)})
    np.testing.assert_array_equal(state_dict.read(good)["a"], FLOATS)


@pytest.mark.parametrize("name", DEEP_PICKLES)
def test_refuses_deep_pickles(tmp_path, write, name):
    pickled = DEEP_PICKLES[name] + b"."
    path = write(tmp_path / "hostile", tensor(FLOATS), pickled=pickled)
    with pytest.raises(WeightsError, match=r"hostile: .*nothing in it was run"):
        state_dict.read(path)


def test_hostile_contents_are_hostile(tmp_path):
    pickle.loads(pickle.dumps(HOSTILE["os.system"](tmp_path / "marker")))
    assert (tmp_path / "marker").exists()


def test_hostile_pickles_are_almost_right(tmp_path, write):
    """What they are made of is read where nothing is wrong with it."""
    pickled = b"\x80\x02}X\x01\0\0\0a" + TENSOR + b"s."
    path = write(tmp_path / "a", tensor(FLOATS), pickled=pickled)
    np.testing.assert_array_equal(state_dict.read(path)["a"], FLOATS)
