"""The zip of `torch.save`: its members are what its pickle says, or it is refused."""

import struct
import zipfile

import numpy as np
import pytest

from jaxart.weights import WeightsError
from jaxart.weights.readers import state_dict
from tests.weights.torch_files import FLOATS, tensor, write_zip


def assert_refused(path, message):
    with pytest.raises(WeightsError, match=rf"hostile\.pth: .*{message}"):
        state_dict.read(path)


def test_reads_compressed_members(tmp_path):
    path = tmp_path / "a.pth"
    write_zip(path, {"a": tensor(FLOATS)}, zipfile.ZIP_DEFLATED)
    assert state_dict.is_state_dict_file(path)
    np.testing.assert_array_equal(state_dict.read(path)["a"], FLOATS)


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
    path = write_zip(tmp_path / "hostile.pth", {"a": tensor(FLOATS)}, members=members)
    assert_refused(path, message)


def test_refuses_two_pickles(tmp_path):
    path = write_zip(tmp_path / "hostile.pth", {"a": tensor(FLOATS)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data.pkl", b".")
    assert_refused(path, "holds 2 data.pkl")


def test_refuses_a_member_that_is_there_twice(tmp_path):
    path = write_zip(tmp_path / "hostile.pth", {"a": tensor(FLOATS)})
    with (
        zipfile.ZipFile(path, "a") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr("vgg16/data/0", bytes(24))
    assert_refused(path, "twice")


def test_refuses_zip_bombs(tmp_path, monkeypatch):
    zeros = np.zeros(10**6, np.float32)
    path = tmp_path / "hostile.pth"
    write_zip(path, {"a": tensor(zeros)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(state_dict, "_MAX_BYTES", 10**6)
    assert_refused(path, "unpacks to more than 1,000,000 bytes")
    # The same with a directory that hides it: 24 bytes are unpacked, and are too few.
    whole = path.read_bytes()
    size = struct.pack("<I", zeros.nbytes)
    path.write_bytes(whole.replace(size, struct.pack("<I", 24)))
    assert_refused(path, "should have 4,000,000 bytes and has 24")
    write_zip(path, {"a": tensor(FLOATS)}, zipfile.ZIP_LZMA)
    assert_refused(path, "compressed as torch does not")
    write_zip(path, {"a": tensor(FLOATS)}, pickled=bytes(2 << 20))
    monkeypatch.setattr(state_dict, "_MAX_BYTES", 10**9)
    assert_refused(path, "data.pkl is larger")


def test_refuses_members_that_lie_over_one_another(tmp_path):
    """Two names for one run of bytes would read it twice."""
    path = tmp_path / "hostile.pth"
    content = {str(key): tensor(np.ones(999), str(key)) for key in range(2)}
    write_zip(path, content)
    with zipfile.ZipFile(path) as archive:
        first, second = (archive.getinfo(f"vgg16/data/{key}") for key in range(2))
        whole = path.read_bytes()
    # The directory's entry of the second points to the first; its bytes are taken out.
    directory = whole.rindex(b"PK\x01\x02", 0, whole.rindex(b"vgg16/data/1"))
    entry = bytearray(whole[directory:])
    entry[42:46] = struct.pack("<I", first.header_offset)
    end = second.header_offset + (second.header_offset - first.header_offset)
    cut = end - second.header_offset
    body = whole[: second.header_offset] + whole[end:directory] + bytes(entry)
    tail = len(body) - 6
    start = struct.unpack("<I", body[tail : tail + 4])[0]
    body = body[:tail] + struct.pack("<I", start - cut) + body[tail + 4 :]
    path.write_bytes(body)
    assert_refused(path, "")


def test_other_zips_are_no_torch_files(tmp_path):
    np.savez(tmp_path / "a.npz", data=np.ones(3))
    assert not state_dict.is_state_dict_file(tmp_path / "a.npz")
