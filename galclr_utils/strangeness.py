"""Rank galaxies by how strange they are, and count how many planted oddities a ranking finds."""

# N galaxies, C bands, H, W pixels, D features, R galaxies of reference, B resamples

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from galclr_utils.checks import number
from galclr_utils.neighbours import RESAMPLES, resampled
from galclr_utils.search import search


def far_from_neighbours(reference, points, k: int = 1, metric: str = "euclidean") -> np.ndarray:
    """Return the distance of each point to its k-th nearest galaxy of reference, float32 (N,).

    Euclidean, since the length of h grows with what the network responds to, and a cosine drops it.

    >>> far_from_neighbours([[0, 0], [1, 0]], [[0, 3], [1, 1]])
    array([3., 1.], dtype=float32)
    """
    return search(points, reference, k, metric=metric)[1][:, -1]


def mahalanobis(reference, points) -> np.ndarray:
    """Return the squared distance from the mean in units of the scatter of a reference, (N,).

    The covariance is shrunk (Ledoit & Wolf 2004), so that few galaxies suffice.

    >>> cloud = np.random.default_rng(0).normal(size=(500, 2)) * [1, 10]
    >>> far = mahalanobis(cloud, [[3, 0], [0, 3]])
    >>> bool(far[0] > far[1])
    True
    """
    from sklearn.covariance import LedoitWolf

    scale = np.std(reference, axis=0) + 1e-12  # shrinking assumes that all columns are of a size
    fit = LedoitWolf().fit(np.asarray(reference, float) / scale)
    return fit.mahalanobis(np.asarray(points, float) / scale)


def isolated(reference, points, seed: int = 0) -> np.ndarray:
    """Return how few random cuts part each point from the others, (N,) (Liu et al. 2008).

    An isolation forest of 100 trees, grown on the galaxies of reference.
    """
    from sklearn.ensemble import IsolationForest

    return -IsolationForest(random_state=seed).fit(reference).score_samples(points)


def roughness(reference: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return how unusual the differences of neighbouring pixels are, (N,).

    The plainest statistic, which knows no galaxies: the logarithm of the rms difference, less its
    median over the reference; of the band where that is farthest from 0, up or down, so that an
    empty band is noticed too.

    Args:
        reference: (R, C, H, W) usual stamps. images: (N, C, H, W).

    >>> noise = np.random.default_rng(0).normal(size=(50, 3, 16, 16))
    >>> rough = roughness(noise, noise[:2] * np.reshape([1, 3], (2, 1, 1, 1)))
    >>> bool(rough[0] < 0.2 < 1 < rough[1])
    True
    """

    def level(stamps):
        x = np.asarray(stamps, np.float32)
        square = sum((np.diff(x, axis=side) ** 2).mean(axis=(2, 3)) for side in (2, 3))
        return np.log(square + 1e-12) / 2

    return np.abs(level(images) - np.median(level(reference), axis=0)).max(axis=1)


RANKINGS = {"nearest": far_from_neighbours, "Mahalanobis": mahalanobis, "forest": isolated}
SCORES = ("auc", "average_precision", "precision_at_k", "recall_at_k")


def ranking(score: Callable, points: np.ndarray, odd: dict[str, np.ndarray]) -> tuple:
    """Return the strangeness of galaxies (N,) and, by kind, of planted oddities, at one go.

    Args:
        score: what returns (n,) for (n, ...), such as ``partial(mahalanobis, reference)``.
        points: (N, ...) galaxies, features or stamps. odd: the same of oddities, by kind.

    >>> ranking(np.ravel, np.array([[1], [2]]), {"merger": np.array([[3]])})
    (array([1, 2]), {'merger': array([3])})
    """
    ends = np.cumsum([len(points), *(len(x) for x in odd.values())])
    all_of_them = score(np.concatenate([points, *odd.values()]))
    first, *rest = np.split(all_of_them, ends[:-1])
    return first, dict(zip(odd, rest, strict=True))


def in_turn(by_kind: dict[str, np.ndarray]) -> np.ndarray:
    """Return one of each galaxy's oddities, the kinds taking turns: first, second, ...

    >>> in_turn({"merger": np.array([1, 2, 3]), "ring": np.array([10, 20, 30])})
    array([ 1, 20,  3])
    """
    kinds = list(by_kind.values())
    return np.array([kinds[j % len(kinds)][j] for j in range(len(kinds[0]))])


def percentile(values: np.ndarray, top: np.ndarray) -> float:
    """Return where the median of some galaxies stands among all: 50 if they are like the others.

    >>> percentile(np.arange(101.0), top=[99, 100, 98])
    99.0
    """
    known = np.asarray(values, float)[np.isfinite(values)]
    middle = np.nanmedian(np.asarray(values, float)[top])
    return float(100 * np.mean(known < middle) * len(known) / max(len(known) - 1, 1))


def found(clean, odd, k: int = 0, n_resamples: int = RESAMPLES) -> dict[str, np.ndarray]:
    """Score a ranking by strangeness: are the planted oddities at its top?

    Clean galaxies and oddities are resampled apart, so that the rate of oddities stays. Equal
    strangeness is ordered at random. Two rankings of as many galaxies meet the same resamples:
    their difference is paired.

    Args:
        clean, odd: (n,) and (m,) strangeness, higher is stranger.
        k: how many of the top are looked at; 0: as many as there are oddities.
        n_resamples: B.
    Returns:
        (1 + B,) each, the value first. ``auc``: the probability that an oddity is stranger than a
        clean galaxy (chance 0.5); ``average_precision``, and ``precision_at_k``: the share of
        oddities among the first k (chance: their rate); ``recall_at_k``: the share of the oddities
        that is among the first k.

    >>> scores = found(clean=[0.1, 0.2, 0.3], odd=[0.9, 0.25])
    >>> {name: round(float(curve[0]), 2) for name, curve in scores.items()}
    {'auc': 0.83, 'average_precision': 0.83, 'precision_at_k': 0.5, 'recall_at_k': 0.5}
    """
    n, m = len(clean), len(odd)
    if not (n and m):
        raise ValueError(f"got {n} clean galaxies and {m} oddities, expected some of both")
    k = number("k", k, 0, n + m, integer=True) or m
    both = resampled(n, n_resamples), resampled(m, n_resamples, seed=1)
    weights = np.concatenate(both, axis=1).astype(np.int32)
    tie = np.random.default_rng(0).random(n + m)
    order = np.lexsort((tie, -np.concatenate([clean, odd])))
    is_odd, weights = order >= n, weights[:, order]
    w_odd = weights * is_odd
    odd_so_far, all_so_far = (np.cumsum(w, axis=1, dtype=np.int32) for w in (w_odd, weights))
    clean_below = n - (all_so_far - odd_so_far)
    precision = odd_so_far / np.maximum(all_so_far, 1)
    in_top = np.clip(k - (all_so_far - weights), 0, weights) * is_odd
    return {
        "auc": (w_odd * clean_below).sum(axis=1) / (n * m),
        "average_precision": (w_odd * precision).sum(axis=1) / m,
        "precision_at_k": in_top.sum(axis=1) / k,
        "recall_at_k": in_top.sum(axis=1) / m,
    }
