"""Every epoch holds each example once, in batches of one shape, resumable anywhere."""

import pickle
import threading

import absl.flags
import numpy as np
import pytest
from PIL import Image

from jaxart import storage
from jaxart.data import images, resizing
from jaxart.data.pipeline import ImageFiles, batches
from jaxart.storage import RemotePath, StorageError

# Eleven inputs of two numbers, none of them zero: row i is (i + 1, 10 i + 10).
INPUTS = np.arange(1, 12, dtype=np.float32)[:, None] * np.float32([1, 10])
LABELS = np.arange(11) % 4
PREPROCESSING = {"size": 4, "channel_order": "bgr", "mean": (1.0, 2.0, 3.0)}


def seen(some_batches):
    """Which inputs the batches hold, in order, without the padding."""
    firsts = [batch["image"][batch["mask"], 0] for batch in some_batches]
    return [int(first) - 1 for first in np.concatenate(firsts)]


def assert_same(found, wanted):
    found, wanted = list(found), list(wanted)
    assert len(found) == len(wanted)
    for batch, wanted_batch in zip(found, wanted, strict=True):
        assert set(batch) == {"image", "label", "mask"}
        for name in batch:
            np.testing.assert_array_equal(batch[name], wanted_batch[name])


@pytest.fixture
def paintings(tmp_path):
    """Five pictures of one colour, (50 i, 100, 150), the fourth not an image."""
    paths = []
    for i in range(5):
        paths.append(tmp_path / f"{i}.png")
        Image.new("RGB", (3, 2), (50 * i, 100, 150)).save(paths[-1])
    paths[3].write_text("a poem")
    return paths


# --- Batches --------------------------------------------------------------------------


def test_without_seed_the_order_is_kept_and_the_last_batch_filled_up():
    indices = np.array([7, 0, 3, 10, 2])
    first, last = batches(INPUTS, LABELS, indices, batch_size=3)
    np.testing.assert_array_equal(first["image"], [[8, 80], [1, 10], [4, 40]])
    np.testing.assert_array_equal(first["label"], [3, 0, 3])
    np.testing.assert_array_equal(first["mask"], [True, True, True])
    np.testing.assert_array_equal(last["image"], [[11, 110], [3, 30], [0, 0]])
    np.testing.assert_array_equal(last["label"], [2, 2, 0])
    np.testing.assert_array_equal(last["mask"], [True, True, False])
    for batch in (first, last):
        dtypes = {name: array.dtype for name, array in batch.items()}
        assert dtypes == {"image": np.float32, "label": np.int32, "mask": bool}


@pytest.mark.parametrize(
    ("batch_size", "num_batches"),
    # 11 examples: 3 batches of 4 (one free), 11 of 1, 1 of 11, 1 of 32.
    [(4, 3), (1, 11), (11, 1), (32, 1)],
)
def test_every_epoch_holds_each_example_once(batch_size, num_batches):
    indices = np.arange(11)
    found = list(
        batches(INPUTS, LABELS, indices, batch_size=batch_size, seed=0, num_epochs=3)
    )
    assert len(found) == 3 * num_batches
    assert {batch["image"].shape for batch in found} == {(batch_size, 2)}
    assert {batch["label"].shape for batch in found} == {(batch_size,)}
    for epoch in range(3):
        part = found[epoch * num_batches : (epoch + 1) * num_batches]
        assert sorted(seen(part)) == list(range(11))
        # Only the last batch of an epoch is not full.
        assert [batch["mask"].sum() for batch in part[:-1]] == [batch_size] * (
            num_batches - 1
        )
    for batch in found:
        chosen = seen([batch])
        np.testing.assert_array_equal(batch["label"][batch["mask"]], LABELS[chosen])
        assert not batch["image"][~batch["mask"]].any()


def test_shuffling_follows_the_seed_and_differs_between_epochs():
    def order(seed):
        options = {"batch_size": 4, "seed": seed, "num_epochs": 3}
        found = seen(batches(INPUTS, LABELS, np.arange(11), **options))
        return [found[:11], found[11:22], found[22:]]

    epochs = order(seed=5)
    assert epochs == order(seed=5)
    assert list(range(11)) not in epochs
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert not any(epoch in order(seed=6) for epoch in epochs)


@pytest.mark.parametrize("first_batch", [0, 1, 2, 3, 4, 7, 8, 9])
@pytest.mark.parametrize("seed", [None, 2])
def test_first_batch_leaves_out_what_came_before(first_batch, seed):
    # Three batches an epoch: 3 and 9 start an epoch (9: there is nothing left).
    options = {"batch_size": 4, "seed": seed, "num_epochs": 3}
    whole = list(batches(INPUTS, LABELS, np.arange(11), **options))
    rest = batches(INPUTS, LABELS, np.arange(11), first_batch=first_batch, **options)
    assert_same(rest, whole[first_batch:])


# Examples of four inputs each: 4 i ... 4 i + 3, whose label is i.
CHOICES = np.arange(44).reshape(11, 4)
CHOICE_INPUTS = np.arange(1, 45, dtype=np.float32)[:, None]
CHOICE_LABELS = np.arange(44) // 4


def test_one_of_an_examples_inputs_is_drawn_in_each_epoch():
    found = list(
        batches(
            *(CHOICE_INPUTS, CHOICE_LABELS, CHOICES),
            **{"batch_size": 11, "seed": 0, "num_epochs": 100},
        )
    )
    assert len(found) == 100
    drawn = np.array(seen(found)).reshape(100, 11)
    drawn.sort(axis=1)
    np.testing.assert_array_equal(drawn // 4, np.tile(np.arange(11), (100, 1)))
    labels = np.concatenate([batch["label"][batch["mask"]] for batch in found])
    np.testing.assert_array_equal(labels, np.array(seen(found)) // 4)

    # All chances are 1 in 4. Of m draws, m / 4 hit; the bounds are four standard
    # deviations, sqrt(m 3 / 16), or a little more.
    views = drawn % 4
    np.testing.assert_allclose(np.bincount(views.ravel()), 275, atol=58)  # of 1100
    for example in views.T:
        np.testing.assert_allclose(np.bincount(example), 25, atol=18)  # of 100
    # A draw says nothing about the next epoch's, nor about its neighbour's.
    assert abs((views[1:] == views[:-1]).sum() - 99 * 11 / 4) < 58
    assert abs((views[:, 1:] == views[:, :-1]).sum() - 100 * 10 / 4) < 55


def test_draws_follow_the_seed_and_resume_anywhere():
    def draw(seed, first_batch=0):
        return list(
            batches(
                *(CHOICE_INPUTS, CHOICE_LABELS, CHOICES),
                **{"batch_size": 4, "seed": seed, "num_epochs": 3},
                first_batch=first_batch,
            )
        )

    whole = draw(5)
    assert seen(whole) == seen(draw(5)) != seen(draw(6))
    for first_batch in (1, 3, 5, 9):
        assert_same(draw(5, first_batch), whole[first_batch:])


def test_one_input_for_each_example_is_no_draw():
    options = {"batch_size": 4, "seed": 5, "num_epochs": 3}
    assert_same(
        batches(INPUTS, LABELS, np.arange(11)[:, None], **options),
        batches(INPUTS, LABELS, np.arange(11), **options),
    )


def test_nothing_is_drawn_without_a_seed():
    with pytest.raises(ValueError, match="requires a seed"):
        batches(CHOICE_INPUTS, CHOICE_LABELS, CHOICES, batch_size=4)


def test_image_files_are_loaded_for_their_network(paintings):
    files = ImageFiles(paintings, "tf1_bilinear", PREPROCESSING)
    (batch,) = batches(files, np.arange(5), np.array([4, 1]), batch_size=2)
    assert batch["image"].shape == (2, 4, 4, 3)
    # Blue 150 - 1, green 100 - 2, red 50 i - 3.
    np.testing.assert_array_equal(batch["image"][0], np.full((4, 4, 3), (149, 98, 197)))
    np.testing.assert_array_equal(batch["image"][1], np.full((4, 4, 3), (149, 98, 47)))
    np.testing.assert_array_equal(batch["label"], [4, 1])


def test_image_files_are_seen_in_their_views(tmp_path):
    path = tmp_path / "a.png"
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    files = ImageFiles([path] * 12, "antialias", PREPROCESSING, resizing.VIEWS)
    found = files[np.array([11, 0, 3])]
    for image, view in zip(
        found, ("bottom_right_mirrored", "whole", "top_right"), strict=True
    ):
        wanted = images.load(path, resize="antialias", view=view, **PREPROCESSING)
        np.testing.assert_array_equal(image, wanted)
    whole = ImageFiles([path], "antialias", PREPROCESSING)[np.array([0])]
    np.testing.assert_array_equal(found[1], whole[0])


def test_an_unreadable_image_stops_with_its_name(paintings):
    files = ImageFiles(paintings, "antialias", PREPROCESSING)
    with pytest.raises(images.ImageError, match=r"/3\.png: not an image"):
        files[np.array([0, 3])]


@pytest.mark.parametrize("num_workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_an_image_that_breaks_or_goes_is_left_out_of_its_batch(
    paintings, caplog, num_workers
):
    if num_workers:
        absl.flags.FLAGS.mark_as_parsed()  # grain hands them to its processes
    files = ImageFiles(paintings, "antialias", PREPROCESSING)
    paintings[1].unlink()
    settings = {"batch_size": 2, "num_epochs": 2, "num_workers": num_workers}
    all_batches = list(batches(files, np.arange(5), np.arange(5), **settings))
    masks = np.array([batch["mask"] for batch in all_batches])
    wanted = [[True, False], [True, False], [True, False]]
    np.testing.assert_array_equal(masks, 2 * wanted)
    for batch in all_batches:
        assert not batch["image"][~batch["mask"]].any()
    if not num_workers:  # they keep their own
        assert files.failures.keys() == {1, 3}
        assert files.failures[1] == "No such file or directory"
        assert len(caplog.messages) == 2  # one for each, in whichever epoch


@pytest.mark.slow
def test_worker_processes_give_the_same_batches(paintings):
    absl.flags.FLAGS.mark_as_parsed()  # grain hands them to its processes
    views = ("whole", "top_left", "center_mirrored")
    files = ImageFiles(
        [path for path in paintings for _ in views], "crop", PREPROCESSING, views * 5
    )
    labels = np.arange(15)  # they tell the views of one colour apart
    readable = labels.reshape(5, 3)[[0, 1, 2, 4]]
    options = {"batch_size": 3, "seed": 1, "num_epochs": 2, "first_batch": 1}
    assert_same(
        batches(files, labels, readable, num_workers=2, **options),
        batches(files, labels, readable, **options),
    )


@pytest.mark.parametrize("num_processes", [2, 4, 8])
def test_the_rows_of_all_processes_are_the_batches(num_processes):
    options = {"batch_size": 8, "seed": 3, "num_epochs": 2}
    whole = list(batches(INPUTS, LABELS, np.arange(11), **options))
    size = 8 // num_processes
    parts = [
        batches(INPUTS, LABELS, np.arange(11), rows=slice(i, i + size), **options)
        for i in range(0, 8, size)
    ]
    for batch, *rows in zip(whole, *parts, strict=True):
        for name in ("image", "label", "mask"):
            joined = np.concatenate([part[name] for part in rows])
            np.testing.assert_array_equal(joined, batch[name])


@pytest.mark.parametrize("rows", [slice(0, 1), slice(3, 4)], ids=["some", "none"])
def test_a_process_loads_its_rows_of_a_ragged_batch_if_it_has_any(paintings, rows):
    files = ImageFiles(paintings, "antialias", PREPROCESSING)
    (batch,) = batches(files, np.arange(5), np.arange(2), batch_size=4, rows=rows)
    num_there = len(range(2)[rows])
    assert batch["image"].shape == (1, *files[np.array([0])].shape[1:])
    assert batch["mask"].sum() == num_there and batch["image"].any() == bool(num_there)


# --- Reading all ----------------------------------------------------------------------


# 50 i - 3 in the red channel, and zeros for the fourth.
RED, REASON = [-3, 47, 97, 0, 197], "not an image that Pillow reads"


def test_images_come_in_order_or_blank_with_reasons(paintings):
    files = ImageFiles(paintings, "tf1_bilinear", PREPROCESSING)
    loaded, reasons, *_ = files.load_or_blank(np.arange(5))
    np.testing.assert_array_equal(loaded[:, 0, 0, 2], RED)
    assert not loaded[3].any()
    assert reasons == ["", "", "", REASON, ""]


# --- From an object store -------------------------------------------------------------


@pytest.fixture
def objects(paintings, bucket):
    """The same pictures there, and one that is missing in both places."""
    paintings.append(paintings[0].with_name("none.png"))
    bucket.put_folder(paintings[0].parent, "pictures")
    root = storage.path(f"{bucket.url}/pictures")
    return [root / path.name for path in paintings]


def test_images_there_are_images_here(paintings, objects):
    here = ImageFiles(paintings, "antialias", PREPROCESSING)
    there = ImageFiles(objects, "antialias", PREPROCESSING)
    wanted, wanted_reasons, *_ = here.load_or_blank(np.arange(6))
    found, reasons, *_ = pickle.loads(pickle.dumps(there)).load_or_blank(np.arange(6))
    np.testing.assert_array_equal(found, wanted)
    assert reasons == wanted_reasons
    assert reasons[5] == "No such file or directory" and reasons[3]


def test_images_of_a_batch_are_fetched_side_by_side(objects, monkeypatch):
    both = threading.Barrier(2, timeout=20)
    read = RemotePath.read_bytes

    def wait(path):
        if path.name in ("0.png", "1.png"):
            both.wait()
        return read(path)

    monkeypatch.setattr(RemotePath, "read_bytes", wait)
    files = ImageFiles(objects, "antialias", PREPROCESSING)
    loaded, reasons, *_ = files.load_or_blank(np.arange(2))
    assert reasons == ["", ""]
    np.testing.assert_array_equal(loaded[:, 0, 0, 2], [0 - 3, 50 - 3])


def test_a_store_that_fails_is_no_image_that_cannot_be_read(objects, monkeypatch):
    def fail(path):
        raise StorageError(f"{path}: no answer")

    monkeypatch.setattr(RemotePath, "read_bytes", fail)
    files = ImageFiles(objects, "antialias", PREPROCESSING)
    with pytest.raises(StorageError, match="no answer"):
        files.load_or_blank(np.arange(2))
