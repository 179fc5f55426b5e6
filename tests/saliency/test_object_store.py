"""Everything in an object store: weights, list, images and what comes out."""

import json

import orbax.checkpoint as orbax
import pytest

from jaxart import json_chunks
from jaxart.exports import weight_files
from jaxart.remote import RemotePath
from jaxart.saliency.writing import Writer
from jaxart.weights import canonical

ARGUMENTS = ("--method=gradient", "--batch_size=4", "--save=overlay,heatmap,npy,sheet")


@pytest.fixture
def place(command, tiny, tiny_run, folder, tmp_path, bucket):
    """Weights, images and lists, here and in a bucket: (here, the bucket)."""
    weights = tmp_path / "tiny.safetensors"
    metadata = weight_files.run_metadata(tiny, tiny_run)
    canonical.write(weights, weight_files.arrays(tiny), metadata)
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
    for part in ("counts", "options", "network", "finished"):
        assert report[part] == wanted[part]

    again = command(*arguments(bucket.url))
    assert again.stdout == there.stdout
    other = command(*arguments(bucket.url), "--percentile=50")
    assert f"jaxart: {bucket.url}/out holds maps with percentile=99.0" in other.stderr
    assert other.status == 1 and objects(bucket) == found


def test_shares_there_leave_the_bytes_of_a_run_here(command, place):
    here, bucket = place
    common = "--scale=common"  # drawn in the end, from the maps
    assert command(*arguments(here), common).status == 0
    for share in ("3/3", "1/3"):
        done = command(*arguments(bucket.url), common, f"--share={share}")
        assert "Other shares are not finished" in done.stdout, done.stderr
    assert command(*arguments(bucket.url), common, "--share=2/3").status == 0
    assert objects(bucket) == files(here)


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
        assert (out / entry["files"]["npy"]).read_bytes() == wanted_map


class Killed(BaseException):
    """Ends a run at once, as a kill would."""


def test_a_killed_run_goes_on_and_makes_no_named_picture_again(
    command, place, monkeypatch
):
    here, bucket = place
    assert command(*arguments(here)).status == 0
    calls = []
    write = Writer.__call__

    def killed(self, index, *says):
        calls.append(index)
        if len(calls) == 7:
            raise Killed
        return write(self, index, *says)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "__call__", killed)
        patch.setattr(json_chunks, "_SECONDS", 0.0)
        patch.setattr(json_chunks.Appender, "close", lambda self: None)
        with pytest.raises(Killed):
            command(*arguments(bucket.url))
    done = [
        json.loads(line)
        for key in bucket.keys("out/parts/")
        for line in bucket.get(key).splitlines()
    ]
    assert 2 <= len(done) <= 6
    named = {f"out/{file}" for entry in done for file in entry["files"].values()}
    assert named <= set(bucket.keys())  # pictures are there before they are named

    put = []
    for name in ("write_bytes", "upload"):
        method = getattr(RemotePath, name)
        monkeypatch.setattr(
            RemotePath,
            name,
            lambda self, what, method=method: (
                put.append(str(self)),
                method(self, what),
            ),
        )
    there = command(*arguments(bucket.url))
    assert there.status == 0, there.stderr
    assert len(put) > 6 * (10 - len(done))
    assert not {f"{bucket.url}/{key}" for key in named} & set(put)
    assert json.loads(bucket.get("out/run.json"))["counts"]["done_before"] == len(done)
    assert objects(bucket) == files(here)


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
        "none": "no run of jaxart.main (config.json is missing)",
        "run": f"Orbax {orbax.__version__} keeps no checkpoints in s3://",
    }.items():
        done = command(
            *(f"--workdir={bucket.url}/{name}", f"--images={bucket.url}/images"),
            f"--out={bucket.url}/out",
        )
        assert f"{bucket.url}/{name}: {reason}" in done.stderr
        assert done.status == 1 and bucket.keys("out/") == []
