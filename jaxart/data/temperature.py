"""A network's temperature: what its logits are divided by to say how sure it is.

Guo et al. 2017, "On calibration of modern neural networks". One number changes every
probability and no predicted class.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy import optimize, special

LIMIT = 20.0  # temperatures lie between 1 / LIMIT and LIMIT


def fit(logits: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> float:
    """The temperature with the least negative log likelihood of the labels.

    Log probabilities serve as logits, since they differ by a constant of each row.
    """
    logits = np.asarray(logits, np.float64)
    reach = np.log(LIMIT)
    best = optimize.minimize_scalar(
        lambda log: negative_log_likelihood(logits / np.exp(log), labels),
        bounds=(-reach, reach),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(best.x))


def negative_log_likelihood(
    logits: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]
) -> float:
    """The mean of -ln the probability of each row's label."""
    of_label = logits[np.arange(len(labels)), labels]
    return float((special.logsumexp(logits, axis=1) - of_label).mean())


def cross_fit(
    logits: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"], seed: int = 0
) -> tuple[Float[np.ndarray, "n k"], list[float]] | None:
    """Probabilities at temperatures that their own rows had no part in.

    The rows fall into two halves, each class into both; each half's probabilities are
    at the other's temperature: so what is measured of them does not flatter.

    Returns:
      The probabilities, and the temperatures of the halves; None for fewer than two
      rows.
    """
    if len(labels) < 2:
        return None
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    halves = by_class[::2], by_class[1::2]
    temperatures = [fit(logits[half], labels[half]) for half in halves]
    probabilities = np.empty(logits.shape)
    for half, temperature in zip(halves, reversed(temperatures), strict=True):
        probabilities[half] = special.softmax(logits[half] / temperature, axis=1)
    return probabilities, temperatures
