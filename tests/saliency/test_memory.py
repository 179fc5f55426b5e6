"""The memory of a run does not grow with its images."""

import json

import pytest

# With the command line's other tests: two runs at once would only be slower.
pytestmark = [pytest.mark.xdist_group("saliency_main"), pytest.mark.slow]


def test_ten_times_the_images_take_no_more_memory(shell, alexnet_run, paint, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    files = []
    for i in range(16):
        paint(i, 48, 32).save(tmp_path / "picture.jpg")
        files.append((tmp_path / "picture.jpg").read_bytes())
    peaks = {}
    for count in (60, 600):
        for i in range(count):
            (source / f"{i:04}.jpg").write_bytes(files[i % 16])
        out = tmp_path / f"out{count}"
        done = shell(
            *(f"--workdir={alexnet_run}", f"--images={source}", f"--out={out}"),
            *("--method=grad_cam", "--save=npy", "--batch_size=16"),
            JAX_ENABLE_COMPILATION_CACHE="false",  # to compile takes memory: both do
        )
        assert done.status == 0, done.stderr
        report = json.loads((out / "run.json").read_text())
        assert report["counts"]["done_now"] == count
        peaks[count] = report["peak_memory_bytes"]
    assert peaks[600] <= 1.15 * peaks[60], peaks
