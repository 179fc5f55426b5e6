"""The painted data set: repeatable, written whole or not at all, recognisable."""

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxart.data import procedural
from jaxart.data.procedural import STYLES, main, paint, write_folder
from tests import ROOT


def test_styles_are_ten_sorted_distinct_names():
    assert len(set(STYLES)) == 10
    assert list(STYLES) == sorted(STYLES)
    assert all(name.isidentifier() and name == name.lower() for name in STYLES)


@pytest.mark.parametrize("style", STYLES)
def test_same_arguments_same_pixels_and_other_seed_other_picture(style):
    image = paint(style, 3, 64)
    np.testing.assert_array_equal(image, paint(style, 3, 64))
    for other in (4, (3, 0), (3, 1), -3):
        difference = np.abs(image.astype(int) - paint(style, other, 64))
        assert difference.mean() > 2, other


def test_pictures_are_the_same_in_another_process():
    code = (
        "import zlib; from jaxart.data.procedural import STYLES, paint;"
        "print([zlib.crc32(paint(s, 5, 48).tobytes()) for s in STYLES])"
    )
    root = Path(procedural.__file__).parents[2]
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            cwd=root,
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in "17"
    ]
    assert runs[0] == runs[1]
    assert len(json.loads(runs[0])) == len(STYLES)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [32, 33, 97, 224])
def test_any_size_gives_a_picture_that_is_not_blank(style, size):
    image = paint(style, 1, size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert np.ptp(image) > 60


@pytest.mark.parametrize("style", STYLES)
def test_no_seed_gives_a_degenerate_picture(style):
    for seed in range(30):
        image = paint(style, seed, 48).astype(float)
        assert image.std((0, 1)).max() > 8, seed
        assert 4 < image.mean() < 251, seed


def test_unknown_style_names_the_value_and_the_choices():
    with pytest.raises(ValueError, match="'fresco'") as error:
        paint("fresco", 0)
    assert all(style in str(error.value) for style in STYLES)


def _files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.jpg"))


def test_write_folder_writes_every_style_and_nothing_else(tmp_path):
    folder = tmp_path / "deep" / "paintings"
    write_folder(folder, 2, seed=9, size=64)
    expected = sorted(f"{s}/{i:04d}.jpg" for s in STYLES for i in range(2))
    assert _files(folder) == expected
    assert os.listdir(folder.parent) == ["paintings"]
    for name in ("ruled_grid", "ink_mist"):
        with Image.open(folder / name / "0001.jpg") as image:
            stored = np.asarray(image.convert("RGB")).astype(int)
        assert np.abs(stored - paint(name, (9, 1), 64)).mean() < 3


def test_second_call_rewrites_nothing(tmp_path):
    folder = tmp_path / "paintings"
    write_folder(folder, 1, seed=0, size=32)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    write_folder(folder, 1, seed=0, size=32)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before


@pytest.mark.parametrize("change", [{"images_per_style": 2}, {"seed": 1}, {"size": 33}])
def test_folder_with_other_arguments_is_refused_and_kept(tmp_path, change):
    arguments = {"images_per_style": 1, "seed": 0, "size": 32}
    folder = tmp_path / "paintings"
    write_folder(folder, **arguments)
    before = (folder / STYLES[0] / "0000.jpg").read_bytes()
    with pytest.raises(ValueError, match="paintings"):
        write_folder(folder, **(arguments | change))
    assert (folder / STYLES[0] / "0000.jpg").read_bytes() == before


def test_folder_of_another_format_version_or_origin_is_refused(tmp_path, monkeypatch):
    write_folder(tmp_path / "old", 1, seed=0, size=32)
    monkeypatch.setattr(procedural, "FORMAT_VERSION", procedural.FORMAT_VERSION + 1)
    (tmp_path / "mine").mkdir()
    for name in ("old", "mine"):
        with pytest.raises(ValueError, match=name):
            write_folder(tmp_path / name, 1, seed=0, size=32)


def test_interrupted_run_leaves_nothing_under_the_final_name(tmp_path, monkeypatch):
    def stop_at_the_fifth_style(style, seed, size):
        if style == STYLES[4]:
            raise KeyboardInterrupt
        return paint(style, seed, size)

    folder = tmp_path / "paintings"
    with monkeypatch.context() as patch:
        patch.setattr(procedural, "paint", stop_at_the_fifth_style)
        with pytest.raises(KeyboardInterrupt):
            write_folder(folder, 3, seed=0, size=32)
    assert os.listdir(tmp_path) == []


def test_arguments_out_of_range_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(ValueError, match="images_per_style must be at least 1, got 0"):
        write_folder(tmp_path / "none", 0, seed=0)
    with pytest.raises(ValueError, match="size must be at least 32, got 31"):
        write_folder(tmp_path / "none", 1, seed=0, size=31)
    assert os.listdir(tmp_path) == []


def test_command_line(tmp_path, capsys):
    options = ["--images_per_style=1", "--seed=2", "--size=32"]
    main([f"--out={tmp_path / 'paintings'}", *options])
    assert len(_files(tmp_path / "paintings")) == len(STYLES)
    with pytest.raises(SystemExit):
        main([f"--out={tmp_path / 'paintings'}", "--seed=3"])
    assert "paintings exists" in capsys.readouterr().err


def _texture(image):
    """Colour-blind features: edge strengths and directions at three scales."""
    grey, features = image.mean(-1) / 255, []
    for _ in range(3):
        dy, dx = np.gradient(grey)
        strength, angle = np.hypot(dx, dy), np.arctan2(dy, dx) % np.pi
        share = np.histogram(angle, 8, (0, np.pi), weights=strength)[0]
        share = share / (share.sum() + 1e-6)
        levels = np.histogram(strength, [0, 0.004, 0.015, 0.05, 0.12, 0.25, 1])[0]
        features += [*share, *np.sqrt(levels / strength.size), grey.std()]
        half = len(grey) // 2
        grey = grey.reshape(half, 2, half, 2).mean((1, 3))
    return np.array(features)


def _accuracy(features, train=20):
    """Nearest class mean, in units of each feature's spread; [10, 30, n] given."""
    spread = features[:, :train].std((0, 1)) + 1e-6
    means = features[:, :train].mean(1) / spread
    tests = features[:, train:] / spread
    distance = ((tests[:, :, None] - means) ** 2).sum(-1)
    return (distance.argmin(-1) == np.arange(len(features))[:, None]).mean()


@pytest.mark.slow
def test_styles_are_told_apart_by_texture_and_not_by_mean_colour():
    images = [[paint(s, (0, i), 128) for i in range(30)] for s in STYLES]
    texture = _accuracy(np.array([[_texture(x) for x in row] for row in images]))
    color = _accuracy(np.array([[x.mean((0, 1)) for x in row] for row in images]))
    print(f"texture {texture:.3f}, mean colour {color:.3f}, chance 0.1")
    assert texture > 0.8
    assert color < 0.45


def test_two_that_paint_one_folder_at_once_leave_it_whole(tmp_path):
    program = "from jaxart.data.procedural import main; main()"
    words = [f"--out={tmp_path / 'set'}", "--images_per_style=2", "--size=32"]
    processes = [
        subprocess.Popen([sys.executable, "-c", program, *words], cwd=ROOT)
        for _ in range(3)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert len(list((tmp_path / "set").rglob("*.jpg"))) == 2 * len(STYLES)


def test_the_first_of_two_writers_stays(tmp_path, monkeypatch):
    """Who comes later takes the same folder for its own, and refuses another."""
    fill = procedural._fill

    def slow(folder, *settings, other_seed):
        fill(folder, *settings)
        monkeypatch.setattr(procedural, "_fill", fill)
        write_folder(tmp_path / "set", 1, other_seed, 32)

    monkeypatch.setattr(procedural, "_fill", functools.partial(slow, other_seed=0))
    write_folder(tmp_path / "set", 1, 0, 32)
    shutil.rmtree(tmp_path / "set")
    monkeypatch.setattr(procedural, "_fill", functools.partial(slow, other_seed=1))
    with pytest.raises(ValueError, match="set exists and holds something other than"):
        write_folder(tmp_path / "set", 1, 0, 32)
