"""The engine: parts that are done are left; one driver at a time."""

import json
import os

import numpy as np
import pytest

from jaxart.passes import driver, folder, rows, running
from jaxart.passes.folder import OtherPassError
from jaxart.storage.results import DamagedError
from tests.passes.works import Squares, begin


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("part_size", [2, 4, 100])
def test_done_parts_are_left_and_the_rest_is_done(tmp_path, part_size, quiet):
    passed, parts = begin(tmp_path / "parts", 11, part_size)
    names = running.run(Squares(), parts, passed, title="", quiet=quiet).names
    wanted = [
        {"item": i, "square": float(i * i), "batch": 1 if i == 11 else 2}
        for i in range(1, 12)
    ]
    assert list(passed.records(names)) == wanted
    passed.join_rows(names, tmp_path / "all.npy")
    np.testing.assert_array_equal(
        np.load(tmp_path / "all.npy")[:, 0], [i * i for i in range(1, 12)]
    )
    lost = names[-1]
    (passed.path / f"{lost}.json").unlink()
    again = running.run(Squares(), parts, passed, title="", quiet=quiet)
    assert again.names == names
    assert again.is_new == [name == lost for name in names]
    passed.remove()
    assert not list((tmp_path / "parts").iterdir())


DAMAGES = {
    "zeroed": lambda file: bytes(len(file)),
    "a flipped bit": lambda file: file[:-30] + bytes([file[-30] ^ 1]) + file[-29:],
    "cut": lambda file: file[: len(file) // 2],
    "empty": lambda file: b"",
    "missing": lambda file: None,
    "no JSON": lambda file: b"[" * len(file),
    "an earlier jaxart's": lambda file: b'[{"item": 1}]',
}


@pytest.mark.parametrize("ask", ["has", "done"])
@pytest.mark.parametrize("suffix", [".json", ".npy"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_part_is_done_anew(tmp_path, caplog, suffix, damage, ask):
    passed, parts = begin(tmp_path, 11)
    names = running.run(Squares(), parts, passed, title="").names
    whole = {path: path.read_bytes() for path in tmp_path.iterdir()}
    path = tmp_path / f"{names[1]}{suffix}"
    content = DAMAGES[damage](whole[path])
    path.unlink() if content is None else path.write_bytes(content)

    passed, parts = begin(tmp_path, 11)
    caplog.clear()
    if ask == "has":
        assert [passed.has(name) for name in names] == [True, False, True]
    else:
        again = running.run(Squares(), parts, passed, title="")
        assert (again.names, again.is_new) == (names, [False, True, False])
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == whole
    warnings = [said for said in caplog.messages if "done anew" in said]
    is_silent = damage == "missing" and suffix == ".json"  # of a part not yet done
    assert len(warnings) == (not is_silent)
    assert all(os.fspath(path) in said for said in warnings)


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "missing"])
def test_damaged_rows_are_not_joined(tmp_path, damage):
    passed, parts = begin(tmp_path / "parts", 11)
    names = running.run(Squares(), parts, passed, title="").names
    path = passed.rows(names[1])
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(DamagedError, match=f"^{path}: damaged: "):
        passed.join_rows(names, tmp_path / "all.npy")
    passed, _ = begin(tmp_path / "parts", 11)
    again = running.run(Squares(), parts, passed, title="")
    assert again.is_new == [False, True, False]
    passed.join_rows(names, tmp_path / "all.npy")


@pytest.mark.parametrize("is_seen", [False, True])
def test_an_item_that_went_is_done_when_it_is_back(tmp_path, is_seen):
    passed, parts = begin(tmp_path / "parts", 11)
    gone = Squares(gone=6, is_seen=is_seen)
    names = running.run(gone, parts, passed, title="").names
    assert list(passed.records(names))[5]["reason"] == "went"
    assert passed.rows(names[1]).is_file()
    again = running.run(Squares(gone=6), parts, passed, title="")
    assert (again.names, again.is_new) == (names, [False] * 3)
    back = running.run(Squares(), parts, passed, title="")
    assert back.is_new == [False, True, False]
    other, _ = begin(tmp_path / "other", 11)
    whole = running.run(Squares(), parts, other, title="").names
    assert back.names == whole and names[1] != whole[1]
    assert list(passed.records(whole)) == list(other.records(whole))


@pytest.mark.parametrize("suffix", [".json", ".npy"])
def test_a_link_in_a_parts_place_is_replaced_and_not_followed(tmp_path, caplog, suffix):
    passed, parts = begin(tmp_path / "parts", 4)
    (name,) = running.run(Squares(), parts, passed, title="").names
    path, other = passed.path / f"{name}{suffix}", tmp_path / "other"
    content = path.read_bytes()
    path.rename(other)
    path.symlink_to(other)
    passed, _ = begin(tmp_path / "parts", 4)
    assert running.run(Squares(), parts, passed, title="").is_new == [True]
    assert f"'{path}'; it is done anew" in caplog.text
    assert not path.is_symlink() and path.read_bytes() == content == other.read_bytes()


@pytest.mark.parametrize("damage", ["zeroed", "empty", "no JSON"])
def test_broken_settings_are_said_to_be(tmp_path, damage):
    passed, _ = begin(tmp_path, 4)
    path = tmp_path / driver.SETTINGS
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    said = f"^{path}: damaged: .* Remove the file, and the same command goes on$"
    with pytest.raises(DamagedError, match=said):
        passed.begin()


@pytest.mark.parametrize("size", [0, 5, 100, 500])
def test_cut_rows_are_an_error_with_the_files_name(tmp_path, size):
    path = tmp_path / "rows.npy"
    np.save(path, np.ones((99, 8)))
    np.testing.assert_array_equal(rows.mapped(path), np.ones((99, 8)))
    os.truncate(path, size)
    with pytest.raises(DamagedError, match=f"^{path}: damaged: "):
        rows.mapped(path)


def test_another_content_is_another_part(tmp_path):
    passed, parts = begin(tmp_path, 4, 2)
    assert passed.name(parts[0], ["a", "b"]) != passed.name(parts[0], ["a", "c"])
    other = folder.Folder(tmp_path / "other", {"list": "another"})
    assert passed.name(parts[0], ["a", "b"]) != other.name(parts[0], ["a", "b"])


def test_a_folder_belongs_to_one_pass(tmp_path):
    begin(tmp_path, 4, method="a")
    begin(tmp_path, 4, method="a")
    with pytest.raises(
        OtherPassError, match="made with method='a'; this run has method"
    ):
        begin(tmp_path, 4, method="b")


@pytest.mark.parametrize(
    ("num_items", "batch_size", "num_batches", "size"),
    [(10, 8, 4, 32), (1_000_000, 8, 4, 104), (5, 3, 1, 3)],
)
def test_long_lists_have_longer_parts(num_items, batch_size, num_batches, size):
    assert folder.part_size(num_items, batch_size, num_batches) == size


def test_one_driver_at_a_time_and_an_empty_folder_goes(tmp_path):
    path = tmp_path / "out" / "parts"
    with driver.alone(path):
        said = "parts: process .* is at work here"
        with pytest.raises(driver.BusyError, match=said), driver.alone(path):
            pass
    assert not path.parent.exists()
    with driver.alone(path):
        (path / driver.SETTINGS).write_text(json.dumps({}))
    assert path.exists()  # something is left to do
    (path / driver.SETTINGS).unlink()
    with driver.alone(path):
        pass
    assert not path.exists()


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path):
    (tmp_path / "table.parts").mkdir()
    (tmp_path / "table.parts" / "mine.txt").touch()
    said = r"table\.parts is there"
    with (
        pytest.raises(driver.ForeignFolderError, match=said),
        driver.alone(tmp_path / "table.parts"),
    ):
        pass
    assert (tmp_path / "table.parts" / "mine.txt").exists()


@pytest.mark.parametrize("num_rows", [1, 9, 10, 12345])
def test_a_growing_npy_is_numpys(tmp_path, num_rows):
    values = np.arange(num_rows * 6, dtype=np.float32).reshape(num_rows, 2, 3)
    with rows.growing(tmp_path / "grown.npy") as append:
        for start in range(0, num_rows, 1000):
            append(values[start : start + 1000])
    np.save(tmp_path / "saved.npy", values)
    saved = (tmp_path / "saved.npy").read_bytes()
    assert (tmp_path / "grown.npy").read_bytes() == saved
