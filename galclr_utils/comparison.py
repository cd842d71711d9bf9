"""Compare methods: the same label draws, the same test galaxies, and one table of all runs.

A run is one method, one pretraining seed and one draw of labels. It is a row of ``scores.csv``, and
its probabilities are kept, so that any two methods can be compared run for run and galaxy for
galaxy.
"""

# N galaxies, R runs, T test galaxies

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from galclr_utils import metrics
from galclr_utils.checks import choice, did_you_mean, number, numbers
from galclr_utils.dataset import GalaxySet
from galclr_utils.probes import Method, draw_labels
from galclr_utils.provenance import progress, whole_folder


@dataclass(repr=False)
class Scores:
    """The scores of all runs, and the probabilities they were made from.

    Attributes:
        table: R rows: method, n_labels, seed, draw, split, the six scores, seconds.
        p_late: float32 (R, T), the probability of late of each test galaxy in each run.
        label: int8 (T,), the truth. id: str (T,), the galaxies.
    """

    table: Table
    p_late: np.ndarray
    label: np.ndarray
    id: np.ndarray

    def __repr__(self) -> str:
        methods = ", ".join(dict.fromkeys(self.table["method"]))
        return f"Scores({len(self.table)} runs on {len(self.label)} test galaxies: {methods})"

    def __add__(self, other: Scores) -> Scores:
        """Put the runs of two tables, made on the same test galaxies, into one."""
        if not np.array_equal(self.id, other.id):
            raise ValueError("the two tables judge different test galaxies, so they do not compare")
        table = vstack([self.table, other.table], metadata_conflicts="silent")
        return Scores(table, np.concatenate([self.p_late, other.p_late]), self.label, self.id)

    def runs(self, method: str, n_labels: int) -> np.ndarray:
        """Return the rows (int64) of a method at a budget; 0 means its largest.

        Raises:
            ValueError: no such method or budget.
        """
        of_method = np.asarray(self.table["method"]) == method
        if not of_method.any():
            methods = sorted(set(self.table["method"]))
            raise ValueError(
                f"method: got {method!r}, expected one of {', '.join(methods)}"
                f"{did_you_mean(method, methods)}"
            )
        budgets = np.asarray(self.table["n_labels"])
        wanted = n_labels or budgets[of_method].max()
        if not len(rows := np.flatnonzero(of_method & (budgets == wanted))):
            have = sorted(set(budgets[of_method].tolist()))
            raise ValueError(f"n_labels: got {n_labels}, but {method} was run with {have}")
        return rows


def score_methods(
    methods: Mapping[str, Method],
    galaxies: GalaxySet,
    n_labels=(100, 1000, 0),
    n_draws: int = 5,
    seeds=(0,),
) -> Scores:
    """Train every method on the same label draws and judge it on the same test galaxies.

    Args:
        methods: name -> method; see `probes.probe`, and the baselines.
        galaxies: the data set; from its labelled ``train`` galaxies is drawn, its labelled ``test``
            galaxies are judged. Those of ``val`` are not used: no label comes free.
        n_labels: budgets; 0 means all. In the table, all is given as the number it is.
        n_draws: label draws for each budget and seed. With all labels the draws differ only in what
            is random in the method.
        seeds: pretraining seeds; each has its own draws.
    Returns:
        A `Scores` with len(methods) * len(n_labels) * len(seeds) * n_draws runs.
    Raises:
        ValueError: one class only, too few labels, no labelled test galaxy.

    >>> def coin(train, y_train, test, seed, draw):
    ...     return np.random.default_rng([seed, draw]).random(len(test))
    >>> catalog = Table({"id": np.arange(60).astype(str), "label": np.arange(60) % 3 // 2})
    >>> catalog["split"] = ["train"] * 40 + ["test"] * 20
    >>> card = {"units": "display", "bands": ["g", "r", "i"]}
    >>> galaxies = GalaxySet(np.zeros((60, 3, 4, 4), np.float32), catalog, card)
    >>> score_methods({"coin": coin}, galaxies, n_labels=[10, 0], n_draws=2)
    Scores(4 runs on 20 test galaxies: coin)
    """
    budgets = numbers("n_labels", n_labels, 0, np.inf, integer=True)
    n_draws = number("n_draws", n_draws, 1, 10_000, integer=True)
    train, test = galaxies.labelled("train"), galaxies.labelled("test")
    if not len(test):
        raise ValueError("test split: got no labelled galaxies, expected some to judge methods on")
    label, y_train = galaxies.labels[test], galaxies.labels[train]
    if len(kinds := np.unique(label)) < 2:
        only = ("early", "late")[kinds[0]]
        raise ValueError(
            f"test split: got {only} types only in {len(label)} labels, expected early and late"
        )
    budgets = dict.fromkeys(n or len(train) for n in budgets)
    runs = list(itertools.product(budgets, map(int, seeds), range(n_draws), methods))
    rows, p_late = [], np.empty((len(runs), len(test)), np.float32)
    for k, (n, seed, draw, name) in enumerate(progress(runs, "scoring")):
        drawn = draw_labels(y_train, n, draw, seed)
        began = time.perf_counter()
        p_late[k] = methods[name](train[drawn], y_train[drawn], test, seed, draw)
        seconds = round(time.perf_counter() - began, 3)
        found = {score: round(v, 6) for score, v in metrics.scores(label, p_late[k]).items()}
        run = {"method": name, "n_labels": n, "seed": seed, "draw": draw, "split": "test"}
        rows.append(run | found | {"seconds": seconds})
    return Scores(Table(rows), p_late, label, np.asarray(galaxies.catalog["id"][test], str))


def save_scores(run: Path, scores: Scores) -> Path:
    """Write ``probes/scores.csv`` and ``probes/predictions.npz``, both or neither.

    Args:
        run: the run's folder.
        scores: what to keep; row r of ``p_late`` in the npz belongs to row r of the csv.
    Returns:
        The folder.
    """
    with whole_folder(Path(run) / "probes") as part:
        scores.table.write(part / "scores.csv", format="ascii.csv")
        arrays = {"p_late": scores.p_late, "label": scores.label, "id": scores.id}
        np.savez_compressed(part / "predictions.npz", **arrays)
    return Path(run) / "probes"


def load_scores(run: Path) -> Scores:
    """Read what `save_scores` wrote.

    Raises:
        ValueError: the files are missing, broken, or not of one table.
    """
    folder = Path(run) / "probes"
    try:
        table = Table.read(folder / "scores.csv", format="ascii.csv")
        with np.load(folder / "predictions.npz", allow_pickle=False) as arrays:
            scores = Scores(table, arrays["p_late"], arrays["label"], arrays["id"])
        if scores.p_late.shape != (len(table), len(scores.label)):
            raise ValueError(f"{scores.p_late.shape} probabilities for {len(table)} rows")
    except Exception as error:
        raise ValueError(
            f"{folder}: expected scores.csv and predictions.npz written by 05_probes, got: {error}"
        ) from error
    return scores


def summary(scores: Scores) -> Table:
    """Return the scores of every method at every budget, with 95% intervals.

    Args:
        scores: the runs.
    Returns:
        One row for a method and a budget: method, n_labels; accuracy, balanced_accuracy, precision
        and recall, each with ``_low`` and ``_high`` (see `metrics.bootstrap`); n_seeds, n_runs.
    """
    table, rows = scores.table, []
    for method, n_labels in dict.fromkeys(zip(table["method"], table["n_labels"], strict=True)):
        runs = scores.runs(method, n_labels)
        layout = table["seed"][runs], table["draw"][runs]
        curves = metrics.bootstrap(scores.label, scores.p_late[runs], *layout)
        row = {"method": method, "n_labels": n_labels}
        for name, curve in curves.items():
            found = metrics.central_95(curve)
            row |= {name: found["mean"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
        rows.append(row | {"n_seeds": len(set(layout[0])), "n_runs": len(runs)})
    return Table(rows)


def grid(summary: Table, score: str = "balanced_accuracy") -> Table:
    """Lay one score of a `summary` out to be read: a row a method, a column a budget.

    Args:
        summary: from `summary`.
        score: accuracy, balanced_accuracy, precision or recall.
    Returns:
        Text such as ``0.859 [0.841, 0.876]``; a dash where a method was not run, or the score is
        not defined.
    """
    choice("score", score, metrics.THRESHOLD_SCORES)
    cells = {}
    for row in summary:
        value, low, high = (row[f"{score}{end}"] for end in ("", "_low", "_high"))
        text = f"{value:.3f} [{low:.3f}, {high:.3f}]" if np.isfinite(value) else "–"
        cells[row["method"], int(row["n_labels"])] = text
    methods = list(dict.fromkeys(summary["method"]))
    columns = {"method": methods}
    for n in sorted(set(map(int, summary["n_labels"]))):
        columns[f"{n} labels"] = [cells.get((method, n), "–") for method in methods]
    return Table(columns)


def compare(
    scores: Scores, a: str, b: str, n_labels: int, score: str = "balanced_accuracy"
) -> dict:
    """Compare two methods on the runs that both have: the same seeds, draws and galaxies.

    Args:
        scores: the runs.
        a, b: names of methods.
        n_labels: the budget of both; 0 means all.
        score: accuracy, balanced_accuracy, precision or recall.
    Returns:
        mean, low, high of a minus b; beats: whether the 95% interval lies above 0; n_seeds, n_runs,
        n_galaxies: what it rests on; and a, b, n_labels, score.
    Raises:
        ValueError: an unknown method or budget, or no run in common.
    """
    keys = []
    for method in (a, b):
        runs = scores.runs(method, n_labels)
        keys.append({tuple(scores.table["n_labels", "seed", "draw"][r]): r for r in runs})
    shared = [key for key in keys[0] if key in keys[1]]
    if not shared:
        raise ValueError(f"{a} and {b} have no seed and draw in common with {n_labels} labels")
    p_a, p_b = (scores.p_late[[of_method[key] for key in shared]] for of_method in keys)
    bought, seeds, draws = zip(*shared, strict=True)
    found = metrics.paired_difference(scores.label, p_a, p_b, seeds, draws, score)
    return {"a": a, "b": b, "n_labels": int(bought[0]), "score": score} | found
