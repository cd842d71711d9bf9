"""Predict a number instead of a name: the T-type, from frozen features and from pixels.

Early or late is a cut through a sequence. T-types are its places, from -5 (elliptical) to 10
(irregular), and Dominguez Sanchez et al. 2018 taught a network to give them. Here frozen features
are asked the same, and judged like the classifiers: all on the same test galaxies and draws.
"""

# N galaxies, D features, n T-types in a budget, T test galaxies, R runs

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from astropy.table import Table, vstack
from torch.nn import functional as F

from galclr_utils.checks import choice, number, numbers
from galclr_utils.dataset import GalaxySet
from galclr_utils.device import one_thread
from galclr_utils.label_draws import draw_numbers, fit_seed
from galclr_utils.probes import Method, small_network
from galclr_utils.provenance import progress
from galclr_utils.score_table import runs_of
from galclr_utils.workers import side_by_side

KINDS = ("ridge", "fully connected")
ERRORS = ("rmse", "bias", "mae", "r2", "scatter")
PENALTIES = 10.0 ** np.arange(-2, 5)
MAD_TO_SIGMA = 1.4826  # of a Gaussian


# --- fits --------------------------------------------------------------------------------------


def fit_regression(kind: str, x_train, t_train, x_test, seed: int = 0) -> np.ndarray:
    """Learn a number from features and predict it for others.

    Everything is decided inside the given numbers. The features should be of order 1: see
    `probes.standardise` and `probes.decorrelate`.

    - ``ridge``: a linear regression, its penalty chosen by leave-one-out inside the budget.
    - ``fully connected``: the network of the probes, with the same fixed schedule, for a number.

    Args:
        kind: one of the two.
        x_train: (n, D). t_train: (n,) the numbers, in any unit.
        x_test: (T, D).
        seed: of initial weights and order.
    Returns:
        float32 (T,), in the unit of ``t_train``.
    Raises:
        ValueError: an unknown kind, fewer than two numbers, or numbers that are not finite.

    >>> random = np.random.default_rng(0)
    >>> x = random.normal(size=(300, 4))
    >>> t = 3 * x[:, 0] - 1
    >>> for kind in KINDS:
    ...     found = fit_regression(kind, x[:200], t[:200], x[200:])
    ...     print(found.shape, errors(t[200:], found)["r2"] > 0.9)
    (100,) True
    (100,) True
    """
    choice("kind", kind, KINDS)
    x_train, x_test = np.asarray(x_train, np.float32), np.asarray(x_test, np.float32)
    t_train = np.asarray(t_train, np.float64)
    if t_train.shape != x_train.shape[:1] or len(t_train) < 2 or not np.isfinite(t_train).all():
        raise ValueError(
            f"t_train: got shape {t_train.shape} for {x_train.shape} features, or values that are "
            "not finite; expected one number for each of at least two galaxies"
        )
    centre, scale = t_train.mean(), t_train.std() or 1.0
    fit = _ridge if kind == "ridge" else _network
    with one_thread():
        found = fit(x_train, (t_train - centre) / scale, x_test, seed)
    return (found * scale + centre).astype(np.float32)


def _ridge(x_train, t_train, x_test, seed: int) -> np.ndarray:
    from sklearn.linear_model import RidgeCV

    return RidgeCV(PENALTIES).fit(x_train, t_train).predict(x_test)


def _network(x_train, t_train, x_test, seed: int) -> np.ndarray:
    return small_network(x_train, t_train, x_test, seed, F.mse_loss).numpy()


def regressor(features, kind: str) -> Method:
    """Return the method that predicts from frozen features: (train, t, test, seed, draw) -> (T,).

    Args:
        features: (N, D) of all galaxies of the set; or a dictionary, pretraining seed -> (N, D).
        kind: of `fit_regression`.
    """
    choice("kind", kind, KINDS)

    def fit(train, t_train, test, seed, draw):
        x = features[seed] if isinstance(features, Mapping) else features
        return fit_regression(kind, x[train], t_train, x[test], seed=fit_seed(seed, draw))

    return fit


# --- scores ------------------------------------------------------------------------------------


def errors(t, predicted) -> dict[str, float]:
    """Say how far predictions are from the truth.

    Args:
        t: (T,) the true numbers. predicted: (T,), in the same unit.
    Returns:
        rmse; bias, the mean of predicted minus true; mae, the mean distance; r2, the share of the
        variance that is explained (0 for who always says the mean); scatter, 1.4826 times the
        median absolute deviation of the differences, which a few great errors leave as it is.

    >>> found = errors([0, 1, 2, 3], [1, 2, 3, 4])
    >>> found["rmse"], found["bias"], found["mae"], round(found["r2"], 3), found["scatter"]
    (1.0, 1.0, 1.0, 0.2, 0.0)
    """
    t, predicted = np.asarray(t, np.float64), np.asarray(predicted, np.float64)
    if t.shape != predicted.shape or t.ndim != 1 or not len(t):
        raise ValueError(f"got {predicted.shape} predictions for {t.shape} numbers, expected (T,)")
    if not np.isfinite(t + predicted).all():
        raise ValueError("got values that are not finite, expected numbers: leave out what is not")
    d = predicted - t
    variance = np.var(t)
    return {
        "rmse": float(np.sqrt(np.mean(d**2))),
        "bias": float(d.mean()),
        "mae": float(np.abs(d).mean()),
        "r2": float(1 - np.mean(d**2) / variance) if variance else float("nan"),
        "scatter": float(MAD_TO_SIGMA * np.median(np.abs(d - np.median(d)))),
    }


@dataclass(repr=False)
class Predictions:
    """The predictions of all runs.

    Attributes:
        table: R rows: method, n_labels, seed, draw, and the five errors.
        predicted: float32 (R, T). t: float32 (T,), the truth.
    """

    table: Table
    predicted: np.ndarray
    t: np.ndarray

    def __repr__(self) -> str:
        methods = ", ".join(dict.fromkeys(self.table["method"]))
        return f"Predictions({len(self.table)} runs on {len(self.t)} test galaxies: {methods})"

    def __add__(self, other: Predictions) -> Predictions:
        """Put the runs of two, made on the same test galaxies, into one."""
        if not np.array_equal(self.t, other.t):
            raise ValueError("the two judge different test galaxies, so they do not compare")
        table = vstack([self.table, other.table], metadata_conflicts="silent")
        return Predictions(table, np.concatenate([self.predicted, other.predicted]), self.t)

    def runs(self, method: str, n_labels: int = 0) -> np.ndarray:
        """Return the rows (int64) of a method at a budget; 0 means its largest."""
        return runs_of(self.table, method, n_labels)


def known(galaxies: GalaxySet, split: str, column: str = "ttype") -> np.ndarray:
    """Return the rows of a split whose number is known, int64; none where there is no column.

    >>> catalog = Table({"id": ["a", "b"], "label": [0, 1], "split": ["train", "train"]})
    >>> catalog["ttype"] = [-2.0, np.nan]
    >>> card = {"units": "display", "bands": ["r"]}
    >>> known(GalaxySet(np.zeros((2, 1, 4, 4), np.float32), catalog, card), "train")
    array([0])
    """
    if column not in galaxies.catalog.colnames:
        return np.empty(0, np.int64)
    rows = galaxies.indices(split)
    return rows[np.isfinite(np.asarray(galaxies.catalog[column], np.float64)[rows])]


def score_regressions(
    methods: Mapping[str, Method],
    galaxies: GalaxySet,
    n_labels=(100, 1000, 0),
    n_draws: int = 2,
    seeds=(0,),
    column: str = "ttype",
    workers: int = 1,
) -> Predictions:
    """Train every method on the same draws and judge it on the same test galaxies.

    Args:
        methods: name -> method; see `regressor`, and ``supervised.SupervisedCNN`` with
            ``task="regression"``.
        galaxies: the data set; ``train`` galaxies with a number are drawn from, ``test`` galaxies
            with one are judged.
        n_labels: budgets, in numbers seen; 0 means all.
        n_draws: draws of each budget and seed.
        seeds: pretraining seeds; each has its own draws.
        column: of the catalogue, what is predicted.
        workers: processes that share the runs; 0 for one a core (see `workers.side_by_side`).
    Raises:
        ValueError: no test galaxy with a number, or too few to train on.
    """
    budgets = numbers("n_labels", n_labels, 0, np.inf, integer=True)
    n_draws = number("n_draws", n_draws, 1, 10_000, integer=True)
    train, test = (known(galaxies, split, column) for split in ("train", "test"))
    if not (len(train) > 1 and len(test)):
        raise ValueError(
            f"{column}: got {len(train)} numbers in train and {len(test)} in test, expected some "
            "in both"
        )
    value = np.asarray(galaxies.catalog[column], np.float32)
    budgets = dict.fromkeys(n or len(train) for n in budgets)
    runs = list(itertools.product(budgets, map(int, seeds), range(n_draws), methods))
    tasks, rows = [], []
    for n, seed, draw, name in runs:
        drawn = train[draw_numbers(galaxies.labels[train], n, draw, seed)]
        tasks.append((methods[name], drawn, value[drawn], test, seed, draw))
    found = progress(side_by_side(_run, tasks, workers), "regression", len(tasks))
    predicted = np.stack([np.asarray(one, np.float32) for one in found])
    for (n, seed, draw, name), own in zip(runs, predicted, strict=True):
        row = {"method": name, "n_labels": n, "seed": seed, "draw": draw}
        rows.append(row | errors(value[test], own))
    return Predictions(Table(rows), predicted, value[test])


def _run(method: Method, *arguments) -> np.ndarray:
    return method(*arguments)
