"""Hostile and damaged `.npy` files end in one error, and nothing of them is run."""

import os
import pickle
import resource
import struct
import tracemalloc

import numpy as np
import pytest

from jaxart.weights import WeightsError
from jaxart.weights.readers import restricted_pickle
from jaxart.weights.readers.restricted_pickle import StoredArray, read_pickled_npy

GOOD = np.empty((), dtype=object)
GOOD[()] = {"conv1": [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3)]}
GOOD_PICKLE = pickle.dumps(GOOD, protocol=4)


def assert_reads_good(path):
    kernel, bias = read_pickled_npy(path)["conv1"]
    assert isinstance(kernel, StoredArray)
    np.testing.assert_array_equal(kernel.value, np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(bias.value, np.ones(3))
    assert not kernel.value.flags.writeable


class Call:
    """Pickles to a call of a function."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def boxed(content):
    box = np.empty((), dtype=object)
    box[()] = content
    return box


def ask(module: str, name: str, argument: str) -> bytes:
    """Spells `module.name(argument)`."""
    return f"c{module}\n{name}\n(V{argument}\ntR.".encode()


def ask_dotted(module: str, name: str, argument: str) -> bytes:
    """The same with protocol 4, where the name may have dots."""
    spelled = b"".join(
        b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name)
    )
    return b"\x80\x04" + spelled + b"\x93" + f"(V{argument}\ntR.".encode()


def touch_by_call(marker):
    return Call(os.system, f"touch {marker}")


def touch_by_python(marker):
    return f"open({str(marker)!r}, 'w')"


NDARRAY, DTYPE = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"
EMPTY = b"cnumpy.core.multiarray\n_reconstruct\n" + NDARRAY + b"K\x00\x85U\x01b\x87R"
F4 = DTYPE + b"U\x02f4K\x00K\x01\x87R"

# name -> the bytes of a pickle, given a file that it would create.
HOSTILE = {
    "os.system": lambda m: pickle.dumps(touch_by_call(m)),
    "os.system, protocol 0": lambda m: pickle.dumps(touch_by_call(m), 0),
    "os.system in the object array": lambda m: pickle.dumps(boxed(touch_by_call(m))),
    "os.system in a layer": lambda m: pickle.dumps(
        boxed({"conv1": [np.ones(3), touch_by_call(m)]})
    ),
    "os.system in an inner object array": lambda m: pickle.dumps(
        boxed({"conv1": np.array([touch_by_call(m), None], dtype=object)})
    ),
    "os.system as a key": lambda m: (
        b"}" + ask("os", "system", f"touch {m}")[:-1] + b"Ns."
    ),
    "eval": lambda m: pickle.dumps(Call(eval, touch_by_python(m))),
    "exec": lambda m: pickle.dumps(Call(exec, touch_by_python(m))),
    "python 2 eval": lambda m: ask("__builtin__", "eval", touch_by_python(m)),
    "getattr": lambda m: pickle.dumps(Call(getattr, np.ndarray, "tofile")),
    "operator.attrgetter": lambda m: ask("operator", "attrgetter", "system"),
    "f2py": lambda m: ask("numpy.f2py.crackfortran", "myeval", touch_by_python(m)),
    "numpy.testing": lambda m: ask(
        "numpy.testing._private.utils", "runstring", touch_by_python(m)
    ),
    "numpy.load": lambda m: ask("numpy", "load", str(m)),
    "numpy.memmap": lambda m: ask("numpy", "memmap", str(m)),
    "numpy.core scalar": lambda m: pickle.dumps(boxed({"a": np.float32(3)})),
    "dotted name": lambda m: ask_dotted("numpy", "ndarray.tofile", str(m)),
    "dotted name of ours": lambda m: ask_dotted("numpy", "dtype.__init__", str(m)),
    "our own module": lambda m: ask(
        "jaxart.weights.restricted_pickle", "read_pickled_npy", str(m)
    ),
    "INST": lambda m: f"(S'touch {m}'\nios\nsystem\n.".encode(),
    "OBJ": lambda m: f"(cos\nsystem\nS'touch {m}'\no.".encode(),
    "NEWOBJ": lambda m: NDARRAY + b"(J\xff\xff\xff\x7ft\x81.",
    "EXT1": lambda m: b"\x80\x02\x82\x01.",
    "PERSID": lambda m: b"Pthing\n.",
    "BINPERSID": lambda m: b"\x80\x02U\x05thingQ.",
    "set": lambda m: pickle.dumps(boxed({1, 2})),
    "a class of its own": lambda m: pickle.dumps(np.ma.ones(3)),
    "structured dtype": lambda m: pickle.dumps(np.ones(2, "f4,f4")),
    "string dtype": lambda m: pickle.dumps(np.array(["a"])),
    "date dtype": lambda m: pickle.dumps(np.array(["2020"], "M8[D]")),
    "no array": lambda m: pickle.dumps({"conv1": [1, 2]}),
    "an array of numbers": lambda m: pickle.dumps(np.ones(3)),
    "two objects": lambda m: pickle.dumps(np.array([{}, {}], dtype=object)),
    "an array as a function": lambda m: EMPTY + b")R.",
    "array without a state": lambda m: EMPTY + b".",
    "array of 2**40 elements": lambda m: (
        EMPTY
        + b"(K\x01J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"
        + F4
        + b"\x89U\x04abcdtb."
    ),
    "negative size": lambda m: (
        EMPTY + b"(K\x01J\xff\xff\xff\xff\x85" + F4 + b"\x89U\x04abcdtb."
    ),
    "size that is no number": lambda m: (
        EMPTY + b"(K\x01U\x01a\x85" + F4 + b"\x89U\x04abcdtb."
    ),
    "too few bytes": lambda m: EMPTY + b"(K\x01K\x02\x85" + F4 + b"\x89U\x04abcdtb.",
    "too many bytes": lambda m: EMPTY + b"(K\x01)" + F4 + b"\x89U\x05abcdetb.",
    "object array of numbers": lambda m: GOOD_PICKLE.replace(b"f4", b"O8"),
    "numbers from a list": lambda m: EMPTY + b"(K\x01K\x01\x85" + F4 + b"\x89](Netb.",
    "wrong version": lambda m: EMPTY + b"(K\x02)" + F4 + b"\x89U\x04abcdtb.",
    "2**62 bytes": lambda m: b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",
    "a bytearray of 64 GB": lambda m: b"\x80\x05\x96" + struct.pack("<Q", 2**36) + b".",
    "a frame of 2**62 bytes": lambda m: b"\x80\x04\x95" + struct.pack("<Q", 2**62),
    "a deep tuple as a key": lambda m: b"\x80\x02})" + b"\x85" * 300_000 + b"Ns.",
    "a deep list": lambda m: b"\x80\x02" + b"]" * 300_000 + b"a" * 299_999 + b".",
    "a list in itself": lambda m: b"\x80\x02]q\x00h\x00a.",
    "a list in itself as a dtype": lambda m: DTYPE + b"(]q\x00h\x00atR.",
    "empty": lambda m: b"",
    "nothing but STOP": lambda m: b".",
    "pop from nothing": lambda m: b"tR.",
    "unknown opcode": lambda m: b"\xff.",
    "unknown protocol": lambda m: b"\x80\x99.",
    "a number of a million digits": lambda m: b"I" + b"9" * 10**6 + b"\n.",
} | {
    f"BUILD on {name.decode().split()[-1]} with {kind}": (
        lambda m, name=name, state=state: b"c" + name + b"\n" + state + b"b."
    )
    for name in (
        b"numpy\nndarray",
        b"numpy\ndtype",
        b"_codecs\nencode",
        b"numpy.core.multiarray\n_reconstruct",
        b"numpy.core.numeric\n_frombuffer",
    )
    for kind, state in {
        "a dict": b"}V__new__\nK\x01s",
        "slots alone": b"N}V__new__\nNs\x86",
        "slots for __init__": b"N}V__init__\ncnumpy\ndtype\ns\x86",
    }.items()
}


@pytest.fixture
def standins():
    """What the stand-in classes are made of, to see that nothing changes it."""

    def snapshot():
        return {
            name: dict(vars(value))
            for name, value in vars(restricted_pickle).items()
            if isinstance(value, type)
        }

    return snapshot


@pytest.mark.parametrize("name", HOSTILE)
def test_refuses_hostile_pickles(name, tmp_path, write_npy, standins):
    marker = tmp_path / "marker"
    path = write_npy(HOSTILE[name](marker), name="hostile.npy")
    before = standins()

    with pytest.raises(WeightsError, match=r"hostile\.npy.*nothing in it was run"):
        read_pickled_npy(path)

    assert not marker.exists()
    assert standins() == before
    assert_reads_good(write_npy(GOOD_PICKLE))


def test_hostile_pickles_are_hostile(tmp_path):
    marker = tmp_path / "marker"
    pickle.loads(HOSTILE["os.system in a layer"](marker))
    assert marker.exists()


def test_names_what_a_hostile_file_asks_for(tmp_path, write_npy):
    path = write_npy(HOSTILE["os.system"](tmp_path / "marker"))
    with pytest.raises(WeightsError, match=r"asks for 'posix\.system'"):
        read_pickled_npy(path)


def test_every_truncation_is_refused(write_npy):
    whole = write_npy(GOOD_PICKLE).read_bytes()
    path = write_npy(b"")
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(WeightsError):
            read_pickled_npy(path)


@pytest.mark.parametrize("protocol", range(6))
def test_damage_raises_nothing_else(write_npy, protocol):
    whole = pickle.dumps(GOOD, protocol)
    rng = np.random.default_rng(protocol)
    num_refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        try:
            read_pickled_npy(write_npy(bytes(damaged)))
        except WeightsError:
            num_refused += 1
    assert num_refused > 50


@pytest.mark.parametrize(
    "header",
    [
        {"descr": "|O", "fortran_order": False, "shape": (10**18,)},
        {"descr": "|O", "fortran_order": False, "shape": (2,)},
        {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**9)},
        {"descr": "<f4", "fortran_order": False, "shape": ()},
    ],
    ids=str,
)
def test_refuses_arrays_that_are_not_one_object(write_npy, header):
    path = write_npy(GOOD_PICKLE, header)
    with pytest.raises(WeightsError, match="not one pickled dict of layers"):
        read_pickled_npy(path)


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02Nr\xff\xff\xff\xff.",  # puts None into place 2**32 - 1 of the memo
        HOSTILE["array of 2**40 elements"](None),
        HOSTILE["a bytearray of 64 GB"](None),
    ],
    ids=["memo", "array", "bytearray"],
)
def test_a_small_file_takes_little_memory(write_npy, pickled):
    path = write_npy(pickled)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    with pytest.raises(WeightsError):
        read_pickled_npy(path)
    tracemalloc.stop()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident
    assert grown < 100_000  # kilobytes
