"""The report's numbers, recomputed from predictions.csv by those who know."""

import contextlib
import csv

import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics
from statsmodels.stats.proportion import proportion_confint

from jaxart.data import temperature
from jaxart.report import curves, facts, reading
from jaxart.training import writers
from tests import events
from tests.report.conftest import CLASSES, MAX_STEP, NUM_IMAGES


@pytest.fixture(scope="module")
def numbers(run):
    return facts.of_run(run)


@pytest.fixture(scope="module")
def table(run):
    """Labels, predictions and probabilities, read by nobody of the project."""
    with open(run / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([CLASSES.index(row["label"]) for row in rows])
    predicted = np.array([CLASSES.index(row["predicted"]) for row in rows])
    probabilities = np.array([[float(row[name]) for name in CLASSES] for row in rows])
    return labels, predicted, probabilities


def test_accuracy_with_its_interval_beside_the_majority_class(numbers, table):
    labels, predicted, probabilities = table
    right = int((labels == predicted).sum())
    assert numbers["accuracy"] == metrics.accuracy_score(labels, predicted)
    interval = proportion_confint(right, NUM_IMAGES, method="wilson")
    assert numbers["accuracy_ci95"] == pytest.approx(interval)
    assert numbers["majority"] == {"name": "baroque", "accuracy": 1 / 3}
    scaled = probabilities / probabilities.sum(1, keepdims=True)
    loss = metrics.log_loss(labels, scaled, labels=range(4))
    assert numbers["log_loss"] == pytest.approx(loss, rel=1e-5)


def test_each_class(numbers, table):
    labels, predicted, _ = table
    confusion = metrics.confusion_matrix(labels, predicted, labels=range(4))
    np.testing.assert_array_equal(numbers["confusion"], confusion)
    columns = metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(4), zero_division=np.nan
    )
    for index, row in enumerate(numbers["per_class"]):
        precision, recall, f1, support = (column[index] for column in columns)
        assert row["support"] == support
        for name, value in zip(
            ("precision", "recall", "f1"), (precision, recall, f1), strict=True
        ):
            wanted = None if np.isnan(value) else pytest.approx(value)
            assert row[name] == wanted
        totals = {"precision": confusion.sum(0), "recall": confusion.sum(1)}
        for name in totals:
            count, total = int(confusion[index, index]), int(totals[name][index])
            if total:
                interval = proportion_confint(count, total, method="wilson")
                assert row[f"{name}_ci95"] == pytest.approx(interval)
            else:
                assert row[f"{name}_ci95"] is None


@pytest.mark.parametrize("index", range(3))
def test_the_interval_of_f1_is_the_bootstraps(numbers, table, index):
    labels, predicted, _ = table

    def f1(labels, predicted, axis):
        is_label, is_predicted = labels == index, predicted == index
        both = (is_label & is_predicted).sum(axis)
        return 2 * both / (is_label.sum(axis) + is_predicted.sum(axis))

    wanted = stats.bootstrap(
        (labels, predicted),
        f1,
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=9999,
        rng=np.random.default_rng(1),
    ).confidence_interval
    found = numbers["per_class"][index]["f1_ci95"]
    assert found == pytest.approx(wanted, abs=0.015)


def test_a_class_that_does_not_occur_has_no_interval():
    names = ("a", "b", "c")
    labels = np.array([0, 0, 1])
    found = facts.per_class(
        reading.Table(["x"] * 3, list(names), labels, labels, np.eye(3)[labels])
    )
    assert found[2] == {"name": "c", "support": 0, "predicted": 0} | dict.fromkeys(
        ("precision", "precision_ci95", "recall", "recall_ci95", "f1", "f1_ci95")
    )
    assert found[1]["f1_ci95"] == [1, 1]  # of the resamples in which it occurs


def expected_calibration_error(confidences, is_right):
    error = 0
    for low in range(15):
        chosen = (confidences > low / 15) & (confidences <= (low + 1) / 15)
        if chosen.any():
            gap = is_right[chosen].mean() - confidences[chosen].mean()
            error += chosen.mean() * abs(gap)
    return error


def test_calibration_before_and_after(numbers, table):
    labels, predicted, probabilities = table
    is_right = labels == predicted
    before, after = (
        numbers["calibration"][name]["expected_calibration_error"]
        for name in ("before", "after")
    )
    wanted = expected_calibration_error(probabilities.max(1), is_right)
    assert before == pytest.approx(wanted)
    # Logits of a network that is 4 times too sure.
    assert after < 0.6 * before
    scaled, halves = temperature.cross_fit(np.log(probabilities), labels)
    wanted = expected_calibration_error(scaled.max(1), is_right)
    assert after == pytest.approx(wanted)
    assert numbers["calibration"]["halves"] == halves


def test_a_temperature_has_the_least_loss_and_is_that_of_the_labels():
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(20_000, 5))
    chances = special.softmax(logits / 2.5, axis=1)
    labels = (chances.cumsum(1) > rng.random((len(logits), 1))).argmax(1)
    best = temperature.fit(logits, labels)
    assert best == pytest.approx(2.5, rel=0.03)
    losses = [
        metrics.log_loss(labels, special.softmax(logits / (factor * best), axis=1))
        for factor in (0.99, 1, 1.01)
    ]
    assert losses[1] == min(losses)
    log_probabilities = special.log_softmax(logits, axis=1)
    assert temperature.fit(log_probabilities, labels) == pytest.approx(best, rel=1e-5)


def test_no_image_has_a_part_in_its_own_temperature():
    rng = np.random.default_rng(0)
    logits, labels = 2 * rng.normal(size=(41, 3)), rng.integers(0, 3, 41)
    scaled, halves = temperature.cross_fit(logits, labels)
    is_first, is_second = (
        np.isclose(scaled, special.softmax(logits / other, axis=1)).all(1)
        for other in reversed(halves)
    )
    assert (is_first ^ is_second).all()
    for half, own in ((is_first, halves[0]), (is_second, halves[1])):
        assert temperature.fit(logits[half], labels[half]) == pytest.approx(own)
    for label in range(3):  # each class is in both, but for one image
        counts = [(labels[half] == label).sum() for half in (is_first, is_second)]
        assert abs(counts[0] - counts[1]) <= 1
    assert temperature.cross_fit(logits[:1], labels[:1]) is None


def test_the_rows_that_are_shown(numbers, table):
    labels, predicted, probabilities = table
    confidences = probabilities.max(1)
    wrong = np.flatnonzero(labels != predicted)
    assert len(wrong) > 24
    order = wrong[np.argsort(-confidences[wrong], kind="stable")]
    assert numbers["mistakes"] == order[:24].tolist()
    assert numbers["uncertain"] == np.argsort(confidences, kind="stable")[:24].tolist()
    for label, rows in enumerate(numbers["typical"]):
        of_class = np.flatnonzero((labels == label) & (predicted == label))
        best = of_class[np.argsort(-confidences[of_class], kind="stable")]
        assert rows == best[:6].tolist()


def test_curves_and_data(numbers):
    assert set(numbers["curves"]) == {
        *("train/loss", "train/accuracy", "val/loss", "val/accuracy")
    }
    steps, losses = zip(*numbers["curves"]["val/loss"], strict=True)
    assert steps == tuple(range(0, MAX_STEP + 1, 10))
    assert losses == pytest.approx([2 - step / 50 for step in steps])
    data = numbers["data"]
    assert (data["num_train"], data["num_val"]) == (2, NUM_IMAGES)
    assert (data["num_skipped"], data["num_copies"]) == (1, 1)
    assert data["leaks"] == {"exact": 1, "near": 0, "grey": 0}
    assert data["leaking"][0]["train_path"] == "t.png"
    assert numbers["missing"] == []


@pytest.mark.parametrize("writer", ["tensorboardx", "tensorflow"])
def test_curves_are_those_that_tensorboard_reads(tmp_path, writer):
    with contextlib.closing(writers.create_writer(writer, tmp_path)) as board:
        for step in range(1, 6):
            scalars = {"train/loss": 1 / step, "val/accuracy": step / 7, "other": 1.0}
            board.write_scalars(step, scalars)
    found = curves.read(tmp_path)
    wanted = events.read(tmp_path)
    assert found == {
        tag: list(wanted[tag].items()) for tag in ("train/loss", "val/accuracy")
    }
    file = max(tmp_path.glob("*tfevents*"))
    file.write_bytes(file.read_bytes()[:-3])  # as a killed run leaves it
    assert len(curves.read(tmp_path)["train/loss"]) in (4, 5)
