"""The same arrays come out of every container; a damaged one raises one error."""

import resource

import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxart.weights import WeightsError, state_dict
from tests.weights import torch_files

WRITERS = {
    "zip": lambda path, arrays: torch_files.write_zip(
        path, torch_files.state_dict(arrays)
    ),
    "legacy": lambda path, arrays: torch_files.write_legacy(
        path, torch_files.state_dict(arrays)
    ),
    "safetensors": lambda path, arrays: save_file(arrays, path),
}
containers = pytest.mark.parametrize("container", WRITERS)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "a.weight": rng.normal(size=(5, 3, 3, 3)).astype(np.float32),
        "b.bias": rng.normal(size=7),
        "c.weight": rng.normal(size=(4, 6)).astype(np.float16),
        "d.count": np.array(5),
    }


@containers
def test_reads_what_was_written(tmp_path, arrays, container):
    path = tmp_path / "a"
    WRITERS[container](path, arrays)
    assert state_dict.is_state_dict_file(path)
    found = state_dict.read(path)
    path.unlink()
    assert sorted(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and not found[name].flags.writeable
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("zipped", [False, True], ids=["legacy", "zip"])
def test_reads_what_pytorch_writes(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    state = net.state_dict()
    state["half"] = torch.arange(6.0).half().reshape(2, 3)
    state["transposed"] = torch.arange(12, dtype=torch.float64).reshape(3, 4).T
    state["part"] = torch.arange(40.0)[7:27].reshape(2, 10)[:, ::2]
    state["parameter"] = torch.nn.Parameter(torch.ones(3))
    path = tmp_path / "a.pth"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    assert state_dict.is_state_dict_file(path)
    found = state_dict.read(path)
    assert list(found) == list(state)
    for name, tensor in state.items():
        assert found[name].dtype == tensor.detach().numpy().dtype
        np.testing.assert_array_equal(found[name], tensor.detach().numpy())


@containers
def test_damage_raises_nothing_else(tmp_path, arrays, container):
    path = tmp_path / "a.pth"
    names = ("a.weight", "c.weight")  # few, for time
    WRITERS[container](path, {name: arrays[name] for name in names})
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    num_refused = 0
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for part in range(64):
        path.write_bytes(whole[: part * len(whole) // 64])
        with pytest.raises(WeightsError, match=r"a\.pth"):
            state_dict.read(path)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            state_dict.read(path)
        except WeightsError:
            num_refused += 1
    assert num_refused > 50
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident
    assert grown < 30_000  # kilobytes


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\x89HDF\r\n\x1a\n", b"\x80"],
)
def test_refuses_files_that_are_none(tmp_path, content):
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    assert not state_dict.is_state_dict_file(path)
    with pytest.raises(WeightsError, match=r"a\.pth"):
        state_dict.read(path)


def test_a_npz_is_none(tmp_path):
    np.savez(tmp_path / "a.npz", data=np.ones(3))
    assert not state_dict.is_state_dict_file(tmp_path / "a.npz")


def test_refuses_safetensors_without_arrays(tmp_path):
    save_file({}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=r"a\.safetensors: .*no arrays"):
        state_dict.read(tmp_path / "a.safetensors")


def test_refuses_safetensors_that_claim_more(tmp_path):
    header = b'{"a":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}'
    header %= (10**18, 4 * 10**18)
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(24))
    with pytest.raises(WeightsError, match=r"a\.safetensors: "):
        state_dict.read(path)


def test_a_missing_file_is_missing(tmp_path):
    for function in (state_dict.read, state_dict.is_state_dict_file):
        with pytest.raises(FileNotFoundError):
            function(tmp_path / "a.pth")
