"""Damaged and hostile files of every format: one error class, and nothing happens.

Each format's own tests say what its reader refuses, and why. These throw the same
damage at all of them through the one entrance, in a process that watches.
"""

import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest

from tests import ROOT
from tests.weights import formats, test_caffemodel, torch_files

CORPUS = Path(__file__).parent / "corpus.zip"
MAX_GROWTH = 200 << 20  # beside twice the size of the file
MAX_SECONDS = 5


def write(folder, name):
    """The bytes of the network in a format."""
    folder.mkdir()
    formats.ALL[name](folder / "a", formats.narrow_vgg16())
    (path,) = folder.iterdir()
    return path.read_bytes()


def read_all(folder):
    """Reads every file of a folder in a process of its own; a line for each."""
    command = [sys.executable, "-m", "tests.weights.guarded_reader", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *lines, last = map(json.loads, done.stdout.splitlines())
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert {line["name"] for line in lines} == set(sizes)
    for line in lines:
        assert line["outcome"] in ("read", "refused"), line
        assert line["watched"] == [], line
        assert line["seconds"] < MAX_SECONDS, line
        if line["outcome"] == "refused":
            path = folder / line["name"]
            assert line["message"].startswith(f"{path}: "), line
            assert line["message"].count(str(path)) == 1, line
            assert "\n" not in line["message"], line
    assert last["grown_bytes"] < 2 * max(sizes.values()) + MAX_GROWTH
    return lines


def damage(folder, name, num_cuts, num_flips):
    """A format's file whole, cut to lengths that increase, and with a bit flipped."""
    whole = write(folder.parent / name, name)
    (folder / f"{name}.0_whole").write_bytes(whole)
    for part in range(num_cuts):
        end = len(whole) * part // num_cuts
        (folder / f"{name}.1_cut_{part:02}").write_bytes(whole[:end])
    rng = np.random.default_rng(1)
    for number in range(num_flips):
        flipped = bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        (folder / f"{name}.2_flip_{number:03}").write_bytes(flipped)


@pytest.mark.parametrize(
    ("names", "num_cuts", "num_flips"),
    [
        pytest.param(tuple(formats.ALL), 16, 48, id="all"),
        *(
            # HDF5's library is slow; it has two of the formats.
            pytest.param((name,), 64, number, id=name, marks=pytest.mark.slow)
            for name in formats.ALL
            for number in [500 if name.endswith("h5") else 1000]
        ),
    ],
)
def test_truncated_and_flipped_files(tmp_path, names, num_cuts, num_flips):
    folder = tmp_path / "damaged"
    folder.mkdir()
    for name in names:
        damage(folder, name, num_cuts, num_flips)
    lines = read_all(folder)
    for name in names:
        whole, *damaged = [x for x in lines if x["name"].split(".")[0] == name]
        assert whole["outcome"] == "read"
        for line in damaged[:num_cuts]:  # at best the first layers: no network's
            assert "1_cut" in line["name"]
            assert line["outcome"] == "refused" or len(line["message"]) < len(
                whole["message"]
            )
        assert any(line["outcome"] == "refused" for line in damaged[num_cuts:]), name


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile_pickles(marker):
    touch = f"touch {marker}"
    nested = Call(os.system, touch)
    for _ in range(50):
        nested = [Call(dict, [("a", nested)])]
    yield from (
        pickle.dumps(content, protocol)
        for protocol in range(6)
        for content in (
            {"conv1": [Call(os.system, touch), np.ones(3)]},
            {"conv1": Call(eval, f"__import__('os').system({touch!r})")},
            {"conv1": nested},
            {"conv1": Call(__import__, "os")},
        )
    )
    # Memos that swap a harmless name for a harmful one, or refer to themselves.
    yield b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x93)R."
    yield b"\x80\x04]\x94(h\x00h\x00h\x00e."
    yield b"\x80\x02cos\nsystem\nq\x00]q\x01h\x00\x86q\x00h\x00R."
    yield b"\x80\x04" + b"]" * 100_000 + b"."  # deep
    yield b"\x80\x04]\x94" + b"(h\x00h\x00l\x94" * 40 + b"."  # doubles with each line
    yield b"\x80\x04r\xff\xff\xff\x7f."  # a memo of two billion
    yield b"\x80\x04\x8e" + struct.pack("<Q", 10**18) + b"a."  # bytes of an exabyte
    yield b"I" + b"9" * 100_000 + b"\n."  # a number that takes long


def test_hostile_pickles_in_every_file_that_holds_one(tmp_path):
    marker = tmp_path / "marker"
    folder = tmp_path / "hostile"
    folder.mkdir()
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    magic = [pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001)]
    magic.append(pickle.dumps({"little_endian": True}, 2))
    for number, pickled in enumerate(hostile_pickles(marker)):
        with open(folder / f"{number:02}_npy", "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            file.write(pickled)
        with zipfile.ZipFile(folder / f"{number:02}_pth", "w") as archive:
            archive.writestr("a/data.pkl", pickled)
        legacy = b"".join(magic) + pickled
        (folder / f"{number:02}_legacy").write_bytes(legacy)
    lines = read_all(folder)
    assert len(lines) == 3 * 32
    assert {line["outcome"] for line in lines} == {"refused"}
    assert not marker.exists()


def test_the_hostile_pickles_are_hostile(tmp_path):
    """The first of them do run when they are unpickled freely."""
    marker = tmp_path / "marker"
    first = next(hostile_pickles(marker))
    pickle.loads(first)
    assert marker.exists()


HUGE = 10**18


def write_huge_files(folder):
    """Headers of every format that claim 10^18 numbers."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (HUGE,)}
    with open(folder / "npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with zipfile.ZipFile(folder / "npz", "w") as archive:
        archive.write(folder / "npy", "conv1_W.npy")
    field, varint = test_caffemodel.field, test_caffemodel.varint
    for name, dims in (
        ("v1_caffemodel", test_caffemodel.v1_dims(HUGE, 1, 1, 1)),
        ("caffemodel", test_caffemodel.packed_dims(HUGE, 1, 1, 1)),
    ):
        layer = getattr(test_caffemodel, f"{'v1' if 'v1' in name else 'new'}_layer")
        content = layer("conv1", "Convolution", [dims + field(5, b"1234")] * 2)
        (folder / name).write_bytes(content)
    # A length that says an exabyte follows.
    (folder / "caffemodel_length").write_bytes(b"\x12" + varint(HUGE) + b"conv1")
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[HUGE], raw_data=b"1234")
    node = onnx.helper.make_node("Conv", ["data", "w", "w"], ["conv1"])
    graph = onnx.helper.make_graph([node], "net", [], [], [tensor])
    model = onnx.helper.make_model(graph)
    (folder / "onnx").write_bytes(model.SerializeToString())
    entry = {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 4 * HUGE]}
    text = json.dumps({"features.0.weight": entry}).encode()
    for name, size in (("safetensors", len(text)), ("safetensors_header", HUGE)):
        (folder / name).write_bytes(struct.pack("<Q", size) + text + b"1234")
    for name, group in (("keras_h5", "block1_conv1/kernel:0"), ("caffe_h5", "data")):
        with h5py.File(folder / name, "w") as file:
            names = [group] if name == "keras_h5" else ["data/conv1/0", "data/conv1/1"]
            for dataset in names:
                # Chunks that were never written take no place in the file.
                shape = (10**9, 10**9)
                file.create_dataset(dataset, shape, "f4", chunks=(1000, 1000))
    tensor = torch_files.tensor(np.ones(1, np.float32), num_elements=HUGE)
    content = {"features.0.weight": tensor}
    torch_files.write_zip(folder / "pth", content)
    torch_files.write_legacy(folder / "legacy_pth", content)


def test_headers_that_claim_more_than_there_is(tmp_path):
    write_huge_files(tmp_path)
    lines = read_all(tmp_path)
    assert {line["name"]: line["outcome"] for line in lines} == {
        path.name: "refused" for path in tmp_path.iterdir()
    }


def test_what_a_fuzzer_found(tmp_path):
    """Files that take each way there is through the readers: see fuzz_readers.py."""
    with zipfile.ZipFile(CORPUS) as archive:
        archive.extractall(tmp_path)
    assert len(read_all(tmp_path)) > 300
