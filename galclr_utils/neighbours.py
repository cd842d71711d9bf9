"""Measure what neighbours have in common, against what strangers have.

A sheet of pictures persuades and proves nothing. So the label and any property of a galaxy are
compared with those of its neighbours, over all galaxies, with an interval.
"""

# N galaxies, Q queries, k neighbours, D features, B resamples

from __future__ import annotations

from functools import lru_cache

import numpy as np

from galclr_utils.search import search

RESAMPLES = 500


def agreement(points, labels, k: int = 20, metric: str = "cosine") -> np.ndarray:
    """Return the share of neighbours with the galaxy's own label, among the first 1, 2, ... k.

    Classes count equally: chance is one half for two. Galaxies without a label are nobody's
    neighbours. The intervals are over the query galaxies; those they are found among stay.

    Returns:
        (k, 1 + B), see `mean_curve`.

    >>> angle = np.repeat([0.0, 1.5], 20) + np.linspace(0, 0.1, 40)
    >>> share = agreement(np.stack([np.cos(angle), np.sin(angle)], 1), np.repeat([0, 1], 20), k=5)
    >>> share.shape, float(share[-1, 0])
    ((5, 501), 1.0)
    """
    known = np.flatnonzero(np.asarray(labels) >= 0)
    x, y = np.asarray(points)[known], np.asarray(labels)[known]
    rows = search(x, x, k, np.arange(len(x)), metric)[0]
    share = np.cumsum(y[rows] == y[:, None], axis=1) / np.arange(1, rows.shape[1] + 1)
    return np.array([mean_curve(column, y) for column in share.T])


def difference(points, values, k: int = 10, metric: str = "cosine") -> np.ndarray:
    """Return how much neighbours differ in a property, as a share of how much strangers do.

    The mean absolute difference of a galaxy from its k nearest, over that from all others: 0 if
    neighbours are equal, 1 if they are strangers. Unlike R2 it does not hang on a few outliers.

    Args:
        points: (N, D). values: (N,), those with NaN are left out. k, metric: see `search`.
    Returns:
        (1 + B,), see `mean_curve`; NaN where fewer than three are known or all are equal.

    >>> angle = np.linspace(0, 3, 100)
    >>> circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> bool(difference(circle, angle, k=2)[0] < 0.1)
    True
    """
    values = np.asarray(values, float)
    known = np.flatnonzero(np.isfinite(values))
    x, v = np.asarray(points)[known], values[known]
    if len(v) < 3 or np.ptp(v) == 0:
        return np.full(1 + RESAMPLES, np.nan)
    rows = search(x, x, k, np.arange(len(x)), metric)[0]
    near = np.abs(v[rows] - v[:, None]).mean(axis=1)
    return mean_curve(near, over=from_strangers(v))


def from_strangers(values) -> np.ndarray:
    """Return the mean absolute difference of each value from all others, float64 (N,).

    Args:
        values: (N,), N > 1, without NaN.

    >>> from_strangers([0, 1, 5])
    array([3. , 2.5, 4.5])
    """
    order = np.argsort(values)
    v = np.asarray(values, float)[order]
    below = np.cumsum(v) - v
    above = v.sum() - below - v
    result, n = np.empty(len(v)), np.arange(len(v))
    result[order] = (n * v - below + above - n[::-1] * v) / (len(v) - 1)
    return result


# --- intervals ---------------------------------------------------------------------------------


def mean_curve(values: np.ndarray, groups=None, over=None, n_resamples: int = RESAMPLES):
    """Return a mean over galaxies and its bootstrap resamples, (1 + B,), the mean itself first.

    Curves of the same number of galaxies meet the same resamples, so their difference is paired.

    Args:
        values: (Q,) one a query galaxy.
        groups: (Q,) classes; the mean is then taken in each and averaged over the classes.
        over: (Q,) what to divide by: the ratio of two means. Without groups only.

    >>> mean_curve(np.array([1.0, 1.0, 0.0]), groups=[0, 0, 1])[0]
    np.float64(0.5)
    """
    n = len(values)
    weights, values = resampled(n, n_resamples), np.asarray(values, np.float32)
    groups = np.zeros(n) if groups is None else np.asarray(groups)
    below = np.ones(n, np.float32) if over is None else np.asarray(over, np.float32)
    with np.errstate(invalid="ignore"):  # a resample without one of the classes
        parts = [
            weights @ np.where(groups == g, values, 0) / (weights @ np.where(groups == g, below, 0))
            for g in np.unique(groups)
        ]
    return np.mean(parts, axis=0, dtype=np.float64)


@lru_cache(maxsize=4)
def resampled(n: int, n_resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Return how often each of n is taken: float32 (1 + B, n), ones first; kept to be used again.

    >>> resampled(3, 2).sum(axis=1)
    array([3., 3., 3.], dtype=float32)
    """
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), n_resamples)
    weights = np.vstack([np.ones(n), drawn]).astype(np.float32)
    weights.flags.writeable = False
    return weights
