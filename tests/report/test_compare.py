"""Runs beside each other: the tests of statsmodels, and what the page says of them."""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from jaxart.report import compare, reading


@pytest.mark.parametrize(
    ("both", "only_a", "only_b", "neither"),
    [(30, 5, 5, 10), (30, 14, 2, 4), (0, 9, 0, 0), (7, 0, 0, 3), (400, 60, 90, 50)],
)
def test_mcnemar_and_the_paired_bootstrap(both, only_a, only_b, neither):
    a = np.repeat([True, True, False, False], (both, only_a, only_b, neither))
    b = np.repeat([True, False, True, False], (both, only_a, only_b, neither))
    found = compare.difference(a, b)
    wanted = mcnemar([[both, only_a], [only_b, neither]], exact=True).pvalue
    assert found["p"] == pytest.approx(wanted)
    assert found["difference"] == pytest.approx(a.mean() - b.mean())
    assert (found["only_a"], found["only_b"]) == (only_a, only_b)
    rows = np.random.default_rng(1).integers(0, len(a), (10_000, len(a)))
    drawn = a[rows].mean(1) - b[rows].mean(1)
    wanted = np.percentile(drawn, (2.5, 97.5))
    assert found["difference_ci95"] == pytest.approx(wanted, abs=1.5 / len(a))


@pytest.mark.parametrize("values", [[], [0.2], [0.01, 0.04, 0.03], [0.5, 0.001, 0.9]])
def test_holm(values):
    wanted = multipletests(values, method="holm")[1].tolist() if values else []
    assert compare.holm(values) == pytest.approx(wanted)


def test_nobody_calls_a_tie_a_win(run, better):
    runs = [reading.read(path) for path in (run, better, run)]
    first, tie, last = compare.pairs(runs, ["tiny", "better", "tiny again"])
    assert first["same_list"] and first["difference"] < 0
    assert (first["better"], first["sentence"]) == (1, "better is better")
    assert (tie["better"], tie["sentence"]) == (None, "no difference is shown")
    assert (tie["only_a"], tie["only_b"], tie["p"]) == (0, 0, 1)
    assert last["better"] == 1 and last["difference"] > 0


def test_the_order_of_a_list_does_not_matter_but_its_images_do(run, better):
    tables = [reading.read(path).table for path in (run, better)]
    order = np.random.default_rng(0).permutation(len(tables[1].names))
    shuffled = reading.Table(
        [tables[1].names[i] for i in order],
        tables[1].class_names,
        *(column[order] for column in tables[1][2:]),
    )
    wanted, found = (compare.align(tables[0], table) for table in (tables[1], shuffled))
    for right, other in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(right, other)
    fewer = reading.Table(
        shuffled.names[1:], shuffled.class_names, *(x[1:] for x in shuffled[2:])
    )
    assert compare.align(tables[0], fewer) is None
