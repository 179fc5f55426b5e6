"""Files from before PyTorch 1.6: what is listed, counted and there has to agree."""

import collections
import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from jaxart.weights import WeightsError
from jaxart.weights.readers import state_dict
from tests.weights.torch_files import FLOATS, START, SYSTEM, tensor, write_legacy

CONTENT = {"a": tensor(FLOATS), "b": tensor(np.ones(3), "1")}


def test_starts_as_torchvision_s_file_does(tmp_path):
    """The program tar reads bytes 148 to 156 of vgg19-dcbb9e9d.pth, and cites them.

    Source: https://github.com/pytorch/vision/issues/125.
    """
    content = collections.OrderedDict(CONTENT)
    path = write_legacy(tmp_path / "a.pth", content)
    assert path.read_bytes()[148:156] == b"ons\nOrde"
    assert state_dict.is_state_dict_file(path)
    assert list(state_dict.read(path)) == ["a", "b"]


def test_reads_no_further_than_its_storages(tmp_path):
    path = write_legacy(tmp_path / "a.pth", CONTENT)
    path.write_bytes(path.read_bytes() + b"more")
    np.testing.assert_array_equal(state_dict.read(path)["b"], np.ones(3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": (START[0] + 1, *START[1:])}, "not a zip file"),
        ({"start": (START[0], 1002, SYSTEM)}, "does not start as"),
        ({"start": (*START[:2], SYSTEM | {"little_endian": False})}, "little endian"),
        ({"start": (*START[:2], {})}, "little endian"),
        ({"start": (*START[:2], [])}, "little endian"),
        ({"keys": ["0"]}, "are not those of its tensors"),
        ({"keys": ["0", "1", "2"]}, "are not those of its tensors"),
        ({"keys": ["0", "0"]}, "are not those of its tensors"),
        ({"keys": ["0", "1", "1"]}, "are not those of its tensors"),
        ({"keys": ["1", "0"]}, "storage '1' should have 3 .*it says 6"),
        ({"keys": {"0": "1"}}, "does not list its storages"),
        ({"keys": [0, 1]}, "does not list its storages"),
        ({"keys": None, "counts": {"0": 5}}, "should have 6 .*it says 5"),
        ({"counts": {"0": 10**18}}, "it says 1,000,000,000,000,000,000 elements"),
        ({"counts": {"0": -1}}, "it says -1 elements"),
        ({"view": ("1", 0, 3)}, "a storage that is a part of another one"),
    ],
)
def test_refuses_what_does_not_agree(tmp_path, change, message):
    path = write_legacy(tmp_path / "hostile.pth", CONTENT, **change)
    with pytest.raises(WeightsError, match=rf"hostile\.pth: .*{message}"):
        state_dict.read(path)


def test_takes_no_memory_for_what_is_only_claimed(tmp_path):
    content = {"a": tensor(FLOATS, size=(2**30,), stride=(1,), num_elements=2**30)}
    path = write_legacy(tmp_path / "a.pth", content, counts={"0": 2**30})
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match="4,294,967,296 bytes; .*24 bytes are"):
            state_dict.read(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 21
    finally:
        tracemalloc.stop()


def test_holds_one_copy(tmp_path):
    array = np.ones(2_000_000, np.float32)
    path = write_legacy(tmp_path / "a.pth", {"a": tensor(array)})
    tracemalloc.start()
    try:
        found = state_dict.read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(found["a"], array)
    assert peak < array.nbytes + 2 * state_dict._MAX_PICKLE_BYTES + (1 << 20)


def test_refuses_a_large_pickle(tmp_path, monkeypatch):
    path = write_legacy(tmp_path / "hostile.pth", CONTENT)
    monkeypatch.setattr(state_dict, "_MAX_PICKLE_BYTES", 300)
    with pytest.raises(WeightsError, match=r"hostile\.pth"):
        state_dict.read(path)


def test_a_magic_number_alone_is_refused(tmp_path):
    path = tmp_path / "hostile.pth"
    path.write_bytes(pickle.dumps(START[0], 2) + struct.pack("<q", 6))
    assert state_dict.is_state_dict_file(path)
    with pytest.raises(WeightsError, match=r"hostile\.pth"):
        state_dict.read(path)
