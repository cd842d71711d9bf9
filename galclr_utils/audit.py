"""Group test galaxies by what a classifier might use, and score it in each group.

A score says how often a method is right, not why. Here the test galaxies are grouped by type and
colour, paired so that colour says nothing, binned by any other property, or judged by the truth
behind their labels. Nothing is trained here, and nothing is chosen on test galaxies.
"""

# T test galaxies, N galaxies of any split, R runs, P pairs

from __future__ import annotations

from itertools import pairwise

import numpy as np
from astropy.table import Table

from galclr_utils import intervals
from galclr_utils.checks import number
from galclr_utils.score_table import Scores

ENOUGH = 20  # galaxies in a bin


# --- groups by colour --------------------------------------------------------------------------


def colour_border(values, labels) -> float:
    """Return the colour that separates the types best: redder is called early.

    Args:
        values: (N,) colours of *training* galaxies; NaN is left out.
        labels: (N,) 0 early, 1 late, -1 unknown (left out).
    Returns:
        The border of the highest balanced accuracy.
    Raises:
        ValueError: one class only.

    >>> colour_border([0.25, 0.5, 0.75, 1.0], [1, 1, 0, 0])
    0.625
    """
    values, labels = np.asarray(values, np.float64), np.asarray(labels)
    known = np.isfinite(values) & (labels >= 0)
    order = np.argsort(values[known], kind="stable")
    x, late = values[known][order], labels[known][order] == 1
    if late.all() or not late.any():
        raise ValueError(f"labels: got one class only in {len(x)} galaxies, expected both")
    bluer = np.cumsum(late)[:-1] / late.sum() + 1 - np.cumsum(~late)[:-1] / (~late).sum()
    bluer[x[1:] == x[:-1]] = -1  # no border fits between equals
    best = int(np.argmax(bluer))
    return float((x[best] + x[best + 1]) / 2)


def colour_groups(values, labels, border: float) -> dict[str, np.ndarray]:
    """Sort galaxies by type and colour: two groups agree with the rule, two are against it.

    Args:
        values: (T,) colours. labels: (T,) 0 early, 1 late. border: from `colour_border`.
    Returns:
        Masks (T,) by name; a galaxy of unknown colour is in none.

    >>> {k: v.tolist() for k, v in colour_groups([0.9, 0.4], [0, 0], 0.6).items() if v.any()}
    {'red early': [True, False], 'blue early': [False, True]}
    """
    values, late = np.asarray(values, np.float64), np.asarray(labels) == 1
    red, blue = values > border, values <= border
    groups = {"red early": red & ~late, "blue late": blue & late}
    return groups | {"blue early": blue & ~late, "red late": red & late}


def matched_pairs(values, labels, tolerance: float = 0.01) -> np.ndarray:
    """Pair early and late types of equal colour, as many as there are, each galaxy once.

    Among the paired, colour says nothing of the type, and as many are early as late: who knows
    the colour only is right half of the time. (As in matching for observational studies.)

    Args:
        values: (T,) colours; NaN is left out.
        labels: (T,) 0 early, 1 late.
        tolerance: largest difference within a pair.
    Returns:
        int64 (P, 2): positions of an early type and its late partner.

    >>> matched_pairs([0.5, 0.7, 0.505, 0.9], [0, 0, 1, 1])
    array([[0, 2]])
    """
    values, labels = np.asarray(values, np.float64), np.asarray(labels)
    tolerance = number("tolerance", tolerance, 0, np.inf)
    early, late = (
        rows[np.argsort(values[rows], kind="stable")]
        for rows in (np.flatnonzero((labels == k) & np.isfinite(values)) for k in (0, 1))
    )
    pairs, i, j = [], 0, 0
    while i < len(early) and j < len(late):
        apart = values[early[i]] - values[late[j]]
        if abs(apart) <= tolerance:
            pairs.append((early[i], late[j]))
        i, j = i + (apart <= tolerance), j + (apart >= -tolerance)
    return np.array(pairs, np.int64).reshape(-1, 2)


# --- where a method is right -------------------------------------------------------------------


def score_of(
    scores: Scores, method: str, keep=None, truth=None, score: str = "accuracy", n_labels: int = 0
) -> dict:
    """Return the score of a method on some of the test galaxies, with its 95% interval.

    Args:
        scores: the runs.
        method: its name; all its runs with ``n_labels`` (0: its largest budget) are used.
        keep: bool (T,) or positions; None for all test galaxies.
        truth: (T,) other labels to judge by; None for those of ``scores``.
        score: accuracy, balanced_accuracy, precision or recall.
    Returns:
        mean, low, high, n_seeds, n_runs, n_galaxies; NaN where no galaxy is left, or where the
        score is not defined.
    """
    keep = np.arange(len(scores.label)) if keep is None else np.asarray(keep)
    keep = np.flatnonzero(keep) if keep.dtype == bool else keep
    runs = scores.runs(method, n_labels)
    seeds, draws = (np.asarray(scores.table[name])[runs] for name in ("seed", "draw"))
    if not len(keep):
        counts = {"n_seeds": len(set(seeds)), "n_runs": len(runs), "n_galaxies": 0}
        return dict.fromkeys(("mean", "low", "high"), np.nan) | counts
    labels = np.asarray(scores.label if truth is None else truth)[keep]
    return intervals.interval(labels, scores.p_late[runs][:, keep], seeds, draws, score)


def score_groups(scores: Scores, methods, groups: dict, score: str = "accuracy") -> Table:
    """Return the score of every method in every group, at its largest budget.

    Args:
        scores: the runs. methods: names.
        groups: name -> mask (T,), for instance of `colour_groups`.
        score: of `score_of`.
    Returns:
        Rows group, method, mean, low, high, n_seeds, n_runs, n_galaxies.
    """
    return Table(
        [
            {"group": group, "method": method} | score_of(scores, method, keep, score=score)
            for group, keep in groups.items()
            for method in methods
        ]
    )


def score_bins(scores: Scores, methods, values, n_bins: int = 6, score: str = "accuracy") -> Table:
    """Return the score of methods in bins of a property, each with as many galaxies.

    Args:
        scores: the runs. methods: names.
        values: (T,) the property of each test galaxy; NaN is left out.
        n_bins: bins; fewer, where one would hold less than 20 galaxies.
        score: of `score_of`.
    Returns:
        As of `score_groups`, with centre (the median of the bin), from and to instead of the
        group. No rows where fewer than 20 galaxies have the property.
    """
    values = np.asarray(values, np.float64)
    known = values[np.isfinite(values)]
    n_bins = min(number("n_bins", n_bins, 1, 1000, integer=True), len(known) // ENOUGH)
    rows = []
    edges = np.unique(np.quantile(known, np.linspace(0, 1, n_bins + 1))) if n_bins else []
    for low, high in pairwise(edges):
        inside = (values >= low) & ((values < high) | (high == edges[-1]) & (values == high))
        if inside.sum() < ENOUGH:
            continue
        own = {"centre": float(np.median(values[inside])), "from": low, "to": high}
        for method in methods:
            rows.append({"method": method} | score_of(scores, method, inside, score=score) | own)
    return Table(rows) if rows else Table(names=("method", "centre", "mean", "low", "high"))


def against_truth(scores: Scores, truth) -> Table:
    """Return how often every method agrees with the labels, and with the truth behind them.

    Args:
        scores: the runs; the largest budget of each method is used.
        truth: (T,) the true types of the test galaxies: 0 early, 1 late.
    Returns:
        Rows method, n_labels, n_seeds, n_runs; labels, truth, gain (truth minus labels, paired),
        each with ``_low`` and ``_high``.
    """
    rows, truth = [], np.asarray(truth)
    for method in dict.fromkeys(scores.table["method"]):
        runs = scores.runs(method, 0)
        layout = [np.asarray(scores.table[name])[runs] for name in ("seed", "draw")]
        curves = {
            name: intervals.bootstrap(judge, scores.p_late[runs], *layout)["accuracy"]
            for name, judge in {"labels": scores.label, "truth": truth}.items()
        }
        row = {"method": method, "n_labels": int(scores.table["n_labels"][runs[0]])}
        row |= {"n_seeds": len(set(layout[0])), "n_runs": len(runs)}
        for name, curve in (curves | {"gain": curves["truth"] - curves["labels"]}).items():
            found = intervals.central_95(curve)
            row |= {name: found["mean"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
        rows.append(row)
    return Table(rows)
