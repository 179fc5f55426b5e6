"""A full disk, whatever the job: one line, and then the same command goes on."""

import contextlib
import filecmp

import numpy as np
import pytest

from jaxart.weights import canonical
from tests.paintings.download.fake_site import serving
from tests.report.conftest import make_run

JOBS = {
    "predict": "predict --workdir={run} --images={images} --out={out}/t.csv",
    "features": "predict --workdir={run} --images={images} --out={out}/t.jsonl "
    "--features=pool5",
    "saliency": "saliency --workdir={run} --images={images} --out={out}/maps "
    "--save=npy,heatmap,sheet --limit=4",
    "export npy": "export --workdir={run} --out={out}/net.npy",
    "export safetensors": "export --workdir={run} --out={out}/net.safetensors",
    "export stablehlo": "export --workdir={run} --out={out}/net.stablehlo",
    "report": "report {run} --out={out}/report.html",
    "class_model": "class_model --workdir={run} --class=cubism --steps=3 "
    "--out={out}/cubism.png",
    "curate": "wikiart curate --src={images} --out={out}/set --split=random",
    "curate resized": "wikiart curate --src={images} --out={out}/set --split=random "
    "--resize=32",
    "inspect": "wikiart inspect --data={images} --out={out}/inspected",
    "download": "wikiart download --styles=a --per_style=4 --delay=0.001 "
    "--base_url={site} --out={out}",
}
QUICK = ("features", "export npy", "curate", "download")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture
def site(monkeypatch):
    with serving(monkeypatch) as site:
        yield site


@pytest.mark.parametrize(
    "job",
    [
        job if job in QUICK else pytest.param(job, marks=pytest.mark.slow)
        for job in JOBS
    ],
)
def test_a_full_disk_is_one_line_and_the_same_command_goes_on(
    job,
    run,
    paintings,
    small_disk,
    site,
    run_command,
    tmp_path,
    monkeypatch,
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    site.list_style("a", [site.paint(n) for n in range(4)])
    places = {"run": run, "images": paintings, "site": site.url}
    words = JOBS[job].format(out="{out}", **places).split()

    def command(out):
        return run_command(*(word.format(out=out) for word in words))

    filler = small_disk / "filler"
    for room in (0, 40_000):  # the second time, the disk is full in the middle
        filler.unlink(missing_ok=True)
        used = sum(file.stat().st_blocks for file in small_disk.rglob("*")) * 512
        with contextlib.suppress(OSError), filler.open("wb") as file:
            file.write(bytes(max(0, (1 << 20) - used - room)))
        status, _, error = command(small_disk / "out")
        assert "Traceback" not in error
        if status == 0 and room:
            break  # it needs no more
        last = error.splitlines()[-1]
        assert status == 1 and last.startswith(f"jaxart: {small_disk}/out")
        assert last.endswith(" free): free some space, and the same command goes on")

    filler.unlink()
    (tmp_path / "elsewhere").mkdir()
    done = [command(folder) for folder in (small_disk / "out", tmp_path / "elsewhere")]
    assert [status for status, *_ in done] == [0, 0], done
    assert not list(small_disk.rglob("*.tmp"))
    if "safetensors" in job:  # whose header has no order
        one, other = (
            canonical.verify(folder / "net.safetensors")
            for folder in (small_disk / "out", tmp_path / "elsewhere")
        )
        np.testing.assert_equal(one, other)
        return
    same(small_disk / "out", tmp_path / "elsewhere")


def same(one, other):
    """The same files of the same content, but for what tells time and place."""
    compared = filecmp.dircmp(one, other, ignore=["run.json", ".lock", "report.json"])
    assert not compared.left_only and not compared.right_only
    assert not compared.diff_files, compared.diff_files
    for name in compared.common_dirs:
        same(one / name, other / name)
