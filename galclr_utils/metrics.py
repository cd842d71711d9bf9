"""Measure classifications and representations."""

# N galaxies, D representation, R runs, T test galaxies, B sets of weights

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

THRESHOLD_SCORES = ("accuracy", "balanced_accuracy", "precision", "recall")
ECE_BINS = 15  # as in Guo et al. 2017


def scores(labels, p_late) -> dict[str, float]:
    """Score one set of late-type probabilities against the labels.

    A galaxy is called late where ``p_late`` is above one half. Late is the positive class, so
    recall is the completeness of the late types and precision their purity. What is undefined is
    ``nan``: the precision where nothing is called late, for instance.

    Args:
        labels: (T,) 0 early, 1 late. Drop unknown labels (-1) first.
        p_late: (T,) probability of being late, in [0, 1].
    Returns:
        accuracy, balanced_accuracy (the mean of the two classes' recalls), precision, recall,
        roc_auc (the probability that a late galaxy has the higher ``p_late``; ties count half) and
        ece, the expected calibration error (Guo et al. 2017, here for the probability of *late*:
        the mean gap between probability and fraction, over 15 equal bins).
    Raises:
        ValueError: lengths differ, no galaxies, a label that is not 0 or 1, or not probabilities.

    >>> found = scores(labels=[0, 0, 1, 1], p_late=[0.2, 0.6, 0.7, 0.9])
    >>> found["accuracy"], found["recall"], round(found["precision"], 3), found["roc_auc"]
    (0.75, 1.0, 0.667, 1.0)
    """
    labels, p_late = checked(labels, p_late)
    by_threshold = threshold_scores(labels, p_late[None], np.ones((1, len(labels)), np.float32))
    result = {name: float(values[0, 0]) for name, values in by_threshold.items()}
    return result | {"roc_auc": _roc_auc(labels, p_late), "ece": _calibration_error(labels, p_late)}


def checked(labels, p_late) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and probabilities (..., T) as arrays, once they are what scoring needs."""
    labels, p_late = np.asarray(labels), np.asarray(p_late, np.float64)
    if labels.ndim != 1 or not len(labels) or p_late.shape[-1:] != labels.shape:
        raise ValueError(
            f"p_late: got shape {p_late.shape} for {labels.shape} labels, "
            "expected one probability for each of at least one labelled galaxy"
        )
    if strange := set(np.unique(labels)) - {0, 1}:
        raise ValueError(
            f"labels: got {sorted(map(int, strange))}, expected 0 (early) or 1 (late); "
            "leave galaxies of unknown type out: GalaxySet.labelled('test')"
        )
    if not (np.isfinite(p_late).all() and p_late.min() >= 0 and p_late.max() <= 1):
        raise ValueError("p_late: got values outside [0, 1] or not finite, expected probabilities")
    return labels.astype(np.int8), p_late


def threshold_scores(labels, p_late, weights) -> dict[str, np.ndarray]:
    """Return each score as (R, B) for runs ``p_late`` (R, T) and galaxy weights (B, T)."""
    late = labels == 1
    called_late = p_late > 0.5
    true_late = (called_late & late).astype(np.float32) @ weights.T
    false_late = (called_late & ~late).astype(np.float32) @ weights.T
    n_late, n_early = weights @ late.astype(np.float32), weights @ (~late).astype(np.float32)
    true_early = n_early - false_late
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "accuracy": (true_late + true_early) / (n_late + n_early),
            "balanced_accuracy": (true_late / n_late + true_early / n_early) / 2,
            "precision": true_late / (true_late + false_late),
            "recall": true_late / n_late,
        }


def _roc_auc(labels, p_late) -> float:
    """Return the area under the ROC curve from the ranks (the Mann-Whitney statistic)."""
    n_late = int(labels.sum())
    if n_late in (0, len(labels)):
        return float("nan")
    rank_sum = rankdata(p_late)[labels == 1].sum()
    return float((rank_sum - n_late * (n_late + 1) / 2) / (n_late * (len(labels) - n_late)))


def weighted_auc(labels, p_late, weights) -> np.ndarray:
    """Return the area under the ROC curve of runs (R, T), for galaxies of weight (B, T): (R, B).

    The probability that a late galaxy has the higher ``p_late`` than an early one, each drawn with
    its weight; ties count half. NaN where one class has no weight.

    >>> labels, p_late = np.array([0, 1, 0, 1]), np.array([[0.1, 0.4, 0.4, 0.8]])
    >>> weighted_auc(labels, p_late, np.array([[1, 1, 1, 1], [1, 1, 0, 1]]))
    array([[0.875, 1.   ]])
    """
    late, areas = np.asarray(labels) == 1, []
    of_late, of_early = (np.asarray(weights, np.float32)[:, kind] for kind in (late, ~late))
    pairs = of_late.sum(1, dtype=float) * of_early.sum(1, dtype=float)
    for p in np.atleast_2d(p_late):
        above, below = p[late][:, None], p[~late]
        wins = (above > below) + np.float32(0.5) * (above == below)
        with np.errstate(invalid="ignore", divide="ignore"):
            areas.append((of_late @ wins * of_early).sum(1, dtype=float) / pairs)
    return np.array(areas)


def at_even_odds(p_late, share_late) -> np.ndarray:
    """Return probabilities as if early and late types were equally common.

    A classifier that learned from a sample with few late types asks for more evidence to say late.
    Dividing its odds by the odds of their share undoes that (Saerens et al. 2002, eq. 2.4), and
    leaves the order of the galaxies.

    Args:
        p_late: (..., T) in [0, 1]. share_late: the share in (0, 1), one or (..., 1).
    Returns:
        float32 (..., T).

    >>> at_even_odds([0.1, 0.2, 0.9], share_late=0.2).round(2)
    array([0.31, 0.5 , 0.97], dtype=float32)
    """
    p, share = np.asarray(p_late, np.float64), np.asarray(share_late, np.float64)
    return (p / (p + (1 - p) * share / (1 - share))).astype(np.float32)


def _calibration_error(labels, p_late) -> float:
    """Return the gap between mean probability and late fraction, weighted by bin occupancy."""
    bins = np.minimum((p_late * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = np.bincount(bins, weights=p_late - labels, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(labels))


# --- the space itself --------------------------------------------------------------------------


def _numpy(x) -> np.ndarray:
    """Return an array or a tensor of any device and precision as float32 (N, D)."""
    x = x.detach().float().cpu().numpy() if hasattr(x, "detach") else np.asarray(x, np.float32)
    if x.ndim != 2 or not len(x):
        raise ValueError(f"got shape {x.shape}, expected (N, D) with at least one galaxy")
    return x


def unit(x) -> np.ndarray:
    """Scale every row to length 1, float32; a row of zeros stays what it is.

    >>> unit([[3.0, 4.0]])
    array([[0.6, 0.8]], dtype=float32)
    """
    x = _numpy(x)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def knn_p_late(train_h, train_y, h, k: int = 15) -> np.ndarray:
    """Return the fraction of late types among the k nearest training galaxies, by cosine.

    Nothing is trained, so this grades the space itself.

    Args:
        train_h: (N, D) representations of labelled galaxies. train_y: (N,) 0 early, 1 late.
        h: (T, D) representations to classify.
        k: neighbours; no more than N are used.
    Returns:
        (T,) float32 in [0, 1].

    >>> knn_p_late([[1, 0], [1, 0.1], [0, 1]], [0, 0, 1], [[0.9, 0], [0.1, 2]], k=1)
    array([0., 1.], dtype=float32)
    """
    train_h, h, train_y = unit(train_h), unit(h), np.asarray(train_y, np.float32)
    if len(train_h) != len(train_y) or train_h.shape[1] != h.shape[1]:
        raise ValueError(
            f"got {train_h.shape} training representations, {len(train_y)} labels and {h.shape} "
            "to classify, expected (N, D), (N,) and (T, D)"
        )
    k = max(1, min(k, len(train_h)))
    p_late = np.empty(len(h), np.float32)
    block = max(1, 2**24 // len(train_h))
    for start in range(0, len(h), block):  # a block of similarities at a time, not (T, N)
        rows = slice(start, start + block)
        nearest = np.argpartition(-(h[rows] @ train_h.T), k - 1, axis=1)[:, :k]
        p_late[rows] = train_y[nearest].mean(axis=1)
    return p_late


def knn_accuracy(train_h, train_y, h, y, k: int = 15) -> float:
    """Return the accuracy of the majority vote among k cosine neighbours (see `knn_p_late`).

    Args:
        train_h, train_y: (N, D) and (N,), the galaxies that vote.
        h, y: (T, D) and (T,), the galaxies that are judged: validation, never test, while training.
        k: neighbours, odd so that no vote is tied.
    Returns:
        Fraction in [0, 1].

    >>> knn_accuracy([[1, 0], [0, 1]], [0, 1], [[2, 1], [1, 2], [1, 3]], [0, 1, 0], k=1)
    0.6666666666666666
    """
    called_late = knn_p_late(train_h, train_y, h, k) > 0.5
    return float(np.mean(called_late == (np.asarray(y) == 1)))


def alignment(z1, z2) -> float:
    """Return how far apart two views of a galaxy land: 0 is perfect, 2 is no relation at all.

    The mean squared distance of positive pairs on the unit sphere: the alignment loss of Wang &
    Isola 2020 (section 4.1.1) with alpha = 2.

    Args:
        z1, z2: (N, D) the two views' projections, row for row; any length, scaled to 1 here.

    >>> alignment([[1, 0], [0, 1]], [[2, 0], [1, 0]])
    1.0
    """
    z1, z2 = unit(z1), unit(z2)
    if z1.shape != z2.shape:
        raise ValueError(f"got {z1.shape} and {z2.shape}, expected two views of the same galaxies")
    return float(np.mean(np.sum((z1 - z2) ** 2, axis=1)))


def uniformity(z, t: float = 2.0) -> float:
    """Return how evenly points cover the unit sphere: 0 if all coincide, lower is more even.

    The logarithm of the mean Gaussian potential between different points: the uniformity loss of
    Wang & Isola 2020 (section 4.1.2), with their t = 2. In many dimensions it nears -2t = -4.

    Args:
        z: (N, D) with N > 1; any length, scaled to 1 here.

    >>> round(uniformity([[1.0, 0.0], [-1.0, 0.0]]), 4)
    -8.0
    """
    z = unit(z)
    if len(z) < 2:
        raise ValueError(f"got {len(z)} galaxy, expected at least 2 to measure their distances")
    total = 0.0
    for start in range(0, len(z), 1024):
        block = z[start : start + 1024]
        potential = np.exp(-t * np.maximum(2 - 2 * (block @ z.T), 0))
        potential[np.arange(len(block)), start + np.arange(len(block))] = 0  # a point with itself
        total += potential.sum(dtype=np.float64)
    return float(np.log(total / (len(z) * (len(z) - 1))))


def feature_spread(h) -> float:
    """Return how much of the unit sphere a representation uses: 1 is all of it, 0 a collapse.

    The standard deviation of each dimension over galaxies, after scaling to length 1, averaged and
    multiplied by the root of D: the collapse check of Chen & He 2021 (SimSiam, section 4.1).
    A representation that gives every galaxy the same direction has 0.

    >>> round(feature_spread(np.random.default_rng(0).normal(size=(1000, 64))), 2)
    1.0
    >>> feature_spread(np.ones((10, 64)))
    0.0
    """
    h = unit(h)
    return float(h.std(axis=0).mean() * np.sqrt(h.shape[1]))
