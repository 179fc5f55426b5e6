"""The command line as a user types it: damaged files, kills and interrupts."""

import csv
import json
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

# One worker: what is compiled once serves all of these.
pytestmark = pytest.mark.xdist_group("saliency_main")


def report_of(out):
    return json.loads((out / "run.json").read_text())


def test_help_does_not_wait_for_jax():
    code = (
        "import sys, jaxart.cli.saliency; "
        "slow = {'jax', 'flax', 'orbax', 'grain', 'cmap'} & set(sys.modules); "
        "assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- Files of every kind --------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, paint):
    """Pictures of odd kinds, and files that are none."""
    root = tmp_path_factory.mktemp("mixed")
    paint(0, 400, 300).save(root / "whole.jpg", quality=95)
    whole = (root / "whole.jpg").read_bytes()
    (root / "bad").mkdir()
    (root / "bad" / "truncated.jpg").write_bytes(whole[: len(whole) // 3])
    (root / "bad" / "text.jpg").write_text("not a picture at all")
    (root / "bad" / "zero.jpg").touch()
    grey = np.arange(60 * 40).reshape(40, 60) * 27
    Image.fromarray(grey.astype(np.uint16)).save(root / "16 bit.png")
    paint(1, 60, 40).convert("CMYK").save(root / "cmyk.jpg")
    frames = [paint(i, 50, 30) for i in (2, 3)]
    frames[0].save(root / "moving.gif", save_all=True, append_images=frames[1:])
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: stored 60 x 40, to be seen 40 x 60
    paint(4, 60, 40).save(root / "turned.jpg", exif=exif)
    Image.new("RGB", (1, 1), (200, 10, 10)).save(root / "dot.png")
    Image.new("L", (12_000, 9_000), 90).save(root / "large.png", compress_level=1)
    return root


SIZES = {
    "16 bit.png": [60, 40],
    "cmyk.jpg": [60, 40],
    "dot.png": [1, 1],
    "large.png": [12_000, 9_000],
    "moving.gif": [50, 30],
    "turned.jpg": [40, 60],
    "whole.jpg": [400, 300],
}
REASONS = {
    "bad/text.jpg": "not an image that Pillow reads",
    "bad/truncated.jpg": "truncated",
    "bad/zero.jpg": "the file is empty",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bad_files_are_skipped_and_good_ones_are_explained(
    shell, alexnet_run, mixed, tmp_path, entries
):
    out = tmp_path / "out"
    arguments = [
        *(f"--workdir={alexnet_run}", f"--images={mixed}", f"--out={out}"),
        *("--method=grad_cam", "--save=heatmap,npy", "--batch_size=4"),
    ]

    def check(skipped):
        assert skipped.keys() == REASONS.keys()
        assert all(REASONS[name] in skipped[name] for name in REASONS)
        assert all("\n" not in reason for reason in skipped.values())

    done = shell(*arguments)
    assert done.status == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"7 images: {out / 'index.html'}",
        f"3 skipped: see {out / 'skipped.csv'}",
    ]
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
    with open(out / "skipped.csv", newline="") as file:
        check({row["path"]: row["reason"] for row in csv.DictReader(file)})
    found = {entry["path"]: entry for entry in entries(out)}
    assert {name: entry["size"] for name, entry in found.items()} == SIZES
    assert list(found) == sorted(SIZES)
    for name, entry in found.items():
        with Image.open(out / entry["files"]["heatmap"]) as image:
            assert list(image.size) == SIZES[name]
        values = np.load(out / entry["files"]["npy"])
        assert values.shape == (227, 227) and np.isfinite(values).all()
    # The page is shown nothing large.
    with Image.open(out / found["large.png"]["files"]["map"]) as image:
        assert image.size == (1024, 768)
    report = report_of(out)
    assert report["counts"] == {
        **{"found": 10, "done_before": 0, "done_now": 7, "skipped": 3}
    }

    # Again: nothing is done, nothing is written, and --strict minds what was skipped.
    manifest = (out / "manifest.jsonl").read_bytes()
    again = shell(*arguments, "--strict")
    assert again.status == 1
    assert again.stdout == done.stdout
    assert "Traceback" not in again.stderr
    assert (out / "manifest.jsonl").read_bytes() == manifest
    assert report_of(out)["counts"] == {
        **{"found": 10, "done_before": 0, "done_now": 7, "skipped": 3}
    }
    with open(out / "skipped.csv", newline="") as file:
        check({row["path"]: row["reason"] for row in csv.DictReader(file)})


# --- Stopped --------------------------------------------------------------------------

NUM_IMAGES = 80


@pytest.fixture(scope="module")
def many(tmp_path_factory, paint):
    """A list of small pictures, in two folders, in an order of its own."""
    root = tmp_path_factory.mktemp("many")
    names = [f"{'ab'[i % 2]}/{i * 37 % NUM_IMAGES:02}.png" for i in range(NUM_IMAGES)]
    for i, name in enumerate(names):
        (root / name).parent.mkdir(exist_ok=True)
        paint(i, 640, 480).save(root / name)
    (root / "a" / "00.png").write_text("no picture")
    (root / "list.txt").write_text("\n".join(names))
    return root / "list.txt"


def everything(out):
    """Every file's bytes, but for run.json, which holds times."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name != "run.json"
    }


def count_parts(out):
    return len(list((out / "parts").glob("0*.json")))


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_as_if_it_had_not_been(
    start, shell, tiny_run, many, tmp_path
):
    def arguments(name):
        return [
            "saliency",
            *(f"--workdir={tiny_run}", f"--images={many}", f"--out={tmp_path / name}"),
            *("--method=grad_cam", "--save=npy,heatmap", "--batch_size=4"),
            "--part_size=8",
        ]

    tiny_command = {"module": "tests.tiny_command"}
    whole = shell(*arguments("whole"), **tiny_command, PYTHONHASHSEED="1")
    assert whole.status == 0, whole.stderr

    # A shell that runs the tests in the background has it ignored, also for children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    out = tmp_path / "killed"
    counts = [0]
    for number in [signal.SIGKILL] * 2 + [signal.SIGINT, signal.SIGTERM]:
        process = start(*arguments("killed"), **tiny_command)
        while count_parts(out) <= counts[-1] and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGSTOP)
        start_time = time.monotonic()
        second = shell(*arguments("killed"), **tiny_command)  # is refused meanwhile
        assert second.status == 1 and time.monotonic() - start_time < 10
        assert second.stderr == (
            f"jaxart: {out / 'parts'}: process {process.pid} on "
            f"{socket.gethostname()} is at work here\n"
        )
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        stdout, stderr = process.communicate()
        is_killed = number == signal.SIGKILL
        assert process.returncode == (-signal.SIGKILL if is_killed else 128 + number), (
            stderr
        )
        assert stdout == ""
        if not is_killed:
            assert stderr.endswith("\njaxart: stopped; the same command goes on\n")
            assert "Traceback" not in stderr
        counts.append(count_parts(out))

    assert counts[-1] < NUM_IMAGES / 8
    (out / "npy" / "0123456789abcdef.tmp").touch()  # as a kill within a write leaves
    finished = shell(*arguments("killed"), **tiny_command, PYTHONHASHSEED="2")
    assert finished.status == 0, finished.stderr
    assert finished.stdout == whole.stdout.replace("whole", "killed")
    assert everything(out) == everything(tmp_path / "whole")


# --- Mistakes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--out="], "--out is missing"),
        (["--save=map"], "jaxart: save='map': one of overlay, heatmap, npy, sheet"),
        (["--batch_size=0"], "--batch_size: '0' is not a whole number from 1 on"),
    ],
)
def test_mistakes_are_no_tracebacks(
    shell, alexnet_run, folder, tmp_path, changed, message
):
    done = shell(
        *(f"--workdir={alexnet_run}", f"--images={folder}"),
        *(f"--out={tmp_path / 'out'}", "--method=grad_cam", *changed),
    )
    assert done.status == 1
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
