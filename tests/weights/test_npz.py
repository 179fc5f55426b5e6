"""A `.npz` of named arrays reads; anything else in one is named."""

import io
import zipfile

import numpy as np
import pytest

from jaxart.weights import WeightsError
from jaxart.weights.readers import npz


@pytest.fixture
def members():
    rng = np.random.default_rng(0)
    return {
        "conv1_1_W": rng.normal(size=(3, 3, 3, 4)).astype(np.float32),
        "conv1_1_b": rng.normal(size=4).astype(np.float32),
        "fc6_W": rng.normal(size=(5, 2)).astype(np.float32),
        "fc6_b": rng.normal(size=2).astype(np.float32),
    }


def as_params(members):
    return {
        layer: {"kernel": members[f"{layer}_W"], "bias": members[f"{layer}_b"]}
        for layer in ("conv1_1", "fc6")
    }


def npy_bytes(header: dict, data: bytes) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + data


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "change",
    [np.asarray, np.asfortranarray, lambda a: a.astype(">f4"), np.float64],
    ids=["plain", "fortran", "big endian", "float64"],
)
def test_reads_arrays(tmp_path, members, assert_params_equal, save, change):
    path = tmp_path / "a.npz"
    save(path, **{name: change(array) for name, array in members.items()})
    assert_params_equal(npz.read(path), as_params(members))


@pytest.mark.parametrize("name", ["conv1_1_w", "conv1_1", "W", "_W", "conv1_1_weights"])
def test_names_a_key_of_another_kind(tmp_path, members, name):
    path = tmp_path / "a.npz"
    np.savez(path, **members, **{name: np.ones(3)})
    with pytest.raises(WeightsError, match=rf"a\.npz: holds '{name}\.npy'.*conv1_1_W"):
        npz.read(path)


@pytest.mark.parametrize(
    "array", [np.array([{}]), np.array(["a"]), np.array([True]), np.array([1j])]
)
def test_refuses_arrays_of_other_things(tmp_path, members, array):
    path = tmp_path / "a.npz"
    np.savez(path, **members | {"fc6_b": array})
    with pytest.raises(WeightsError, match=r"fc6_b\.npy is an array of .* of numbers"):
        npz.read(path)


@pytest.mark.parametrize("shape", [(10**18,), (10**9, 10**9), (3,), (1,), ()], ids=str)
def test_refuses_a_header_that_lies(tmp_path, shape):
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("fc6_W.npy", npy_bytes(header, bytes(8)))
    with pytest.raises(WeightsError, match=r"fc6_W\.npy says shape .* but holds 8"):
        npz.read(tmp_path / "a.npz")


def test_refuses_half_a_layer(tmp_path, members):
    del members["fc6_b"]
    np.savez(tmp_path / "a.npz", **members)
    with pytest.raises(WeightsError, match=r"a\.npz: fc6 has only one of fc6_W, fc6_b"):
        npz.read(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz")
    with pytest.raises(WeightsError, match="empty"):
        npz.read(tmp_path / "a.npz")


def test_refuses_a_zip_bomb(tmp_path, monkeypatch, members):
    monkeypatch.setattr(npz, "_MAX_BYTES", 1000)
    np.savez_compressed(tmp_path / "a.npz", fc6_W=np.zeros(1000), fc6_b=np.zeros(1))
    with pytest.raises(WeightsError, match="unpacks to more than 1,000 bytes"):
        npz.read(tmp_path / "a.npz")


def test_refuses_a_member_that_is_there_twice(tmp_path):
    header = {"descr": "<f4", "fortran_order": False, "shape": (2,)}
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("fc6_W.npy", npy_bytes(header, bytes(8)))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("fc6_W.npy", npy_bytes(header, bytes(8)))
    with pytest.raises(WeightsError, match="twice"):
        npz.read(tmp_path / "a.npz")


def test_damage_raises_nothing_else(tmp_path, members):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **members)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for end in range(0, len(whole), 13):
        path.write_bytes(whole[:end])
        with pytest.raises(WeightsError, match=r"a\.npz"):
            npz.read(path)
    num_refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            npz.read(path)
        except WeightsError:
            num_refused += 1
    assert num_refused > 100
