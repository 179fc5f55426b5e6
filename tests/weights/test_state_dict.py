"""The same arrays come out of every container; a damaged one raises one error."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxart.weights import WeightsError
from jaxart.weights.readers import state_dict
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


def test_refuses_safetensors_without_arrays(tmp_path):
    save_file({}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=r"a\.safetensors: .*no arrays"):
        state_dict.read(tmp_path / "a.safetensors")
