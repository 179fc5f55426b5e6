import contextlib
import dataclasses
import importlib.util
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from PIL import Image, ImageColor

from benchmarks import __main__ as command
from benchmarks import (
    copies,
    curation,
    flops,
    gpu,
    growth,
    leaky_split,
    machine,
    material,
    mutated,
    outcomes,
    page,
    plot,
    report,
    runner,
    scaling,
)
from benchmarks.workloads import WORKLOADS, Call, Workload
from jaxart.data import procedural
from jaxart.models import VGG16, VGG19, AlexNet, CaffeNet
from tests import ROOT

GIGA = 1e9


def result(*seconds, memory=1e6, **more):
    return {"seconds": {"work": seconds}, "peak_memory_bytes": memory} | more


# 10 images of 1 GFLOP; a peer that is faster in one round, another that never is.
WORKLOAD = Workload(
    title="ten images",
    ours=Call("ours", {}),
    peers={"plain": Call("plain", {}), "compiled": Call("compiled", {})},
    items={"work": 10, "not measured": 10},
    flops=GIGA,
)
ROUNDS = [
    {
        "product": {"seconds": {"product": [runner.PRODUCT_FLOPS / rate / GIGA]}},
        "ours": result(ours, 9.0, ours, memory=memory, check=[1.0, -2.0]),
        "plain": result(plain, check=[1.0, -2.1]),
        "compiled": result(20.0),
    }
    for rate, ours, memory, plain in [
        (20, 1, 7e6, 2.0),
        (10, 2, 3e6, 1),
        (20, 1, 5e6, 3),
    ]
]


TAKEN = {"steal": 0.25, "others": 0.5}


@pytest.fixture
def a_report():
    return report.make(
        *("w9", WORKLOAD, ROUNDS),
        taken=TAKEN,
        left_out={"other": "no compiler"},
    )


def test_medians_within_rounds_and_over_them():
    summary = runner.summarize(WORKLOAD, ROUNDS)
    assert list(summary["measures"]) == ["work"]
    work = summary["measures"]["work"]
    assert work["seconds"] == {"ours": 1, "plain": 2, "compiled": 20}
    assert work["best_peer"] == "plain"
    assert work["ratios"]["plain"] == 2  # of 2, 0.5 and 3, round by round
    assert work["share_of_product_rate"] == pytest.approx(0.5)
    assert summary["product_flops_per_second"] == pytest.approx(20 * GIGA)
    assert summary["peak_memory_bytes"] == {"ours": 7e6, "plain": 1e6, "compiled": 1e6}
    assert summary["agreement"] == {"plain": pytest.approx(0.05)}


def test_without_a_peer_there_is_no_ratio():
    alone = dataclasses.replace(WORKLOAD, peers={}, flops=0)
    work = runner.summarize(alone, ROUNDS)["measures"]["work"]
    assert work["ratios"] == {}
    assert work["best_peer"] is work["share_of_product_rate"] is None


def test_sides_run_in_turn():
    order = []

    class Side:
        def __init__(self, call):
            self.name = call.function

        def __enter__(self):
            return self

        def __exit__(self, *_):
            ended.append(self.name)

        def ask(self):
            order.append(self.name)
            return result(1.0)

    ended = []
    rounds = runner.run_rounds(WORKLOAD, 2, open_side=Side, say=order.append)
    assert sorted(ended) == ["compiled", "matmul:run", "ours", "plain"]
    called = [name for name in order if not name.startswith("  round")]
    assert called == 2 * ["matmul:run", "ours", "plain", "compiled"]
    assert list(rounds[1]) == ["product", "ours", "plain", "compiled"]


def test_slow_peers_run_once():
    seconds = {"matmul:run": 1, "ours": 1, "plain": 4, "compiled": 6, "slow": 6.1}
    peers = {name: Call(name, {}) for name in ("plain", "compiled", "slow")}
    workload = dataclasses.replace(WORKLOAD, peers=peers)

    class Side(contextlib.nullcontext):
        def ask(self):
            name = self.enter_result.function
            measure = "product" if name == "matmul:run" else "work"
            return {"seconds": {measure: [seconds[name]]}, "peak_memory_bytes": 1e6}

        def __enter__(self):
            return self

    rounds = runner.run_rounds(workload, 3, open_side=Side, say=lambda line: None)
    assert [list(found) for found in rounds] == [
        ["product", "ours", "plain", "compiled", "slow"],
        *(2 * [["product", "ours", "plain", "compiled"]]),
    ]
    made = report.make("w9", workload, rounds, taken=TAKEN, left_out={})
    assert made["summary"]["measures"]["work"]["seconds"]["slow"] == 6.1
    assert made["summary"]["measures"]["work"]["best_peer"] == "plain"
    assert "slow in the first round, and not asked again: slow" in report.notes(made)


def test_a_peer_that_is_best_in_one_measure_goes_on():
    first = {
        "plain": {"seconds": {"total": [1.0], "later": [9.0]}},
        "compiled": {"seconds": {"total": [9.0], "later": [1.0]}},
        "slow": {"seconds": {"total": [2.0], "later": [2.0]}},
    }
    workload = dataclasses.replace(WORKLOAD, peers=dict.fromkeys(first, Call("", {})))
    assert runner.slow_peers(workload, first) == ["slow"]


def test_the_table_has_every_side_and_what_must_be_known(a_report):
    ours, plain, compiled, *said = report.table([a_report]).splitlines()[2:]
    assert ours.split() == "ours 1.000 10 7 50%".split()
    assert plain.split() == "plain (best) 2.000 5 2.00 1".split()
    assert compiled.split() == "compiled 20.000 0.5 20.00 1".split()
    said = "\n".join(said)
    assert "matmul 20 GFLOP/s; 3 round(s)" in said
    assert "the host took 25%, other programs 50%" in said
    assert "left out: other: no compiler" in said
    assert "WARNING: plain's results differ from ours by 5.0%" in said


def test_the_file_holds_raw_seconds_and_the_machine(a_report, tmp_path):
    path = report.write(tmp_path / "results", a_report)
    assert path.name == "w9.json"
    read = json.loads(path.read_text())
    assert read["rounds"][1]["ours"]["seconds"]["work"] == [2, 9, 2]
    assert read["steal"] == 0.25
    assert read["machine"]["cores"] > 0
    assert read["versions"]["jax"]
    assert read["summary"]["measures"]["work"]["ratios"]["plain"] == 2


def test_the_readme_shows_the_results_that_lie_beside_it():
    reports = report.read(report.RESULTS)
    assert len(reports) == len(list(report.RESULTS.glob("w*.json"))) > 0
    assert report.markdown(reports) in (runner.ROOT / "README.md").read_text()


def test_the_readme_shows_the_figures_of_a_gpu():
    result = json.loads((report.RESULTS / "gpu.json").read_text())
    assert gpu.markdown(result) in (runner.ROOT / "README.md").read_text()


def test_a_row_for_each_measure_with_a_peer(a_report):
    alone = report.make(
        *("w8", dataclasses.replace(WORKLOAD, peers={}), ROUNDS),
        taken=TAKEN,
        left_out={},
    )
    *_, row = report.markdown([alone, a_report]).splitlines()[1:]
    assert row == (
        "| ten images | 10 images/s, 0.007 GB, 50% of matmul "
        "| plain: 5 images/s, 0.001 GB | **2.00** | compiled 20.00 |"
    )


def test_time_that_was_not_ours():
    start, end = machine.Clock(100, 10, 50, 7), machine.Clock(120, 15, 60, 9)
    assert start.taken(end) == {"steal": 0.25, "others": 0.4}
    assert start.taken(start) == {"steal": None, "others": None}


def test_clock_runs():
    start = machine.Clock.now()
    sum(range(10**7))
    assert machine.Clock.now().total > start.total > start.busy > start.own


def test_work_of_the_networks():
    assert flops.forward(AlexNet(), "fc6") == pytest.approx(1.407e9, rel=1e-3)
    assert flops.forward(CaffeNet()) == flops.forward(AlexNet())
    assert flops.forward(VGG16()) == pytest.approx(30.94e9, rel=1e-3)
    assert flops.forward(VGG19()) == pytest.approx(39.26e9, rel=1e-3)


@pytest.mark.parametrize("model", [AlexNet(), VGG16(num_classes=7, hidden=())])
def test_shapes_are_those_of_the_parameters(model):
    shapes = {name: s.kernel for name, s in flops.layer_shapes(model).items()}
    size = model.preprocessing["size"]
    image = jax.ShapeDtypeStruct((1, size, size, 3), "float32")
    params = jax.eval_shape(model.init, jax.random.key(0), image)["params"]
    assert shapes == {name: params[name]["kernel"].shape for name in params}


def test_line_through_points():
    slope, intercept, explained = plot.fit([1, 2, 3], [5, 7, 9])
    assert (slope, intercept, explained) == pytest.approx((2, 3, 1))
    assert plot.fit([1, 2, 3], [1, 3, 1])[2] == pytest.approx(0)


def test_plot_is_a_picture(tmp_path):
    panel = plot.Panel("growth", "images", "seconds", [1, 2], [3.0, 4.0], 1.0, 2.0)
    plot.draw(tmp_path / "a.png", [panel] * 3)
    picture = Image.open(tmp_path / "a.png")
    assert picture.size == (2 * plot.WIDTH, 2 * plot.HEIGHT)
    assert ImageColor.getrgb(plot.POINT) in {
        color for _, color in picture.getcolors(1 << 20)
    }


def test_help_names_every_workload(capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["--help"])
    assert stop.value.code == 0
    printed = "".join(capsys.readouterr().out.split())
    assert ",".join(WORKLOADS) in printed


@pytest.mark.parametrize("only", ["w2_alexnet", "w5,w3"])
def test_a_missing_peer_is_one_sentence(monkeypatch, only):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="needs torch and captum: pip install") as stop:
        command.main([f"--only={only}"])
    assert "\n" not in str(stop.value)


def test_an_unknown_workload_is_named():
    with pytest.raises(SystemExit, match="no workload 'w7'; there are w1_alexnet, "):
        command.main(["--only=w7"])


@pytest.mark.parametrize(
    ("workload", "peer"), [("w5", "Pillow"), ("w5_profile", "Pillow and ImageCms")]
)
def test_a_quick_run_without_the_peer_library(tmp_path, capsys, workload, peer):
    out = tmp_path / "out"
    command.main(
        [f"--only={workload}", "--quick", "--rounds=1"]
        + [f"--cache_dir={tmp_path / 'cache'}", f"--out={out}"]
    )
    assert f"  {peer} (best)" in capsys.readouterr().out
    read = json.loads((out / f"{workload}.json").read_text())
    assert read["summary"]["agreement"][peer] < runner.AGREE
    assert read["summary"]["peak_memory_bytes"]["ours"] > 1e7


@pytest.fixture
def side_module(tmp_path, monkeypatch):
    """Makes a module of sides of its text, which the processes find."""

    def make(text):
        (tmp_path / "some_sides.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(runner, "SIDES", "")

    return make


SIDES_THAT_COUNT = """
import os

def once():
    return {"seconds": {"work": [0.5]}, "pid": os.getpid()}

def again():
    calls = 0
    while True:
        calls += 1
        yield {"seconds": {"work": [1.0]}, "pid": os.getpid(), "calls": calls}

def stops():
    yield {"seconds": {"work": [1.0]}}
    raise ValueError("enough")
"""


def test_a_generator_keeps_its_process_and_a_function_does_not(side_module):
    side_module(SIDES_THAT_COUNT)
    with runner.Side(Call("some_sides:again", {})) as side:
        answers = [side.ask() for _ in range(3)]
    assert [answer["calls"] for answer in answers] == [1, 2, 3]
    assert len({answer["pid"] for answer in answers}) == 1
    with runner.Side(Call("some_sides:once", {})) as side:
        answers = [side.ask() for _ in range(2)]
    assert len({answer["pid"] for answer in answers}) == 2
    assert answers[0]["peak_memory_bytes"] > 1e6


def test_a_side_that_fails_in_a_later_round_says_why(side_module):
    side_module(SIDES_THAT_COUNT)
    with runner.Side(Call("some_sides:stops", {})) as side:
        assert side.ask()["seconds"] == {"work": [1.0]}
        with pytest.raises(runner.SideError, match="ValueError: enough"):
            side.ask()


def test_a_side_that_fails_says_why():
    with pytest.raises(runner.SideError, match="no_such_file.jpg"):
        runner.run_call(
            Call(
                "decode:pillow",
                {"paths": ["no_such_file.jpg"], "size": 8, "repeats": 1},
            )
        )


def test_growth_is_fitted_and_drawn(monkeypatch, tmp_path):
    calls = []

    def run(call):
        calls.append(call)
        return {"seconds": {"total": [2.0 * len(calls)]}, "peak_memory_bytes": 3e6}

    monkeypatch.setattr(runner, "run_call", run)
    monkeypatch.setattr(material, "random_weights", lambda folder, name: name)
    growth.main(["--quick", f"--cache_dir={tmp_path / 'cache'}", f"--out={tmp_path}"])
    read = json.loads((tmp_path / "growth.json").read_text())["curves"]
    assert [curve["y_name"] for curve in read] == 4 * ["seconds", "peak MB"]
    assert read[0]["x"] == [20, 30]
    assert read[0]["slope"] == pytest.approx(0.2)
    assert read[1]["slope"] == pytest.approx(0, abs=1e-9)
    assert len(calls[0].settings["train_data"].split()) == 1
    with Image.open(tmp_path / "growth.png") as picture:
        assert picture.height == 4 * plot.HEIGHT


def test_curating_is_measured_as_a_command(tmp_path, capsys):
    flags = [f"--cache_dir={tmp_path / 'cache'}", f"--out={tmp_path}", "--counts=3,6"]
    curation.main(flags)
    runs = json.loads((tmp_path / "curation.json").read_text())["runs"]
    assert [run["images"] for run in runs] == [3, 6]
    assert all(run["seconds"] > 0 and run["peak_memory_bytes"] > 1e7 for run in runs)
    assert "     6 images, " in capsys.readouterr().out


def test_how_much_a_leaky_split_flatters(monkeypatch, tmp_path, capsys):
    def train(config, workdir):
        count = len(Path(config.val_data).read_text().splitlines())
        return {"last_val_accuracy": count / 100, "leaks": None}

    made = []

    def curate(source, out, options, metadata):
        made.append((options.split, options.seed))
        out.mkdir()
        count = {"artist": 40, "stratified": 50, "random": 52}[options.split]
        (out / "val.txt").write_text("x 0\n" * (count + 2 * options.seed))
        return {
            "classes": {"a": {}},
            "train": 1,
            "val": 1,
            "artists_on_both_sides": count - 40,
        }

    monkeypatch.setattr(leaky_split, "train_and_evaluate", train)
    monkeypatch.setattr(leaky_split.curation, "curate", curate)
    leaky_split.main(["--weights=w", "--src=s", "--num_seeds=2", f"--out={tmp_path}"])
    assert made == [(kind, seed) for seed in (0, 1) for kind in leaky_split.SPLITS]
    summary = json.loads((tmp_path / "leaky_split.json").read_text())["summary"]
    # Student's 97.5 % point of one degree of freedom is 12.706; the error is 0.01.
    low, high = 0.51 - 0.12706, 0.51 + 0.12706
    assert summary["stratified"]["accuracy"] == pytest.approx([0.51, low, high], 1e-4)
    assert summary["random"]["gain"] == pytest.approx([0.12, 0.12, 0.12])
    assert "| random | 12 | **0.530** (" in capsys.readouterr().out


def test_the_page_on_paintings_shows_the_committed_result():
    path = report.RESULTS / "leaky_split.json"
    summary = json.loads(path.read_text())["summary"]
    assert leaky_split.table(summary) in (runner.ROOT / "docs/paintings.md").read_text()


def test_scaling_compares_divisions_within_rounds(monkeypatch, tmp_path, capsys):
    calls = []

    def run(call):
        calls.append(call.settings)
        work = call.settings["devices"] * call.settings["num_processes"]
        seconds = [1.0, 5.0, 3.0] if work == 1 else [4.0]
        sizes = {"trained": 2_000_000, "moved": 2_000_016 if work > 1 else 0}
        return {"seconds": {"fc8": seconds}, "bytes": {"fc8": sizes}}

    monkeypatch.setattr(scaling, "run_call", run)
    scaling.main(["--quick", "--rounds=2", f"--out={tmp_path}"])
    one_round = [(1, 1, 0), (2, 1, 0), (1, 2, 0), (1, 2, 1)]
    assert sorted(
        (call["devices"], call["num_processes"], call["process_id"]) for call in calls
    ) == sorted(2 * one_round)
    pair = [call for call in calls if call["num_processes"] == 2]
    assert len({call["coordinator"] for call in pair}) <= 2  # one a round
    read = json.loads((tmp_path / "scaling.json").read_text())
    assert len(read["rounds"]) == 2
    # The median of one device's steps is 3 seconds, and a batch has 8 images.
    assert read["summary"]["fc8"]["1 x 1"]["images_per_second"] == pytest.approx(8 / 3)
    assert read["summary"]["fc8"]["2 x 1"]["efficiency"] == pytest.approx(0.75)
    row = "| fc8 | 2 x 1 | 4.000 | 2.0 | 0.75 | 2.000 | 2.000 |"
    assert row in capsys.readouterr().out


@pytest.mark.slow
def test_a_step_that_is_divided_is_measured():
    settings = {"batch_size": 2, "hidden": [8, 8], "repeats": 1}
    found = scaling.measure(scaling.Division(1, 2), settings)
    assert list(found["seconds"]) == ["every layer", "fc7, fc8"]
    sizes = found["bytes"]["fc7, fc8"]
    assert sizes["trained"] == 4 * (8 * 8 + 8 + 8 * 10 + 10)
    # Beside them: the count of examples, and sums of loss and accuracy.
    assert sizes["trained"] < sizes["moved"] <= sizes["trained"] + 64


@pytest.mark.slow
def test_the_gpus_pieces_run_on_any_device(monkeypatch, tmp_path):
    """Ours alone: the peer's packages are not of the tests."""
    monkeypatch.setattr(gpu, "PEERS", ())
    monkeypatch.setattr(gpu, "COMMANDS", ())
    gpu.main(["--smoke", f"--cache_dir={tmp_path / 'cache'}", f"--out={tmp_path}"])
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert [piece["kind"] for piece in result["pieces"]] == [
        *("product", "forward", "maps", "train")
    ]
    for piece in result["pieces"]:
        assert not piece["errors"] and piece["seconds"]["ours"] > 0
    assert max(result["parity"]["alexnet"].values()) < 1e-5  # the CPU, and itself


def test_the_page_is_measured(tmp_path):
    pytest.importorskip("playwright", reason="needs playwright")
    if not any(map(shutil.which, page.BROWSERS)):
        pytest.skip("needs Chromium or Chrome")
    # In a process of its own: Playwright runs once in a thread, and tests have it.
    words = ["--images=40", "--frames=5", "--rounds=2", f"--out={tmp_path}"]
    program = [sys.executable, "-m", "benchmarks.page"]
    subprocess.run([*program, *words], cwd=ROOT, check=True)
    measured = json.loads((tmp_path / "page.json").read_text())
    assert measured["images"] == 40
    assert measured["entries_js_bytes"] > 40 * 100
    assert measured["first_paint_ms"] > 0
    assert measured["first_cards_ms"] > 0
    assert all(value > 0 for value in measured["filter_ms"].values())
    assert measured["scroll"]["frames"] == 6


def test_copies_and_series_of_a_few_paintings(tmp_path, capsys):
    for seed in range(2):
        picture = Image.fromarray(procedural.paint("brush_strokes", seed, 160))
        picture.save(tmp_path / f"{seed}.png")
    copies.main([f"--src={tmp_path}", f"--out={tmp_path}"])
    result = json.loads((tmp_path / "copies.json").read_text())
    assert result["paintings"] == result["coloured"] == 2
    assert result["copies"]["JPEG of quality 50"]["near"] == 1
    assert result["copies"]["black and white"]["grey"] == 1
    turned = result["series"]["hues turned by 90 degrees"]
    assert turned["near"] == turned["grey"] == 0 and turned["differences"][0] > 1
    assert copies.table(result["series"]) in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["copies", "series"])
def test_docs_have_the_last_measurement_of_copies(kind):
    measured = json.loads((report.RESULTS / "copies.json").read_text())[kind]
    assert copies.table(measured) in (runner.ROOT / "docs/paintings.md").read_text()


@pytest.mark.slow
def test_mutated_pictures_stop_no_run(tmp_path, capsys):
    mutated.main(["--number=200", "--seed=7", f"--out={tmp_path}"])
    result = json.loads((tmp_path / "mutated.json").read_text())
    for job in ("predict", "saliency"):
        of = result[f"{job}_mutated"]
        assert of["shown"] + of["skipped"] == 200 and min(of["shown"], of["skipped"])
    assert "saliency_mutated" in capsys.readouterr().out


KEPT = "jaxart: stopped; saved at step 7; the same command goes on"


@pytest.mark.parametrize(
    ("status", "sent", "log", "is_wrong"),
    [
        (0, 0, "", False),
        (1, 0, "jaxart: out: exists", True),
        (-9, signal.SIGKILL, "epoch 1", False),
        (1, signal.SIGKILL, "epoch 1", True),
        (143, signal.SIGTERM, KEPT, False),
        (143, signal.SIGTERM, "jaxart: stopped", True),
        (-15, signal.SIGTERM, "", False),
        (-15, signal.SIGTERM, "epoch 1", True),
        (-15, signal.SIGTERM, "epoch 1\nwritten: out\n", False),
        (0, signal.SIGTERM, "Traceback (most recent call last):", True),
        (None, signal.SIGTERM, KEPT, True),
    ],
)
def test_a_stopped_command_has_a_signals_status_and_says_what_it_keeps(
    status, sent, log, is_wrong
):
    assert bool(outcomes.what_is_wrong(status, sent, log, "written: out")) == is_wrong


def test_what_commands_have_made_differs_by_bits_and_not_by_times(tmp_path):
    made = []
    for folder, content, seconds in (("a", b"0", 1), ("b", b"0", 2), ("c", b"1", 1)):
        path = tmp_path / folder
        path.mkdir()
        (path / "table.csv").write_bytes(content)
        (path / "run.json").write_text(json.dumps({"seconds": seconds, "seed": 0}))
        made.append(outcomes.read_files(path))
    (tmp_path / "c" / "left.tmp").touch()
    made.append(outcomes.read_files(tmp_path / "c"))
    said = [[x.split()[0] for x in outcomes.differences(made[0], x)] for x in made]
    assert said == [[], [], ["table.csv"], ["left.tmp", "table.csv"]]
