"""The command that writes a trained network for other programs."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import onnxruntime
import pytest
from PIL import Image

from jaxart import classifier, storage
from jaxart.data import listing
from jaxart.export import writing
from jaxart.models import MODELS
from jaxart.passes import driver, outputs
from jaxart.predict import run
from jaxart.storage import results
from jaxart.weights import canonical
from tests import ROOT, runs

CLASSES = ("red fox", "owl", "Teddy", "sphynx")
SUFFIXES = (".onnx", ".stablehlo", ".npy", ".safetensors")


@pytest.fixture(autouse=True)
def tinynet(monkeypatch):
    monkeypatch.setitem(MODELS, "tinynet", runs.TinyNet)


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("tiny") / "run"
    model = runs.TinyNet(num_classes=4, hidden=(6,))
    runs.write(workdir, model, runs.random_params(model), CLASSES, "crop")
    return workdir


@pytest.fixture
def command(run_command):
    def run(**given):
        return run_command("export", *(f"--{name}={given[name]}" for name in given))

    return run


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_and_a_line_about_it(command, tiny_run, tmp_path, monkeypatch, suffix):
    appeared = []

    def replace(source, target, replace=os.replace):
        appeared.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace)
    out = tmp_path / "new" / f"tiny{suffix.upper()}"
    status, stdout, stderr = command(workdir=tiny_run, out=out)
    assert (status, stderr) == (0, "")
    assert stdout == f"{out}: 0.0 MB, 4 layers with parameters, 4 classes\n"
    beside = [f"{out.name}.json"] if suffix == ".stablehlo" else []
    assert sorted(file.name for file in out.parent.iterdir()) == [out.name, *beside]
    assert appeared[-1] == out.name  # where it is, all is
    assert out.stat().st_size > 4 * 1000
    if suffix != ".safetensors":
        first = out.read_bytes()
        assert command(workdir=tiny_run, out=out)[0] == 0
        assert out.read_bytes() == first


def test_an_exported_run_predicts_as_the_run_does(command, tiny_run, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for i in range(3):
        pixels = rng.integers(0, 256, (30, 40, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{i}.png")
    found = listing.read(tmp_path / "pictures")
    weights = tmp_path / "tiny.safetensors"
    assert command(workdir=tiny_run, out=weights)[0] == 0
    for name, source in {"run": tiny_run, "file": str(weights)}.items():
        network = classifier.load(source)
        out = tmp_path / f"{name}.csv"
        with driver.alone(outputs.sibling(out, run.PARTS)):
            run.predict_images(network, found, out, batch_size=3, resize=network.resize)
    lines = (tmp_path / "run.csv").read_text()
    assert len(lines.splitlines()) == 4
    assert (tmp_path / "file.csv").read_text() == lines


def test_an_exported_weight_file_is_the_weight_file(command, tiny_run, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    assert command(workdir=tiny_run, out=first)[0] == 0
    assert command(weights=first, out=second)[0] == 0
    (params, metadata), (again, metadata_again) = map(canonical.read, (first, second))
    assert metadata_again == metadata
    jax.tree.map(np.testing.assert_array_equal, again, params)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out": ""}, "--out is missing"),
        ({"out": "a.pt"}, "ends in .onnx, .stablehlo, .npy, .safetensors"),
        ({"out": "folder.npy"}, "out=folder.npy is a folder"),
        ({"weights": "w"}, "one of --weights and --workdir says which network"),
        ({"workdir": "absent"}, "absent: no run of `jaxart train`"),
        (
            {"weights": "w.npy", "workdir": "", "out": "folder.npy/../w.npy"},
            "out=folder.npy/../w.npy would overwrite w.npy: choose another name",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_mistakes_are_one_sentence(
    command, tiny_run, tmp_path, monkeypatch, changes, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.npy").mkdir()
    status, stdout, stderr = command(**{"workdir": tiny_run, "out": "a.npy"} | changes)
    assert (status, stdout) == (1, "")
    assert message in stderr
    assert [path.name for path in tmp_path.iterdir()] == ["folder.npy"]


def test_what_is_missing_shows_before_anything_is_loaded(
    command, tmp_path, monkeypatch
):
    absent = tmp_path / "absent"
    assert "ends in" in command(workdir=absent, out=tmp_path / "a.pt")[2]
    monkeypatch.setitem(sys.modules, "onnx", None)
    stderr = command(workdir=absent, out=tmp_path / "a.onnx")[2]
    assert stderr.endswith("pip install 'jaxart[onnx]'\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("suffix", "error"),
    [
        *((suffix, OSError("the disk is gone")) for suffix in SUFFIXES),
        (".npy", KeyboardInterrupt()),
    ],
)
def test_a_failure_leaves_what_was_there(
    command, tiny_run, tmp_path, monkeypatch, suffix, error
):
    def fail(*_, **__):
        raise error

    def write_half(path, *_):
        with open(path, "wb") as file:
            file.write(b"half")
        fail()

    out = tmp_path / f"tiny{suffix}"
    out.write_text("earlier")
    if suffix == ".stablehlo":  # the second of its two files
        monkeypatch.setattr(results, "write_json", fail)
    elif suffix == ".safetensors":
        monkeypatch.setattr(canonical, "write", write_half)
    else:
        monkeypatch.setitem(writing.WRITERS, suffix, write_half)
    ending = {
        OSError: (1, "", "jaxart: the disk is gone\n"),
        KeyboardInterrupt: (130, "", "\njaxart: stopped; nothing is written\n"),
    }
    assert command(workdir=tiny_run, out=out) == ending[type(error)]
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert out.read_text() == "earlier"


def test_the_command_as_a_user_types_it(tmp_path):
    model, params = runs.small_alexnet()
    runs.write(tmp_path / "run", model, params, CLASSES[:3], "antialias")
    out = tmp_path / "alexnet.onnx"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "jaxart.export"),
            *(f"--workdir={tmp_path / 'run'}", f"--out={out}"),
        ],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    size = out.stat().st_size / 1e6
    line = f"{out}: {size:.1f} MB, 6 layers with parameters, 3 classes\n"
    assert done.stdout == line
    images = 50 * np.random.default_rng(0).normal(size=(1, 227, 227, 3))
    images = images.astype(np.float32)
    wanted = np.asarray(jax.jit(model.apply)({"params": params}, images))
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"data": images.transpose(0, 3, 1, 2)})
    assert np.ptp(wanted) > 0.5
    np.testing.assert_allclose(found, wanted, atol=1e-5 * abs(wanted).max())


def test_an_export_there_is_the_weight_file_of_a_command(
    command, tiny_run, tmp_path, bucket
):
    for root in (tmp_path, bucket.url):
        out = f"{root}/tiny.safetensors"
        status, stdout, stderr = command(workdir=tiny_run, out=out)
        assert (status, stderr) == (0, "")
        assert stdout.startswith(f"{out}: 0.0 MB")
    there = storage.path(f"{bucket.url}/tiny.safetensors")
    files = (tmp_path / "tiny.safetensors", there)
    (wanted, metadata), (found, metadata_there) = map(canonical.verify, files)
    assert metadata_there == metadata
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    network = classifier.load(f"{bucket.url}/tiny.safetensors")
    assert network.class_names == CLASSES
    status, _, stderr = command(weights=out, out=out)
    assert status == 1 and f"out={out} would overwrite {out}" in stderr
    status, _, stderr = command(weights=f"{bucket.url}/x", out=out)
    assert status == 1 and f"{bucket.url}/x: no such weight file" in stderr
