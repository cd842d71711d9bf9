"""Ask whether probabilities mean what they say, and what a classifier gains by saying "unsure".

Temperature scaling divides all log-odds by one number. It is fitted to galaxies of the label budget
that the network did not learn from, never to test galaxies. It changes no decision at one half.
"""

# R runs, T test galaxies, n labels in a budget, B resamples

from __future__ import annotations

import numpy as np
from astropy.table import Table
from scipy.optimize import minimize_scalar

from galclr_utils import intervals, metrics
from galclr_utils.checks import number
from galclr_utils.label_draws import fit_seed
from galclr_utils.probes import Method

EDGE = 1e-6  # probabilities are kept this far from 0 and 1, where log-odds are infinite
HOTTEST = 20.0  # temperatures are sought between its inverse and this


def log_odds(p_late) -> np.ndarray:
    """Return log(p / (1 - p)), float64, with p kept away from 0 and 1."""
    p = np.clip(np.asarray(p_late, np.float64), EDGE, 1 - EDGE)
    return np.log(p) - np.log1p(-p)


def cooled(p_late, temperature: float) -> np.ndarray:
    """Return probabilities whose log-odds are divided by a temperature: above 1 is less sure.

    >>> cooled([0.5, 0.9], temperature=2.0).round(2)
    array([0.5 , 0.75], dtype=float32)
    """
    temperature = number("temperature", temperature, 0, np.inf, low_open=True)
    return (1 / (1 + np.exp(-log_odds(p_late) / temperature))).astype(np.float32)


def fit_temperature(labels, p_late) -> float:
    """Return the temperature that makes probabilities likeliest (Guo et al. 2017, section 4.2).

    Args:
        labels: (n,) 0 early, 1 late, of labelled galaxies that the classifier did not learn from.
        p_late: (n,) its probabilities of them.
    Returns:
        T in [1/20, 20]; above 1 the classifier was too sure.

    >>> labels = np.tile([0, 1, 1, 1], 50)  # right in three of four cases, and 99% sure
    >>> sure = np.full(200, 0.99)
    >>> round(float(cooled(sure, fit_temperature(labels, sure))[0]), 2)
    0.75
    """
    labels, odds = np.asarray(labels), log_odds(p_late)
    if labels.shape != odds.shape or not len(labels):
        raise ValueError(f"got {labels.shape} labels and {odds.shape} probabilities, expected (n,)")
    wrong_way = np.where(labels == 1, -odds, odds)

    def loss(log_t):
        return np.logaddexp(0, wrong_way / np.exp(log_t)).mean()

    ends = (-np.log(HOTTEST), np.log(HOTTEST))
    return float(np.exp(minimize_scalar(loss, bounds=ends, method="bounded").x))


def held_out(
    method: Method, rows, y, seed: int = 0, draw: int = 0, folds: int = 5, used: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities of labelled galaxies by classifiers that did not learn from them.

    All of it happens inside the budget: the galaxies are cut into parts, each with both types, and
    each part is judged by the method trained on the others.

    Args:
        method: see `probes.Method`.
        rows: (n,) the galaxies of the budget. y: (n,) their labels.
        seed, draw: of the run.
        folds: parts; fewer, where a type has fewer galaxies.
        used: how many of the parts are judged; 0 means all. 1 of 5 is a single hold-out of 20%,
            for methods that are slow to train.
    Returns:
        p_late (m,) and the labels (m,) of those that were judged.
    Raises:
        ValueError: fewer than two galaxies of a type.
    """
    from sklearn.model_selection import StratifiedKFold

    rows, y = np.asarray(rows), np.asarray(y)
    folds = number("folds", folds, 2, 1000, integer=True)
    folds = min(folds, int(np.bincount(y, minlength=2).min()))
    if folds < 2:
        raise ValueError(f"labels: got {np.bincount(y, minlength=2)}, expected 2 of each type")
    parts = StratifiedKFold(folds, shuffle=True, random_state=fit_seed(seed, draw))
    parts = list(parts.split(rows[:, None], y))[: used or folds]
    judged = [method(rows[a], y[a], rows[b], seed, draw) for a, b in parts]
    return np.concatenate(judged), np.concatenate([y[b] for _, b in parts])


def calibration(labels, p_late, seeds, draws, n_resamples: int = 1000) -> dict:
    """Return the calibration error and the Brier score of a method's runs.

    The Brier score is the mean squared distance of probability and truth (Brier 1950, for one
    class): 0 is perfect, 0.25 is what always saying one half costs. It rewards being right and
    being calibrated at once.

    A finite test set gives even perfect probabilities a calibration error above 0. How much is
    found by drawing the labels from the probabilities themselves: ``ece_chance``.

    Args:
        labels: (T,) 0 early, 1 late.
        p_late: (R, T) probabilities, one row a run. seeds, draws: (R,) of the runs.
        n_resamples: B, of the interval.
    Returns:
        ece, ece_chance (means over the runs; see `metrics.scores`); brier, brier_low, brier_high
        (95% interval over seeds, draws and galaxies, as `intervals.bootstrap`); log_loss.
    """
    labels, p = np.asarray(labels), np.asarray(p_late, np.float64)
    random = np.random.default_rng(0)
    imagined = [(np.int8(random.random(p.shape[1]) < own), own) for own in p for _ in range(20)]
    squares = (p - labels) ** 2
    curve = intervals.resample(
        lambda weight: {"brier": squares @ weight.T / weight.sum(axis=1)},
        seeds,
        draws,
        len(labels),
        n_resamples,
    )
    found = intervals.central_95(curve["brier"])
    likely = np.where(labels == 1, p, 1 - p).clip(EDGE)
    return {
        "ece": float(np.mean([metrics.scores(labels, own)["ece"] for own in p])),
        "ece_chance": float(np.mean([metrics.scores(y, own)["ece"] for y, own in imagined])),
        "brier": found["mean"],
        "brier_low": found["low"],
        "brier_high": found["high"],
        "log_loss": float(-np.log(likely).mean()),
    }


def reliability(labels, p_late, n_bins: int = 10) -> Table:
    """Return, bin by bin of probability, how often the galaxies are late.

    Args:
        labels: (T,) 0 early, 1 late. p_late: (R, T) or (T,); the runs are put together.
        n_bins: equal bins between 0 and 1.
    Returns:
        Rows p (mean probability), late (share), low, high (95%, Wilson's interval for the number
        of galaxies in one run), n (galaxies, mean over runs); bins without a galaxy are left out.

    >>> found = reliability([0, 1, 1, 1], [0.1, 0.7, 0.9, 0.8], n_bins=2)
    >>> found["p"].round(2).tolist(), found["late"].tolist(), found["n"].tolist()
    ([0.1, 0.8], [0.0, 1.0], [1.0, 3.0])
    """
    p = np.atleast_2d(np.asarray(p_late, np.float64))
    labels = np.broadcast_to(np.asarray(labels), p.shape)
    n_bins = number("n_bins", n_bins, 1, 1000, integer=True)
    place, rows = np.minimum((p * n_bins).astype(int), n_bins - 1), []
    for k in range(n_bins):
        inside = place == k
        if inside.any():
            n, share = inside.sum() / len(p), labels[inside].mean()
            low, high = wilson(share, n)
            rows.append((p[inside].mean(), share, low, high, n))
    return Table(rows=rows, names=("p", "late", "low", "high", "n"))


def wilson(share, n, z: float = 1.96) -> tuple:
    """Return the 95% interval of a share of n (Wilson 1927): inside [0, 1], also at its ends.

    >>> tuple(round(float(x), 3) for x in wilson(1.0, 10))
    (0.722, 1.0)
    """
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)


def risk_coverage(labels, p_late) -> tuple[np.ndarray, np.ndarray]:
    """Return how often a method is right on the galaxies that it is surest of.

    Args:
        labels: (T,). p_late: (R, T) or (T,), one row a run.
    Returns:
        The share of galaxies classified, (T,) from 1/T to 1, and the accuracy on them, the mean
        over runs, (T,). (One minus it is the risk of El-Yaniv & Wiener 2010.)

    >>> risk_coverage([1, 1, 0, 1], [0.9, 0.8, 0.7, 0.6])[1].round(2)
    array([1.  , 1.  , 0.67, 0.75])
    """
    p = np.atleast_2d(np.asarray(p_late, np.float64))
    right = (p > 0.5) == (np.asarray(labels) == 1)
    order = np.argsort(-np.abs(p - 0.5), axis=1, kind="stable")
    sorted_right = np.take_along_axis(right, order, axis=1)
    number_of = np.arange(1, p.shape[1] + 1)
    return number_of / p.shape[1], (sorted_right.cumsum(axis=1) / number_of).mean(axis=0)


def area_covered(labels, p_late, seeds, draws, n_resamples: int = 300) -> dict:
    """Return the area under accuracy against coverage, with its 95% interval.

    It is the mean accuracy when a random share of the galaxies is left to a person: 1 is perfect,
    and a method whose sureness is worth nothing has its plain accuracy.

    Args:
        labels: (T,). p_late: (R, T). seeds, draws: (R,) of the runs.
        n_resamples: B.
    Returns:
        mean, low, high.
    """
    p = np.atleast_2d(np.asarray(p_late, np.float64))
    right = (p > 0.5) == (np.asarray(labels) == 1)
    order = np.argsort(-np.abs(p - 0.5), axis=1, kind="stable")

    def areas(weight):
        found = np.empty((len(p), len(weight)))
        for run, (good, by) in enumerate(zip(right, order, strict=True)):
            own = weight[:, by].astype(np.float64)
            seen = own.cumsum(axis=1)
            accuracy = (own * good[by]).cumsum(axis=1) / np.maximum(seen, 1e-9)
            found[run] = (own * accuracy).sum(axis=1) / seen[:, -1]
        return {"area": found}

    curve = intervals.resample(areas, seeds, draws, p.shape[1], n_resamples)
    return intervals.central_95(curve["area"])
