"""Full disks, and names that are too long."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from jaxart import storage
from jaxart.storage import StorageError, disk

NOISE = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), np.uint8)


def write_rows(file):
    with open(file, "wb") as stream:
        NOISE.tofile(stream)


WRITERS = {
    "bytes": lambda file: file.write_bytes(NOISE.tobytes()),
    "numpy": write_rows,
    "safetensors": lambda file: save_file({"x": NOISE}, file),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize(
    "written", [storage.written, storage.written_together, storage.written_folder]
)
def test_a_full_disk_is_one_line_and_nothing_is_left(small_disk, write, written):
    out = small_disk / "out.bin"
    with pytest.raises(StorageError) as failed, written(out) as beside:
        write(beside / "file" if beside.is_dir() else beside)
    said = str(failed.value)
    assert said.startswith(f"{out}: no space is left on the disk at {small_disk} (")
    assert said.endswith(" MB free): free some space, and the same command goes on")
    assert "\n" not in said and list(small_disk.iterdir()) == []


def test_a_picture_is_whole_or_not_there(small_disk):
    """Pillow does not see that a disk took a part of what it wrote."""
    picture = Image.fromarray(NOISE)
    with pytest.raises(StorageError, match="out.png: no space is left on the disk"):
        storage.write_picture(picture, small_disk / "out.png", format="PNG")
    assert list(small_disk.iterdir()) == []


def test_a_file_that_may_not_grow_so_large_is_named(tmp_path):
    too_large = pytest.raises(StorageError, match="x: too large for the disk at /")
    with too_large, storage.written(tmp_path / "x"):
        raise OSError(errno.EFBIG, "File too large")
    used_up = pytest.raises(StorageError, match="x: your quota is used up on the disk")
    with used_up, storage.written(tmp_path / "x"):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


def test_room_is_required_before_the_work(small_disk):
    disk.require(small_disk / "not/yet/there", 900_000)
    with pytest.raises(StorageError) as failed:
        disk.require(small_disk / "not/yet/there", 553_400_000)
    need = f"needs 553.4 MB on the disk at {small_disk} (1.0 MB free): free some space"
    assert need in str(failed.value)


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (OSError("100 requested and 50 written"), True),
        (RuntimeError("I/O error: No space left on device (os error 28)"), True),
        (RuntimeError("I/O error: Permission denied (os error 13)"), False),
        (ValueError("out=x: no"), False),
    ],
)
def test_which_errors_say_that_a_disk_is_full(error, full):
    assert disk.is_full(error) is full


def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path):
    longest = tmp_path / f"{'n' * 251}.txt"
    storage.write_bytes(longest, b"1")
    with storage.written_together(longest) as file:
        file.write_bytes(b"2")
    with storage.written_folder(tmp_path / ("é" * 127)) as folder:
        (folder / "x").touch()
    assert longest.read_bytes() == b"2" and len(os.listdir(tmp_path)) == 2
    disk.check_names(longest)
    with pytest.raises(StorageError, match="its name has 256 bytes, and a file's has"):
        disk.check_names(longest, Path("é" * 128))
