"""A run whose files are broken: one line with the file's name, from every command."""

import csv
import json
import shutil

import pytest

from tests.report.conftest import make_run

COMMANDS = {
    "predict": "predict --workdir={run} --images={images} --out={out}/t.csv",
    "saliency": "saliency --workdir={run} --images={images} --save=npy --out={out}",
    "export": "export --workdir={run} --out={out}/a.npy",
    "report": "report {run} --out={out}/report.html",
    "push": "push {run} owner/name --dry_run={out}/push",
    "app": "app {run} --no_browser",
}
ALL = tuple(COMMANDS)
READERS = {
    "config.json": ALL,
    "result.json": ALL,
    "predictions.csv": ("report", "push"),
    "skipped.csv": ("report", "push"),
    "training_images.csv": ("report", "push", "predict"),
}
BROKEN = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 3],
    "no text": lambda content: b"\xff\xfe\x00" + content[:9],
    "a list": lambda content: b"[1, 2]",
}
WRONG = {
    "config.json": [
        {"model": 3},
        {"model": "resnet"},
        {"network": []},
        {"network": {"classes": 3, "preprocessing": 0, "hidden": []}},
        {"network": {"classes": ["a"], "preprocessing": 0, "hidden": ["x"]}},
        {"network": {}},
        {"train_layers": "fc8"},
        {"resize": None},
    ],
    "result.json": [{"temperature": "hot"}, {"temperature": [1]}, {"temperature": -1}],
}
CASES = [
    *((file, how) for file in READERS for how in BROKEN),
    *((file, json.dumps(fields)) for file in WRONG for fields in WRONG[file]),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "tiny")


def changed(content, fields):
    return json.dumps(json.loads(content) | json.loads(fields)).encode()


@pytest.mark.parametrize(("file", "how"), CASES)
def test_a_broken_file_is_named(file, how, whole, paintings, run_command, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    content = (run / file).read_bytes()
    broken = BROKEN.get(how, lambda text: changed(text, how))
    (run / file).write_bytes(broken(content))
    readers = READERS[file] if how in BROKEN else ("predict", "export")
    for name in readers:
        words = COMMANDS[name].format(run=run, images=paintings, out=tmp_path / "out")
        status, printed, said = run_command(*words.split())
        last = said.splitlines()[-1]
        assert (status, printed) == (1, "") and "Traceback" not in said
        assert last.startswith(f"jaxart: {run / file}: damaged: "), last


def test_names_that_look_like_formulas_come_back(
    whole, paintings, run_command, tmp_path
):
    """From predict's tables, read again as lists."""
    picture = next(paintings.rglob("*.png")).read_bytes()
    names = ["=cmd.jpg", "-x.jpg", "'=y.jpg", "=y.jpg", "@z.png", "a.png"]
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(picture)
    (tmp_path / "in" / "+broken.png").write_bytes(b"no picture")
    (tmp_path / "in" / "classes.txt").write_text("0 a\n")
    images, outs = tmp_path / "in", [tmp_path / "one.csv", tmp_path / "two.csv"]
    for out in outs:
        words = [f"--workdir={whole}", f"--images={images}", f"--out={out}"]
        root = [f"--image_root={tmp_path / 'in'}"] * (images != tmp_path / "in")
        assert run_command("predict", *words, *root)[0] == 0
        images = out
    for out in outs:
        with out.open(newline="") as file:
            cells = [row["path"] for row in csv.DictReader(file)]
        assert sorted(cell.removeprefix("'") for cell in cells) == sorted(names)
        assert not [cell for cell in cells if cell[0] in "=-+@"]
    with (tmp_path / "one.skipped.csv").open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["'+broken.png"]
