"""Compare methods that predict a number: their errors with intervals, and paired differences."""

# T test galaxies, R runs, B bootstrap resamples

from __future__ import annotations

import numpy as np
from astropy.table import Table

from galclr_utils import intervals
from galclr_utils.checks import choice
from galclr_utils.regression import ERRORS, MAD_TO_SIGMA, Predictions
from galclr_utils.score_table import shared_runs

TITLES = dict(zip(ERRORS, ("RMSE", "bias", "MAE", "R²", "scatter"), strict=True))


def bootstrap_errors(t, predicted, seeds, draws, n_resamples: int = 1000) -> dict[str, np.ndarray]:
    """Resample one method's errors over seeds, draws and test galaxies, as `intervals.bootstrap`.

    Methods with the same layout meet the same resamples, so their difference is paired.

    Args:
        t: (T,) the truth. predicted: (R, T). seeds, draws: (R,).
        n_resamples: B.
    Returns:
        For each of ``ERRORS``: (1 + B,) float64, first the value itself.
    """
    t, predicted = np.asarray(t, np.float64), np.asarray(predicted, np.float64)
    d, t = predicted - t, t - t.mean()  # the variance does not depend on the zero, its digits do

    def of_runs(galaxies):
        share = galaxies.astype(np.float64) / galaxies.sum(axis=1, keepdims=True)  # (1 + B, T)
        mean, square = d @ share.T, d**2 @ share.T  # (R, 1 + B)
        variance = share @ t**2 - (share @ t) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = 1 - square / variance
        by_run = {"rmse": np.sqrt(square), "bias": mean, "mae": np.abs(d) @ share.T, "r2": r2}
        return by_run | {"scatter": np.array([_robust(of_run, share) for of_run in d])}

    return intervals.resample(of_runs, seeds, draws, len(t), n_resamples)


def _robust(d, share) -> np.ndarray:
    """Return 1.4826 times the weighted median absolute deviation of (T,) for weights (B, T)."""

    def median(values):
        order = np.argsort(values, axis=1)
        half = np.cumsum(np.take_along_axis(share, order, 1), axis=1) >= 0.5 - 1e-6
        place = np.take_along_axis(order, half.argmax(axis=1)[:, None], 1)
        return np.take_along_axis(values, place, 1)

    d = np.broadcast_to(d, share.shape)
    return MAD_TO_SIGMA * median(np.abs(d - median(d)))[:, 0]


def summary(predictions: Predictions) -> Table:
    """Return the errors of every method at every budget, with 95% intervals.

    Returns:
        One row for a method and a budget: method, n_labels; each of ``ERRORS`` with ``_low`` and
        ``_high``; n_seeds, n_runs.
    """
    table, rows = predictions.table, []
    for method, n in dict.fromkeys(zip(table["method"], table["n_labels"], strict=True)):
        runs = predictions.runs(method, n)
        layout = table["seed"][runs], table["draw"][runs]
        row = {"method": method, "n_labels": int(n)}
        curves = bootstrap_errors(predictions.t, predictions.predicted[runs], *layout)
        for name, curve in curves.items():
            found = intervals.central_95(curve)
            row |= {name: found["mean"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
        rows.append(row | {"n_seeds": len(set(layout[0])), "n_runs": len(runs)})
    return Table(rows)


def grid(summary: Table) -> Table:
    """Lay a `summary` out to be read: the errors of each method with their intervals.

    Args:
        summary: from `summary`.
    Returns:
        Text such as ``1.86 [1.80, 1.92]``, with a star where a method has a single run.
    """
    columns = {"method": list(summary["method"]), "T-types": list(summary["n_labels"])}
    star = ["*" if n == 1 else "" for n in summary["n_runs"]]
    for name in ERRORS:
        cells = zip(*(summary[f"{name}{end}"] for end in ("", "_low", "_high")), star, strict=True)
        texts = [f"{value:.2f} [{low:.2f}, {high:.2f}]{s}" for value, low, high, s in cells]
        columns[TITLES[name]] = texts
    return Table(columns)


def compare(predictions: Predictions, a: str, b: str, n_labels: int, error: str = "rmse") -> dict:
    """Say how much better one method is than another, on the runs that both have.

    Args:
        predictions: the runs.
        a, b: names of methods. n_labels: the budget of both; 0 means the largest.
        error: rmse, mae, scatter (smaller is better) or r2 (larger is).
    Returns:
        mean, low, high of the gain, above 0 where a is the better; beats: whether the 95% interval
        lies above 0; a, b, n_labels, error, n_seeds, n_runs, n_galaxies.
    Raises:
        ValueError: an unknown method, budget or error, or no run in common.
    """
    choice("error", error, ("rmse", "mae", "scatter", "r2"))
    *rows, bought, seeds, draws = shared_runs(predictions.table, a, b, n_labels)
    of_a, of_b = (
        bootstrap_errors(predictions.t, predictions.predicted[own], seeds, draws)[error]
        for own in rows
    )
    found = intervals.central_95(of_a - of_b if error == "r2" else of_b - of_a)
    counts = {"n_seeds": len(set(seeds)), "n_runs": len(seeds), "n_galaxies": len(predictions.t)}
    about = {"a": a, "b": b, "n_labels": int(bought[0]), "error": error}
    return about | found | {"beats": found["low"] > 0} | counts
