"""The command, the end of a training, and runs that lack what today's have."""

import csv
import hashlib
import json
import shutil

import numpy as np
import pytest
from scipy import special

import jaxart
from jaxart.report import pictures, reading, writing
from tests.report.conftest import CLASSES

# ml_collections imports files in a way that Python means to give up.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")


def test_one_run(run, run_command):
    (run / "report.html").unlink(missing_ok=True)
    assert run_command("report", run) == (0, f"{run / 'report.html'}\n", "")
    assert (run / "report.html").read_text().count("<h1>tiny</h1>") == 1


def test_several_runs(run, better, run_command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_command("report", run, better)[:2] == (0, "report.html\n")
    assert "2 runs" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "which run? jaxart report RUN [RUN ...]"),
        (("{empty}",), "{empty}: no run of `jaxart train` (config.json is missing)"),
        (("{begun}",), "{begun}: the run has no predictions yet (predictions.csv is"),
        (("{run}", "--otu=x"), "unknown flag --otu; did you mean --out?"),
        (("{run}", "{run}", "--image_root=x"), "--image_root is for one run: a page"),
        (("{run}", "{empty}"), "{empty}: no run of `jaxart train`"),
    ],
)
def test_refusals(run, tmp_path, run_command, words, message):
    places = {name: tmp_path / name for name in ("empty", "begun")} | {"run": run}
    for name in ("empty", "begun"):
        places[name].mkdir()
    (places["begun"] / "config.json").write_text("{}")
    status, out, error = run_command(*("report", *(w.format(**places) for w in words)))
    assert (status, out) == (1, "")
    assert error.startswith(f"jaxart: {message.format(**places)}")


def test_a_run_that_lacks_what_todays_have_is_reported_all_the_same(run, tmp_path):
    for name in ("config.json", "predictions.csv"):
        shutil.copy(run / name, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["val_data"] = str(tmp_path / "gone")
    (tmp_path / "config.json").write_text(json.dumps(config))
    text = writing.write(tmp_path).read_text()
    for missing in (
        "result.json: the run did not end",
        "curves: there are no event files",
        "pictures: they cannot be read",
    ):
        assert missing in text
    assert "<svg" in text  # of the calibration

    text = writing.write(tmp_path, image_root=run.parent / "pictures").read_text()
    assert "pictures: they cannot be read" not in text
    assert "maps: the network cannot be loaded" in text


def test_small_cells_show_all_and_large_ones_what_is_left(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PICTURES", 8)
    monkeypatch.setattr(pictures, "MAX_IN_CELL", 5)
    labels = np.array([0] * 7 + [1] * 2 + [2])
    confidences = np.linspace(0.5, 0.9, 10)
    probabilities = np.eye(3)[labels] * confidences[:, None]
    table = reading.Table(["x"] * 10, list("abc"), labels, labels, probabilities)
    assert sorted(pictures.of_matrix(table)) == [2, 3, 4, 5, 6, 7, 8, 9]
    monkeypatch.setattr(pictures, "MAX_PICTURES", 5)
    assert sorted(pictures.of_matrix(table)) == [5, 6, 7, 8, 9]


@pytest.fixture(scope="module")
def trained(paintings, tmp_path_factory):
    """A run of the Python face, on 3 styles of 7 pictures."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    jaxart.train(
        "demo",
        workdir,
        model="tinynet",
        train_data=str(paintings),
        val_fraction=2 / 7,
        num_epochs=2,
        batch_size=4,
        cache_dir=str(workdir.parent / "cache"),
    )
    return workdir


def test_a_training_leaves_a_report_a_temperature_and_what_it_was_made_with(
    trained, paintings
):
    assert "Missing from this report" not in (trained / "report.html").read_text()
    result = json.loads((trained / "result.json").read_text())
    table = reading.read(trained).table
    assert 1 / 20 < result["temperature"] < 20
    assert result["versions"]["jaxart"] == jaxart.__version__
    assert {"python", "jax", "numpy"} <= result["versions"].keys()
    assert len(table.names) == 6
    with open(trained / "training_images.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15 and not {row["path"] for row in rows} & set(table.names)
    for row in rows:
        content = (paintings / row["path"]).read_bytes()
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert len(row["phash"]) == 64


def test_a_report_that_fails_does_not_fail_the_training(tmp_path, caplog):
    assert writing.write_after_training(tmp_path / "none", 1) is None
    assert "no report.html: ReportError" in caplog.text


def test_one_of_several_processes_does_not_load_the_network(better, monkeypatch):
    monkeypatch.setattr(writing, "_load", None)
    text = writing.write_after_training(better, 2).read_text()
    assert "maps: `jaxart report` with this run" in text


def test_predict_knows_the_runs_own_images(trained, paintings, run_command, tmp_path):
    out = tmp_path / "all.csv"
    words = ("predict", f"--workdir={trained}", f"--images={paintings}")
    status, printed, _ = run_command(*words, f"--out={out}")
    others = json.loads((trained / "result.json").read_text())["val_accuracy"]
    assert status == 0
    metrics = json.loads((tmp_path / "all.metrics.json").read_text())
    assert metrics["trained_on"] == 15
    assert metrics["accuracy_of_others"] == pytest.approx(others)
    low, high = metrics["accuracy_of_others_ci95"]
    assert low < others < high
    _, seen, accuracy, of_others, *_ = printed.splitlines()
    assert seen == "training has seen 15 of them"
    assert accuracy.endswith("of 21 labelled images")
    assert of_others == (
        f"accuracy {others:.4f} (95 % interval {low:.4f} to {high:.4f}) of the 6 that "
        "training has not seen"
    )

    # Under another name, without a label; and images that are new.
    alone = tmp_path / "alone"
    alone.mkdir()
    with open(trained / "training_images.csv", newline="") as file:
        name = next(csv.DictReader(file))["path"]
    shutil.copy(paintings / name, alone / "new name.png")
    words = ("predict", f"--workdir={trained}", f"--images={alone}")
    _, printed, _ = run_command(*words, f"--out={tmp_path / 'one.csv'}")
    assert printed.endswith("\ntraining has seen 1 of them\n")
    (alone / "new name.png").write_bytes(
        (paintings / reading.read(trained).table.names[0]).read_bytes()
    )
    _, printed, _ = run_command(*words, f"--out={tmp_path / 'one.csv'}")
    assert "training has seen" not in printed
    assert not (tmp_path / "one.metrics.json").exists()


def test_predict_on_the_runs_own_images_alone(
    trained, paintings, run_command, tmp_path
):
    with open(trained / "training_images.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    labelled = tmp_path / "own_list.csv"
    lines = [f"{row['path']},{row['path'].split('/')[0]}" for row in rows[:3]]
    lines.append(f"{rows[3]['path']},")  # not known: no part of any accuracy
    labelled.write_text("\n".join(["path,label", *lines]))
    words = ("predict", f"--workdir={trained}", f"--images={labelled}")
    words += (f"--image_root={paintings}", f"--out={tmp_path / 'own.csv'}")
    _, printed, _ = run_command(*words)
    assert printed.splitlines()[1] == "training has seen 4 of them"
    assert "\ntraining has seen all of them: it says nothing of others\n" in printed
    metrics = json.loads((tmp_path / "own.metrics.json").read_text())
    assert (metrics["count"], metrics["trained_on"]) == (3, 3)
    assert metrics["accuracy_of_others"] is metrics["accuracy_of_others_ci95"] is None


def test_predict_calibrated(trained, paintings, run_command, tmp_path):
    tables, losses = {}, {}
    for name, flags in (("plain", ()), ("calibrated", ("--calibrated",))):
        out = tmp_path / f"{name}.jsonl"
        words = ("predict", f"--workdir={trained}", f"--images={paintings}")
        assert run_command(*words, f"--out={out}", *flags)[0] == 0
        tables[name] = [
            json.loads(line)["top"] for line in out.read_text().splitlines()
        ]
        metrics = json.loads(out.with_name(f"{name}.metrics.json").read_text())
        losses[name] = metrics["log_loss"]
    temperature = json.loads((trained / "result.json").read_text())["temperature"]
    for plain, calibrated in zip(*tables.values(), strict=True):
        assert [top["name"] for top in plain] == [top["name"] for top in calibrated]
        scaled = np.array([top["logit"] for top in plain]) / temperature
        np.testing.assert_allclose([top["logit"] for top in calibrated], scaled, 1e-5)
        np.testing.assert_allclose(
            [top["probability"] for top in calibrated], special.softmax(scaled), 1e-4
        )
    assert losses["plain"] != pytest.approx(losses["calibrated"], rel=0.01)


def test_calibrated_needs_a_temperature(run, paintings, run_command, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(run, old)
    (old / "result.json").unlink()
    words = (f"--workdir={old}", f"--images={paintings}", f"--out={tmp_path}/x.csv")
    status, _, error = run_command("predict", *words, "--calibrated")
    assert status == 1
    assert f"jaxart: {old}: has no temperature. A run of `jaxart train` has" in error
    assert len(CLASSES) == 4 and run_command("predict", *words)[0] == 0
