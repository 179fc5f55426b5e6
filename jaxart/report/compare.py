"""Runs beside each other: whether one is better than another, or nothing shows it.

References:
  McNemar 1947, "Note on the sampling error of the difference between correlated
  proportions or percentages"; here its exact form, a binomial test.
  Holm 1979, "A simple sequentially rejective multiple test procedure".
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool
from scipy import stats

from jaxart.report.reading import RunFolder, Table

LEVEL = 0.05
_NUM_RESAMPLES = 10_000
_SEED = 0


def pairs(runs: Sequence[RunFolder], names: Sequence[str]) -> list[dict[str, Any]]:
    """What each pair of runs, called `names`, shows of a difference in accuracy.

    Returns:
      Of each pair 'names', 'same_list' and, where that is true, what `difference`
      gives, 'p_holm', which is corrected for the number of pairs, 'better' (the number
      of the better run, or None) and 'sentence'.
    """
    compared = []
    for a, b in itertools.combinations(range(len(runs)), 2):
        both = {"runs": [a, b], "names": [names[a], names[b]]}
        right = align(runs[a].table, runs[b].table)
        if right is None:
            both |= {
                "same_list": False,
                "sentence": "their validation lists differ: the accuracies cannot be "
                "compared",
            }
        else:
            both |= {"same_list": True} | difference(*right)
        compared.append(both)
    tested = [both for both in compared if both["same_list"]]
    corrected = holm([both["p"] for both in tested])
    for both, p_holm in zip(tested, corrected, strict=True):
        both |= {"p_holm": p_holm} | _verdict(both, p_holm)
    return compared


def align(
    a: Table, b: Table
) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]] | None:
    """Which images two runs are right on, in one order.

    None where they were not validated on the same images of the same classes.
    """
    listed = []
    for table in (a, b):
        labels = (table.class_names[label] for label in table.labels)
        rows = zip(table.names, labels, table.is_right.tolist(), strict=True)
        listed.append(sorted(rows, key=lambda row: row[:2]))
    if [row[:2] for row in listed[0]] != [row[:2] for row in listed[1]]:
        return None
    a_right, b_right = (np.array([row[2] for row in rows], bool) for rows in listed)
    return a_right, b_right


def difference(
    a_right: Bool[np.ndarray, " n"], b_right: Bool[np.ndarray, " n"]
) -> dict[str, Any]:
    """The difference of two accuracies on the same images.

    Returns:
      'only_a' and 'only_b', on how many images one alone is right; 'difference', a's
      accuracy less b's; 'difference_ci95', by the percentile bootstrap over images;
      'p', of McNemar's exact test.
    """
    count = len(a_right)
    only_a, only_b = (int(x.sum()) for x in (a_right & ~b_right, b_right & ~a_right))
    discordant = only_a + only_b
    p = stats.binomtest(only_a, discordant, 0.5).pvalue if discordant else 1.0
    # Images that are drawn with replacement are right for a alone, b alone, or neither
    # or both, as multinomial counts.
    chances = np.array([only_a, only_b, count - discordant]) / count
    rng = np.random.default_rng(_SEED)
    drawn = rng.multinomial(count, chances, _NUM_RESAMPLES)
    low, high = np.percentile((drawn[:, 0] - drawn[:, 1]) / count, (2.5, 97.5))
    return {
        "count": count,
        "only_a": only_a,
        "only_b": only_b,
        "difference": (only_a - only_b) / count,
        "difference_ci95": [float(low), float(high)],
        "p": float(p),
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """The values as they count among so many tests, in their order."""
    order = np.argsort(p_values, kind="stable")
    corrected, largest = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def _verdict(both: dict[str, Any], p_holm: float) -> dict[str, Any]:
    """A run is better where the test and the interval both say so."""
    low, high = both["difference_ci95"]
    if p_holm >= LEVEL or low <= 0 <= high:
        return {"better": None, "sentence": "no difference is shown"}
    place = int(both["difference"] < 0)
    sentence = f"{both['names'][place]} is better"
    return {"better": both["runs"][place], "sentence": sentence}
