"""Everything in an object store: weights, list, images and what comes out."""

import json
import time

import orbax.checkpoint as orbax
import pytest

from jaxart.export import weight_files
from jaxart.passes import driver
from jaxart.saliency.work import Explaining
from jaxart.storage import RemotePath

ARGUMENTS = ("--method=gradient", "--batch_size=4", "--save=overlay,heatmap,npy,sheet")


@pytest.fixture
def place(command, tiny, tiny_run, folder, tmp_path, bucket):
    """Weights, images and lists, here and in a bucket: (here, the bucket)."""
    weights = tmp_path / "tiny.safetensors"
    weight_files.write_safetensors(weights, tiny._replace(source=tiny_run))
    (tmp_path / "images").symlink_to(folder)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    names = sorted(path.relative_to(folder) for path in folder.rglob("*.png"))
    lines = [f"images/{name}\n" for name in names]
    lines[3:3] = ["bad.png\n", "none.png\n"]
    (tmp_path / "list.txt").write_text("".join(lines))
    bucket.put_folder(folder, "images")
    for name in ("tiny.safetensors", "bad.png", "list.txt"):
        bucket.put(name, (tmp_path / name).read_bytes())
    return tmp_path, bucket


def arguments(root, images="list.txt"):
    return (
        *(f"--weights={root}/tiny.safetensors", f"--images={root}/{images}"),
        *(f"--out={root}/out", *ARGUMENTS),
    )


def files(here):
    """What a run leaves, but for what tells of time and machine."""
    names = (p.relative_to(here / "out") for p in (here / "out").rglob("*"))
    return {
        str(name): (here / "out" / name).read_bytes()
        for name in names
        if (here / "out" / name).is_file() and str(name) not in ("run.json", ".lock")
    }


def objects(bucket):
    keys = bucket.keys("out/")
    return {k[len("out/") :]: bucket.get(k) for k in keys if k != "out/run.json"}


def test_a_run_there_leaves_the_bytes_of_a_run_here(command, place):
    here, bucket = place
    local = command(*arguments(here))
    there = command(*arguments(bucket.url))
    assert (local.status, there.status) == (0, 0), there.stderr
    assert there.stdout.splitlines() == [
        f"10 images: {bucket.url}/out/index.html",
        f"2 skipped: see {bucket.url}/out/skipped.csv",
    ]
    found = objects(bucket)
    assert len(found) == 10 * 6 + 1 + 4  # pictures, a sheet, page and lists
    assert found == files(here)
    assert b"none.png,No such file or directory" in found["skipped.csv"]
    reports = [(here / "out" / "run.json").read_bytes(), bucket.get("out/run.json")]
    wanted, report = map(json.loads, reports)
    for part in ("counts", "options", "network", "list"):
        assert report[part] == wanted[part]

    again = command(*arguments(bucket.url))
    assert again.stdout == there.stdout
    other = command(*arguments(bucket.url), "--percentile=50")
    assert f"jaxart: {bucket.url}/out was made with percentile=99.0" in other.stderr
    assert other.status == 1 and objects(bucket) == found


def test_folders_and_lists_of_urls_name_the_same_images(command, place):
    here, bucket = place
    assert command(*arguments(here, "images")).status == 0
    assert command(*arguments(bucket.url, "images")).status == 0
    wanted = objects(bucket)
    assert wanted == files(here)

    # A list here, of what is there.
    names = [json.loads(line)["path"] for line in wanted["manifest.jsonl"].splitlines()]
    urls = [f"{bucket.url}/images/{name}" for name in names]
    (here / "urls.csv").write_text("path\n" + "\n".join(urls) + "\n")
    out = here / "out2"
    done = command(*arguments(here, "urls.csv"), f"--out={out}")
    assert done.status == 0, done.stderr
    entries = list(map(json.loads, (out / "manifest.jsonl").read_text().splitlines()))
    assert [entry["path"] for entry in entries] == urls
    for entry, name in zip(entries, names, strict=True):
        wanted_map = (here / "out" / "npy" / f"{name}.npy").read_bytes()
        assert (out / entry["maps"][0]["files"]["npy"]).read_bytes() == wanted_map


class Killed(BaseException):
    """Ends a run at once, as a kill would."""


@pytest.mark.parametrize("scale", ["image", "common"])
def test_a_killed_run_goes_on_and_makes_no_part_again(
    command, place, monkeypatch, scale
):
    here, bucket = place
    more = (f"--scale={scale}", "--part_size=4")
    assert command(*arguments(here), *more).status == 0
    calls = []
    write = Explaining._write

    def killed(self, item, *says):
        calls.append(item)
        if len(calls) == 7:
            raise Killed
        return write(self, item, *says)

    with monkeypatch.context() as patch:
        patch.setattr(Explaining, "_write", killed)
        with pytest.raises(Killed):
            command(*arguments(bucket.url), *more)
    parts = bucket.keys("out/parts/0")
    named = {
        f"out/{file}"
        for key in parts
        for record in json.loads(bucket.get(key).splitlines()[0])["records"]
        for files in record.get("maps", ())
        for file in files["files"].values()
    }
    assert len(parts) == 2  # of 3
    there = set(bucket.keys())
    assert named and (named <= there or scale == "common")

    calls.clear()
    monkeypatch.setattr(
        Explaining,
        "_write",
        lambda self, *says: (calls.append(1), write(self, *says))[1],
    )
    there = command(*arguments(bucket.url), *more)
    assert there.status == 0, there.stderr
    counts = json.loads(bucket.get("out/run.json"))["counts"]
    assert counts["done_now"] == len(calls) == 10 - counts["done_before"] < 10
    assert objects(bucket) == files(here)


def test_one_process_at_a_time_has_a_lease(command, place, monkeypatch):
    _, bucket = place
    lease = {"holder": "process 1 on elsewhere", "token": "x", "time": time.time()}
    bucket.put("out/parts/lease.json", json.dumps(lease).encode())
    done = command(*arguments(bucket.url))
    assert done.status == 1
    assert f"{bucket.url}/out/parts: process 1 on elsewhere is at work" in done.stderr
    assert bucket.keys("out/") == ["out/parts/lease.json"]
    lease["time"] -= driver.LEASE_SECONDS + 1  # it is dead
    bucket.put("out/parts/lease.json", json.dumps(lease).encode())
    assert command(*arguments(bucket.url)).status == 0
    assert bucket.keys("out/parts/") == []


def test_a_store_that_fails_stops_the_run_and_skips_nothing(
    command, place, monkeypatch
):
    _, bucket = place
    read = RemotePath.read_bytes

    def fail(self):
        if self.name == "5.png":
            with self._errors():
                raise TimeoutError("no answer")
        return read(self)

    with monkeypatch.context() as patch:
        patch.setattr(RemotePath, "read_bytes", fail)
        done = command(*arguments(bucket.url))
    assert done.status == 1
    assert "jaxart: s3://" in done.stderr and "TimeoutError: no answer" in done.stderr
    assert bucket.keys("out/skipped.csv") == []
    assert command(*arguments(bucket.url)).status == 0


def test_a_run_there_is_refused_with_a_reason(command, place, tiny_run):
    _, bucket = place
    bucket.put_folder(tiny_run, "run")
    for name, reason in {
        "none": "no run of `jaxart train` (config.json is missing)",
        "run": f"Orbax {orbax.__version__} keeps no checkpoints in s3://",
    }.items():
        done = command(
            *(f"--workdir={bucket.url}/{name}", f"--images={bucket.url}/images"),
            f"--out={bucket.url}/out",
        )
        assert f"{bucket.url}/{name}: {reason}" in done.stderr
        assert done.status == 1 and bucket.keys("out/") == []
