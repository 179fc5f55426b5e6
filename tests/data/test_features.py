"""A feature store is computed once, is never out of date, and survives being killed."""

import hashlib
import os
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from jaxart.data import features, images
from jaxart.data.features import compute, digest_params
from jaxart.data.pipeline import ImageFiles
from jaxart.data.texts import DataError
from jaxart.storage import StorageError
from tests import ROOT

PREPROCESSING = {"size": 4, "channel_order": "bgr", "mean": (1.0, 2.0, 3.0)}
PREFIX = {"layers": ["conv1", "relu1"], "params": "digest"}
PROJECTION = np.float32([[1, 2], [0, -1], [3, 0.5]])
BATCH_SIZE = 2


def features_of(loaded):
    """The frozen part: a few elementwise sums, equal to the bit for any batch."""
    means = np.ascontiguousarray(loaded).mean((1, 2))  # the sum's order follows memory
    return sum(means[:, channel, None] * PROJECTION[channel] for channel in range(3))


class Forward:
    """Counts its calls, and may be interrupted at one of them."""

    def __init__(self, stop_at=None):
        self.calls = 0
        self.stop_at = stop_at

    def __call__(self, loaded):
        assert loaded.shape == (BATCH_SIZE, 4, 4, 3)
        assert loaded.dtype == np.float32
        self.calls += 1
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        return features_of(loaded)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def write(folder):
    """Seven different pictures: four batches, the last one ragged."""
    rng = np.random.default_rng(0)
    for i in range(7):
        pixels = rng.integers(0, 256, (6, 5, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return [folder / f"{i}.png" for i in range(7)]


@pytest.fixture
def paths(tmp_path):
    return write(tmp_path)


@pytest.fixture
def cache_dir(tmp_path):
    return tmp_path / "cache" / "features"


@pytest.fixture
def run(cache_dir):
    """Computes the features: ([N, 2] array, reasons, calls of the frozen part)."""

    def run(
        paths,
        *,
        resize="tf1_bilinear",
        views=None,
        stop_at=None,
        prefix=PREFIX,
        contents=None,
        **facts,
    ):
        forward = Forward(stop_at)
        rows, reasons = compute(
            forward,
            ImageFiles(paths, resize, PREPROCESSING | facts, views),
            contents or list(map(digest, paths)),
            prefix=prefix,
            cache_dir=cache_dir,
            batch_size=BATCH_SIZE,
        )
        return rows[np.arange(len(paths))], reasons, forward.calls

    return run


def expected(paths, resize="tf1_bilinear", views=None, **facts):
    facts = PREPROCESSING | facts
    loaded = [
        images.load(path, resize=resize, view=view, **facts)
        for path, view in zip(paths, views or ["whole"] * len(paths), strict=True)
    ]
    return features_of(np.stack(loaded))


def stores(cache_dir):
    return {path.name for path in cache_dir.iterdir()}


def contents(cache_dir):
    """Each file of all stores."""
    return {
        path.relative_to(cache_dir): path.read_bytes()
        for path in cache_dir.rglob("*")
        if path.is_file()
    }


def num_rows(cache_dir):
    return sum(len(np.load(path)) for path in cache_dir.glob("*/*.npy"))


# --- Once -----------------------------------------------------------------------------


@pytest.mark.parametrize(("shard_rows", "num_files"), [(1024, 1), (4, 2), (2, 4)])
def test_the_second_time_nothing_is_computed(
    paths, run, cache_dir, monkeypatch, shard_rows, num_files
):
    monkeypatch.setattr(features, "SHARD_ROWS", shard_rows)
    first, reasons, calls = run(paths)
    assert calls == 4
    assert reasons == [""] * 7
    np.testing.assert_array_equal(first, expected(paths))
    assert first.dtype == np.float32
    made = contents(cache_dir)
    again, reasons, calls = run(paths)
    assert calls == 0
    assert reasons == [""] * 7
    np.testing.assert_array_equal(again, first)
    assert contents(cache_dir) == made
    assert len(list(cache_dir.glob("*/*.npy"))) == num_files
    assert num_rows(cache_dir) == 7


def test_large_stores_have_longer_files(paths, run, cache_dir, monkeypatch):
    monkeypatch.setattr(features, "SHARD_ROWS", 2)
    monkeypatch.setattr(features, "_MAX_SHARDS", 2)
    found, _, _ = run(paths)
    np.testing.assert_array_equal(found, expected(paths))
    assert sorted(len(np.load(p)) for p in cache_dir.glob("*/*.npy")) == [3, 4]


def test_names_and_order_do_not_matter(paths, run, tmp_path, cache_dir):
    run(paths)
    moved = tmp_path / "moved"
    moved.mkdir()
    renamed = [path.rename(moved / f"x{path.name}") for path in reversed(paths)]
    found, _, calls = run(renamed)
    assert calls == 0
    np.testing.assert_array_equal(found, expected(renamed))
    assert len(stores(cache_dir)) == 1


def test_equal_views_of_equal_files_share_a_row(paths, run, tmp_path, cache_dir):
    copy = tmp_path / "copy.png"
    copy.write_bytes(paths[1].read_bytes())
    listed = [paths[0], paths[1], paths[1], copy, copy, paths[1]]
    views = ["whole", "whole", "top_left", "top_left", "whole", "bottom_right"]
    found, reasons, calls = run(listed, views=views)
    assert reasons == [""] * 6
    np.testing.assert_array_equal(found, expected(listed, views=views))
    assert len(np.unique(found, axis=0)) == 4
    assert calls == 2  # four different rows, two a batch
    assert num_rows(cache_dir) == 4


# --- Never out of date ----------------------------------------------------------------


def change_one_pixel(path):
    with Image.open(path) as image:
        changed = image.copy()
    red, *others = changed.getpixel((2, 3))
    changed.putpixel((2, 3), (red ^ 1, *others))
    changed.save(path)


@pytest.mark.parametrize(
    "options",
    [
        {"resize": "antialias"},
        {"resize": "crop"},
        {"mean": (1.0, 2.0, 3.5)},
        {"channel_order": "rgb"},
        {"views": ["top_right"] * 7},
        {"views": ["whole"] * 6 + ["center"]},
        {"prefix": PREFIX | {"params": "other"}},
        {"prefix": PREFIX | {"layers": ["conv1"]}},
    ],
    ids=str,
)
def test_other_settings_are_another_store(paths, run, cache_dir, options):
    old, *_ = run(paths)
    found, _, calls = run(paths, **options)
    assert calls == 4
    if "prefix" not in options:
        np.testing.assert_array_equal(found, expected(paths, **options))
        assert not np.array_equal(found, old)
    assert len(stores(cache_dir)) == 2
    # The old one still stands; and all whole is what no views are.
    again, _, calls = run(paths, views=["whole"] * 7)
    assert calls == 0
    np.testing.assert_array_equal(again, old)


@pytest.mark.parametrize("version", ["features.FORMAT", "images.READER_VERSION"])
def test_another_version_is_another_store(paths, run, monkeypatch, version):
    run(paths)
    monkeypatch.setattr(f"jaxart.data.{version}", 99)
    assert run(paths)[2] == 4
    assert run(paths)[2] == 0


def test_other_images_are_another_store(paths, run, cache_dir):
    old, *_ = run(paths)
    for some in (paths[:6], paths[:5]):
        found, _, calls = run(some)
        assert calls == 3
        np.testing.assert_array_equal(found, expected(some))
    change_one_pixel(paths[4])
    found, _, calls = run(paths)
    assert calls == 4
    np.testing.assert_array_equal(found, expected(paths))
    assert np.flatnonzero((found != old).any(axis=1)).tolist() == [4]
    assert len(stores(cache_dir)) == 4


# --- What cannot be read --------------------------------------------------------------


def test_what_has_no_content_has_no_row(paths, run, tmp_path, cache_dir):
    listed = [tmp_path / "none.png", *paths[:3], tmp_path / "none.png"]
    found, reasons, calls = run(listed)
    assert reasons == [""] * 5 and calls == 2 and num_rows(cache_dir) == 3
    np.testing.assert_array_equal(found[1:4], expected(paths[:3]))
    found, reasons, calls = run([tmp_path / "a.png", tmp_path / "b.png"])
    assert found.shape == (2, 0) and reasons == ["", ""] and calls == 0


def test_what_is_no_picture_has_reasons_and_the_others_their_rows(paths, run):
    paths[5].write_text("a poem")
    listed = [path for path in paths for _ in range(2)]
    views = ["whole", "center"] * 7
    for calls_wanted in (7, 0):  # then from the store
        found, reasons, calls = run(listed, views=views)
        assert calls == calls_wanted
        no_picture = ["not an image that Pillow reads"] * 2
        assert reasons == [*[""] * 10, *no_picture, *[""] * 2]
        sound = [i for i, reason in enumerate(reasons) if not reason]
        wanted = expected([listed[i] for i in sound], views=[views[i] for i in sound])
        np.testing.assert_array_equal(found[sound], wanted)


def no_memory(*arguments):
    raise MemoryError


@pytest.mark.parametrize("obstacle", ["went", "all went", "changed", "memory"])
def test_what_an_images_bytes_do_not_prove_is_not_kept(
    paths, run, cache_dir, tmp_path, monkeypatch, obstacle
):
    monkeypatch.setattr(features, "SHARD_ROWS", BATCH_SIZE)
    digests, content = list(map(digest, paths)), paths[2].read_bytes()
    away = tmp_path / "away"
    says = r"went \(No such file or directory\) while this run read it"
    with monkeypatch.context() as patch:
        if obstacle == "went":
            paths[2].unlink()
        elif obstacle == "all went":
            away.mkdir()
            for path in paths:
                path.rename(away / path.name)
        elif obstacle == "changed":
            change_one_pixel(paths[2])
            says = "changed while this run read it"
        else:
            patch.setattr(images.opening, "identify", no_memory)
            says = "memory ran out"
        said = rf"{tmp_path}/\d.png: {says}; the same command goes on$"
        with pytest.raises(DataError, match=said):
            run(paths, contents=digests)
    for path in away.glob("*"):
        path.rename(tmp_path / path.name)
    paths[2].write_bytes(content)
    found, reasons, _ = run(paths, contents=digests)
    assert reasons == [""] * 7
    np.testing.assert_array_equal(found, expected(paths))
    assert len(stores(cache_dir)) == 1


# --- Damaged --------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["000001-*.npy", "000001-*.json", "settings.json"])
@pytest.mark.parametrize("damage", ["zeroed", "flipped", "cut", "empty", "missing"])
def test_a_damaged_store_is_mended_with_one_warning(
    paths, run, cache_dir, monkeypatch, caplog, pattern, damage
):
    monkeypatch.setattr(features, "SHARD_ROWS", 4)
    whole, *_ = run(paths)
    made = contents(cache_dir)
    (path,) = cache_dir.glob(f"*/{pattern}")
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = bytearray(content)
    flipped[middle] ^= 1
    damaged = {
        "zeroed": bytes(len(content)),
        "flipped": content[:middle]
        + bytes([content[middle] ^ 1])
        + content[middle + 1 :],
        "cut": content[:middle],
        "empty": b"",
        "missing": None,
    }[damage]
    path.unlink() if damaged is None else path.write_bytes(damaged)
    caplog.clear()
    found, reasons, calls = run(paths)
    np.testing.assert_array_equal(found, whole)
    assert reasons == [""] * 7
    assert calls == (0 if pattern == "settings.json" else 2)
    assert contents(cache_dir) == made
    warnings = [
        said.getMessage() for said in caplog.records if said.levelname == "WARNING"
    ]
    is_silent = damage == "missing" and path.suffix == ".json"  # as one not yet done
    assert len(warnings) == (not is_silent)
    assert all(str(path.parent) in said for said in warnings)


def test_a_store_is_the_users_alone(paths, run, cache_dir, monkeypatch):
    run(paths)
    modes = [p.stat().st_mode & 0o777 for p in (cache_dir, *cache_dir.iterdir())]
    assert modes == [0o700, 0o700]
    (store,) = cache_dir.iterdir()
    store.rename(cache_dir.parent / "elsewhere")
    store.symlink_to(cache_dir.parent / "elsewhere")
    with pytest.raises(StorageError, match=f"^{store}: is a link"):
        run(paths)
    monkeypatch.setattr(os, "getuid", lambda: cache_dir.stat().st_uid + 1)
    with pytest.raises(StorageError, match=f"^{cache_dir}: belongs to the user"):
        run(paths)


# --- Stopped in the middle ------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop_at", "calls_left"),
    # A batch is written once the next is under way: at call n, n - 2 are there.
    [((1,), 4), ((3,), 3), ((4,), 2), ((3, 3), 2)],
)
def test_an_interrupted_pass_goes_on(
    paths, run, cache_dir, tmp_path, monkeypatch, stop_at, calls_left
):
    monkeypatch.setattr(features, "SHARD_ROWS", BATCH_SIZE)
    for at in stop_at:
        with pytest.raises(KeyboardInterrupt):
            run(paths, stop_at=at)
    found, reasons, calls = run(paths)
    assert calls == calls_left
    assert reasons == [""] * 7
    np.testing.assert_array_equal(found, expected(paths))
    made = contents(cache_dir)
    cache_dir.rename(tmp_path / "first")
    run(paths)
    assert contents(cache_dir) == made


def test_what_a_killed_writer_left_goes(paths, run, cache_dir):
    run(paths)
    (store,) = cache_dir.iterdir()
    (store / f"{'0f' * 8}.tmp").write_bytes(b"half")
    assert run(paths)[2] == 0
    assert not list(store.glob("*.tmp"))


def test_without_room_it_is_an_error_and_with_room_it_goes_on(paths, run, cache_dir):
    run(paths)
    for path in cache_dir.glob("*/0*"):
        path.unlink()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, limits[1]))  # the rows' 184
    try:
        with pytest.raises(OSError, match="File too large"):
            run(paths)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(cache_dir.glob("*/0*")) and not list(cache_dir.glob("*/*.tmp"))
    found, _, calls = run(paths)
    assert calls == 4
    np.testing.assert_array_equal(found, expected(paths))


def test_two_runs_at_once_make_one_store(paths, run, cache_dir, monkeypatch):
    # The second comes, and goes, when the first has computed half.
    monkeypatch.setattr(features, "SHARD_ROWS", 4)
    others = []

    class Disturbed(Forward):
        def __call__(self, loaded):
            if self.calls == 2:
                others.append(run(paths))
                others.append(contents(cache_dir))
            return super().__call__(loaded)

    rows, _ = compute(
        Disturbed(),
        ImageFiles(paths, "tf1_bilinear", PREPROCESSING),
        list(map(digest, paths)),
        prefix=PREFIX,
        cache_dir=cache_dir,
        batch_size=BATCH_SIZE,
    )
    (found, _, _), made = others
    np.testing.assert_array_equal(found, expected(paths))
    np.testing.assert_array_equal(rows[np.arange(7)], found)
    assert {path for path in made if path.suffix != ".tmp"} == set(contents(cache_dir))


CHILD = """
import os, signal, sys
from pathlib import Path
from jaxart.data import features
from tests.data import test_features as tests

class Forward(tests.Forward):
    def __call__(self, loaded):
        if self.calls == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(loaded)

features.SHARD_ROWS = tests.BATCH_SIZE
folder = Path(sys.argv[1])
paths = sorted(folder.glob("*.png"))
files = tests.ImageFiles(paths, "tf1_bilinear", tests.PREPROCESSING)
features.compute(
    Forward(), files, list(map(tests.digest, paths)), prefix=tests.PREFIX,
    cache_dir=folder / "cache/features", batch_size=tests.BATCH_SIZE,
)
"""


@pytest.mark.slow
def test_a_killed_pass_goes_on(paths, run, tmp_path, cache_dir, monkeypatch):
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    monkeypatch.setattr(features, "SHARD_ROWS", BATCH_SIZE)
    found, _, calls = run(paths)
    assert calls == 2
    np.testing.assert_array_equal(found, expected(paths))
    assert run(paths)[2] == 0


def test_bfloat16_features_come_back_to_the_bit(paths, cache_dir, monkeypatch):
    bfloat16 = np.dtype("bfloat16")
    monkeypatch.setattr(features, "SHARD_ROWS", 4)

    def forward(loaded):
        return features_of(loaded).astype(bfloat16)

    rows, _ = compute(
        forward,
        ImageFiles(paths, "tf1_bilinear", PREPROCESSING),
        list(map(digest, paths)),
        prefix=PREFIX,
        dtype="bfloat16",
        cache_dir=cache_dir,
        batch_size=BATCH_SIZE,
    )
    found = rows[np.arange(7)]
    assert found.dtype == bfloat16
    wanted = expected(paths).astype(bfloat16)
    np.testing.assert_array_equal(found, wanted, strict=True)


# --- The digest of the weights --------------------------------------------------------


def make_params():
    return {
        "conv1": {"kernel": np.float32([[1, 2], [3, 4]]), "bias": np.float32([0, 0])},
        "conv2": {"kernel": np.float32([[5, 6]])},
    }


def flip_lowest_bit(params):
    params["conv1"]["kernel"].view(np.uint32)[1, 0] ^= 1


def rename_layer(params):
    params["conv3"] = params.pop("conv2")


def rename_array(params):
    params["conv2"]["bias"] = params["conv2"].pop("kernel")


def reshape(params):
    params["conv2"]["kernel"] = params["conv2"]["kernel"].reshape(2, 1)


def transpose(params):
    params["conv1"]["kernel"] = params["conv1"]["kernel"].T


def change_dtype(params):
    # Zeros: the same bytes.
    params["conv1"]["bias"] = params["conv1"]["bias"].astype(np.int32)


def change_sign_of_zero(params):
    params["conv1"]["bias"][0] = -0.0


def drop_layer(params):
    del params["conv2"]


@pytest.mark.parametrize(
    "change",
    [
        flip_lowest_bit,
        rename_layer,
        rename_array,
        reshape,
        transpose,
        change_dtype,
        change_sign_of_zero,
        drop_layer,
    ],
)
def test_digest_changes_with(change):
    params = make_params()
    change(params)
    assert digest_params(params) != digest_params(make_params())


def test_digest_is_of_the_content_only():
    params = make_params()
    wanted = digest_params(params)
    reordered = {
        "conv2": params["conv2"],
        "conv1": dict(reversed(params["conv1"].items())),
    }
    assert digest_params(reordered) == wanted
    params["conv1"]["kernel"] = np.asfortranarray(params["conv1"]["kernel"])
    assert digest_params(params) == wanted
    assert len(wanted) == 64
