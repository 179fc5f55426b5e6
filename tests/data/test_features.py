"""A feature store is computed once, is never out of date, and survives being killed."""

import json
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from PIL import Image

from jaxart import storage
from jaxart.data import features, images
from jaxart.data.features import compute, digest_params
from jaxart.data.pipeline import ImageFiles
from jaxart.remote import RemotePath, StorageError

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


@pytest.fixture
def paths(tmp_path):
    """Seven different pictures: four batches, the last one ragged."""
    rng = np.random.default_rng(0)
    for i in range(7):
        pixels = rng.integers(0, 256, (6, 5, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    return [tmp_path / f"{i}.png" for i in range(7)]


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
        **facts,
    ):
        forward = Forward(stop_at)
        files = ImageFiles(paths, resize, PREPROCESSING | facts, views)
        rows, reasons = compute(
            forward, files, prefix=prefix, cache_dir=cache_dir, batch_size=BATCH_SIZE
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
    return {path.name for path in cache_dir.iterdir() if path.is_dir()}


# --- Once -----------------------------------------------------------------------------


def test_the_second_time_nothing_is_computed(paths, run, cache_dir):
    first, reasons, calls = run(paths)
    assert calls == 4
    assert reasons == [""] * 7
    np.testing.assert_array_equal(first, expected(paths))
    assert first.dtype == np.float32
    again, reasons, calls = run(paths)
    assert calls == 0
    assert reasons == [""] * 7
    np.testing.assert_array_equal(again, first)
    assert len(stores(cache_dir)) == 1


def test_rows_are_given_by_index(paths, cache_dir):
    files = ImageFiles(paths, "crop", PREPROCESSING)
    rows, _ = compute(
        Forward(), files, prefix=PREFIX, cache_dir=cache_dir, batch_size=BATCH_SIZE
    )
    chosen = np.array([5, 0, 5])
    wanted = expected([paths[i] for i in chosen], "crop")
    np.testing.assert_array_equal(rows[chosen], wanted)


def test_names_and_order_do_not_matter(paths, run, tmp_path, cache_dir):
    run(paths)
    moved = tmp_path / "moved"
    moved.mkdir()
    renamed = [path.rename(moved / f"x{path.name}") for path in reversed(paths)]
    found, _, calls = run(renamed)
    assert calls == 0
    np.testing.assert_array_equal(found, expected(renamed))
    assert len(stores(cache_dir)) == 1


def test_equal_files_share_a_row(paths, run, tmp_path, cache_dir):
    copy = tmp_path / "copy.png"
    copy.write_bytes(paths[1].read_bytes())
    listed = [copy, *paths[:3], paths[0]]
    found, _, calls = run(listed)
    np.testing.assert_array_equal(found, expected(listed))
    assert calls == 2  # three different files, two a batch
    (store,) = stores(cache_dir)
    assert np.load(cache_dir / store / "00000.npy").shape == (3, 2)


def test_views_have_their_rows_and_equal_views_of_equal_files_share_one(
    paths, run, tmp_path, cache_dir
):
    copy = tmp_path / "copy.png"
    copy.write_bytes(paths[1].read_bytes())
    listed = [paths[0], paths[1], paths[1], copy, copy, paths[1]]
    views = ["whole", "whole", "top_left", "top_left", "whole", "bottom_right"]
    found, reasons, calls = run(listed, views=views)
    assert reasons == [""] * 6
    np.testing.assert_array_equal(found, expected(listed, views=views))
    assert len(np.unique(found, axis=0)) == 4
    assert calls == 2  # four different rows, two a batch
    (store,) = stores(cache_dir)
    assert np.load(cache_dir / store / "00000.npy").shape == (4, 2)


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
    ],
    ids=str,
)
def test_other_preprocessing_is_another_store(paths, run, cache_dir, options):
    old, *_ = run(paths)
    found, _, calls = run(paths, **options)
    assert calls == 4
    np.testing.assert_array_equal(found, expected(paths, **options))
    assert not np.array_equal(found, old)
    assert len(stores(cache_dir)) == 2
    # The old one still stands.
    again, _, calls = run(paths)
    assert calls == 0
    np.testing.assert_array_equal(again, old)


def test_other_views_are_another_store(paths, run, cache_dir):
    old, *_ = run(paths)
    for some in (["top_right"] * 7, ["whole"] * 6 + ["center"]):
        found, _, calls = run(paths, views=some)
        assert calls == 4
        np.testing.assert_array_equal(found, expected(paths, views=some))
        assert not np.array_equal(found, old)
    assert len(stores(cache_dir)) == 3
    # All whole is what no views are.
    again, _, calls = run(paths, views=["whole"] * 7)
    assert calls == 0
    np.testing.assert_array_equal(again, old)


def test_one_pixel_is_another_store(paths, run, cache_dir):
    old, *_ = run(paths)
    change_one_pixel(paths[4])
    found, _, calls = run(paths)
    assert calls == 4
    np.testing.assert_array_equal(found, expected(paths))
    assert np.flatnonzero((found != old).any(axis=1)).tolist() == [4]
    assert len(stores(cache_dir)) == 2


@pytest.mark.parametrize(
    "prefix",
    [PREFIX | {"params": "other"}, PREFIX | {"layers": ["conv1"]}],
    ids=["weights", "layers"],
)
def test_another_frozen_part_is_another_store(paths, run, cache_dir, prefix):
    run(paths)
    _, _, calls = run(paths, prefix=prefix)
    assert calls == 4
    assert len(stores(cache_dir)) == 2


def test_one_image_more_or_less_is_another_store(paths, run, cache_dir):
    run(paths)
    for some in (paths[:6], paths[:5]):
        found, _, calls = run(some)
        assert calls == 3
        np.testing.assert_array_equal(found, expected(some))
    assert len(stores(cache_dir)) == 3


# --- What cannot be read --------------------------------------------------------------


def test_unreadable_files_have_reasons_and_the_others_their_rows(paths, run, tmp_path):
    poem = tmp_path / "poem.jpg"
    poem.write_text("a poem")
    listed = [tmp_path / "none.png", *paths[:3], poem, tmp_path, *paths[3:], poem]
    for calls_wanted in (4, 0):  # eight different files; then from the store
        found, reasons, calls = run(listed)
        assert calls == calls_wanted
        assert reasons == [
            "No such file or directory",
            *[""] * 3,
            "not an image that Pillow reads",
            "Is a directory",
            *[""] * 4,
            "not an image that Pillow reads",
        ]
        readable = [not reason for reason in reasons]
        np.testing.assert_array_equal(found[readable], expected(paths))


def test_an_unreadable_file_is_so_in_every_view(paths, run, tmp_path):
    poem = tmp_path / "poem.jpg"
    poem.write_text("a poem")
    listed = [poem, poem, tmp_path / "none.png", tmp_path / "none.png", *paths[:2]]
    views = ["whole", "center"] * 3
    found, reasons, _ = run(listed, views=views)
    assert reasons == [
        *["not an image that Pillow reads"] * 2,
        *["No such file or directory"] * 2,
        *[""] * 2,
    ]
    np.testing.assert_array_equal(found[4:], expected(paths[:2], views=views[4:]))


def test_nothing_readable(tmp_path, run, cache_dir):
    missing = [tmp_path / "a.png", tmp_path / "b.png"]
    files = ImageFiles(missing, "crop", PREPROCESSING)
    forward = Forward()
    _, reasons = compute(
        forward, files, prefix=PREFIX, cache_dir=cache_dir, batch_size=BATCH_SIZE
    )
    assert reasons == ["No such file or directory"] * 2
    assert forward.calls == 0


def test_a_file_that_comes_back_is_computed(paths, run):
    away = paths[2].rename(paths[2].with_suffix(".away"))
    _, reasons, _ = run(paths)
    assert [i for i, reason in enumerate(reasons) if reason] == [2]
    away.rename(paths[2])
    found, reasons, _ = run(paths)
    assert reasons == [""] * 7
    np.testing.assert_array_equal(found, expected(paths))


# --- Stopped in the middle ------------------------------------------------------------


def only_folder(cache_dir):
    (name,) = stores(cache_dir)
    return cache_dir / name


@pytest.mark.parametrize(
    ("stop_at", "calls_left"),
    # A batch is written while the next is computed: at call n, n - 2 are there.
    [(1, 4), (2, 4), (3, 3), (4, 2)],
)
def test_an_interrupted_pass_goes_on(paths, run, cache_dir, stop_at, calls_left):
    with pytest.raises(KeyboardInterrupt):
        run(paths, stop_at=stop_at)
    assert only_folder(cache_dir).suffix == ".partial"
    found, reasons, calls = run(paths)
    assert calls == calls_left
    assert reasons == [""] * 7
    np.testing.assert_array_equal(found, expected(paths))
    assert only_folder(cache_dir).suffix == ""
    assert run(paths)[2] == 0


def test_an_interrupted_pass_over_views_goes_on(paths, run):
    listed = [path for path in paths[:4] for _ in range(2)]
    views = ["bottom_left", "whole_mirrored"] * 4
    with pytest.raises(KeyboardInterrupt):
        run(listed, views=views, stop_at=3)
    found, _, calls = run(listed, views=views)
    assert calls == 3  # the first batch was there
    np.testing.assert_array_equal(found, expected(listed, views=views))


def test_interrupted_again_and_again(paths, run):
    # Each time one batch is written, before the third call: 4, 3, 2 are left.
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(paths, stop_at=3)
    found, _, calls = run(paths)
    assert calls == 2
    np.testing.assert_array_equal(found, expected(paths))


def test_an_interrupted_pass_over_other_images_is_left_alone(paths, run):
    with pytest.raises(KeyboardInterrupt):
        run(paths, stop_at=4)
    change_one_pixel(paths[0])
    found, _, calls = run(paths)
    assert calls == 4
    np.testing.assert_array_equal(found, expected(paths))


def test_stopped_after_the_last_row_but_before_the_new_name(paths, run, cache_dir):
    run(paths)
    store = only_folder(cache_dir)
    store.rename(store.with_suffix(".partial"))
    found, reasons, calls = run(paths)
    assert calls == 0
    assert reasons == [""] * 7
    np.testing.assert_array_equal(found, expected(paths))
    assert only_folder(cache_dir) == store


@pytest.mark.parametrize("counted", [0, 2, 4])
def test_rows_that_were_not_counted_are_computed_again(paths, run, cache_dir, counted):
    # As if killed while the rows after the counted ones were being written.
    run(paths)
    store = only_folder(cache_dir)
    reasons = json.loads((store / "00000.json").read_text())
    (store / "00000.json").write_text(json.dumps(reasons[:counted]))
    features = np.load(store / "00000.npy", mmap_mode="r+")
    features[counted:] = np.nan
    features.flush()
    (store / "00000.tmp").write_text('["", "')
    store.rename(store.with_suffix(".partial"))
    found, _, calls = run(paths)
    assert calls == {0: 4, 2: 3, 4: 2}[counted]
    np.testing.assert_array_equal(found, expected(paths))


class SlowForward(Forward):
    """Kills its own process at call `stop_at`, or gives others time to come along."""

    def __call__(self, loaded):
        if self.calls + 1 == self.stop_at:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
        return super().__call__(loaded)


def compute_in_child(paths, cache_dir, kill_at, results):
    forward = SlowForward(kill_at)
    files = ImageFiles(paths, "tf1_bilinear", PREPROCESSING)
    rows, _ = compute(
        forward, files, prefix=PREFIX, cache_dir=cache_dir, batch_size=BATCH_SIZE
    )
    results.put((forward.calls, rows[np.arange(len(paths))]))


# A server that has imported the module (seconds) forks each child (milliseconds).
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["jaxart.data.features"])


@pytest.fixture
def start_child(paths, cache_dir):
    """Starts a process that computes the features, killed at a call (0: never)."""

    def start_child(kill_at):
        results = PROCESSES.SimpleQueue()
        child = PROCESSES.Process(
            target=compute_in_child, args=(paths, cache_dir, kill_at, results)
        )
        child.start()
        return child, results

    return start_child


def test_a_killed_pass_goes_on(paths, run, cache_dir, start_child):
    child, _ = start_child(kill_at=3)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert only_folder(cache_dir).suffix == ".partial"
    found, _, calls = run(paths)
    assert calls == 3  # the first batch was there
    np.testing.assert_array_equal(found, expected(paths))
    assert run(paths)[2] == 0


def test_two_processes_at_once_make_one_store(paths, cache_dir, start_child):
    children = [start_child(kill_at=0) for _ in range(2)]
    for child, _ in children:
        child.join()
        assert child.exitcode == 0
    calls, found = zip(*(results.get() for _, results in children), strict=True)
    assert sorted(calls) == [0, 4]
    for rows in found:
        np.testing.assert_array_equal(rows, expected(paths))
    assert only_folder(cache_dir).suffix == ""


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


def test_bfloat16_features_come_back_to_the_bit(paths, cache_dir):
    bfloat16 = np.dtype("bfloat16")

    def forward(loaded):
        calls.append(len(loaded))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return features_of(loaded).astype(bfloat16)

    calls = []
    files = ImageFiles(paths, "tf1_bilinear", PREPROCESSING)
    where = {"cache_dir": cache_dir, "batch_size": BATCH_SIZE}
    with pytest.raises(KeyboardInterrupt):  # a pass that goes on, writes so, too
        compute(forward, files, prefix=PREFIX, dtype="bfloat16", **where)
    rows, _ = compute(forward, files, prefix=PREFIX, dtype="bfloat16", **where)
    found = rows[np.arange(len(paths))]
    whole, _ = compute(Forward(), files, prefix=PREFIX, **where)  # of another store
    assert found.dtype == bfloat16
    np.testing.assert_array_equal(
        found, whole[np.arange(len(paths))].astype(bfloat16), strict=True
    )


def test_a_store_that_fails_is_no_unreadable_image(monkeypatch):
    path = storage.path("s3://b/x.png")

    def fail(path):
        raise error

    monkeypatch.setattr(RemotePath, "read_bytes", fail)
    error = FileNotFoundError(2, "No such file or directory")
    assert features._digest_files([path]) == ([""], ["No such file or directory"])
    error = StorageError("no answer")
    with pytest.raises(StorageError, match="no answer"):
        features._digest_files([path])
