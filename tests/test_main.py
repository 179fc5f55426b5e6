"""The command line, as a user types it."""

import json
import os
import subprocess
import sys

import pytest

from tests import ROOT


def jaxart(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "jaxart.main", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )


def test_a_run_from_the_command_line_prints_its_result(tmp_path, paintings):
    rows = [f"{path} {path.parent.name}\n" for path in sorted(paintings.glob("*/*"))]
    (tmp_path / "train.txt").write_text("".join(rows[:6] + rows[7:13] + rows[14:]))
    (tmp_path / "val.txt").write_text("".join(rows[5:8]))
    done = jaxart(
        "--config=configs/demo.py",
        f"--workdir={tmp_path / 'run'}",
        f"--config.train_data={tmp_path / 'train.txt'}",
        f"--config.val_data={tmp_path / 'val.txt'}",
        f"--config.cache_dir={tmp_path / 'cache'}",
        "--config.hidden=8",
        "--config.train_layers=fc6,fc8",
        "--config.num_epochs=1",
        "--config.batch_size=8",
        "--config.writer=tensorboardx",
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result == json.loads((tmp_path / "run" / "result.json").read_text())
    assert "JAX runs on cpu: 1 device(s)" in done.stderr
    assert "every layer starts from random parameters" in done.stderr
    assert "| fc6/kernel   | (9216, 8)        | 73,728  | yes     |" in done.stderr
    assert "epoch 1: validation accuracy" in done.stderr
    assert result["leaks"] == {"exact": 2, "near": 0, "grey": 0}
    assert "2 of 3 validation images are training images too" in done.stderr
    leaked = (tmp_path / "run" / "leaks.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in leaked] == [
        rows[i].split()[0] for i in (5, 7)
    ]
    assert "orbax" not in done.stderr  # its chatter is off


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.wieghts=x", "unknown config field 'wieghts'; did you mean 'wei"),
        ("--config.weights=none", "none: no such weight file; `jaxart convert`"),
        ("--config.train_data=none", "none: no such folder, image or list file"),
    ],
)
def test_errors_are_one_sentence(tmp_path, paintings, flag, message):
    given = ["--config=demo", f"--workdir={tmp_path / 'run'}"]
    done = jaxart(*given, f"--config.train_data={paintings}", flag)
    assert done.returncode == 1
    assert f"jaxart: {message}" in done.stderr
    assert "Traceback" not in done.stderr
