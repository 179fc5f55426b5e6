"""Parts of predictions: written, read, and put together in the list's order."""

import numpy as np
import pytest

from jaxart.data.shares import Share
from jaxart.prediction_files import growing_npy
from jaxart.prediction_parts import Part, join, join_features, load, save


def make_part(indices):
    """Of images that say their number; each fifth cannot be read."""
    reasons = ["" if i % 5 else f"reason {i}" for i in indices]
    read = np.array([i for i in indices if i % 5], np.int32)
    columns = [np.stack([read, read], 1), read.astype(np.float32)]
    return Part(columns if len(indices) else [], reasons)


def write_features(path, part, batch_size):
    with growing_npy(path) as append:
        for start in range(0, len(part.reasons), batch_size):
            count = part.reasons[start : start + batch_size].count("")
            done = part.reasons[:start].count("")
            rows = part.columns[1][done : done + count] if count else np.empty(0)
            append(np.tile(rows[:, None, None], (1, 2, 3)).astype(np.float32))


@pytest.mark.parametrize("count", [1, 2, 3, 9])
@pytest.mark.parametrize(("num_images", "batch_size"), [(23, 4), (24, 4), (6, 1)])
def test_parts_become_what_one_pass_gives(tmp_path, count, num_images, batch_size):
    whole = make_part(range(num_images))
    parts, paths = [], []
    for number in range(count):
        mask = Share(number + 1, count).mask(num_images, batch_size)
        part = make_part(np.flatnonzero(mask).tolist())
        path = tmp_path / f"{number}.npz"
        parts.append(load(path, save(path, part)))
        paths.append(path.with_suffix(".npy"))
        write_features(paths[-1], part, batch_size)
    joined = join(parts, batch_size)
    assert joined.reasons == whole.reasons
    for found, expected in zip(joined.columns, whole.columns, strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    write_features(tmp_path / "whole.npy", whole, batch_size)
    join_features(parts, paths, batch_size, tmp_path / "joined.npy")
    assert len(np.load(tmp_path / "whole.npy")) == whole.reasons.count("")
    joined = (tmp_path / "joined.npy").read_bytes()
    assert joined == (tmp_path / "whole.npy").read_bytes()
    assert not list(tmp_path.glob("*.tmp"))
