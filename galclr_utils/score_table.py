"""Keep the runs of all methods in one table: read, write and pair them, and move their lines.

A run is one method, one pretraining seed and one draw of labels. It is a row of ``scores.csv``, and
its probabilities are kept, so that any two methods can be compared run for run and galaxy for
galaxy.
"""

# N galaxies, R runs, T test galaxies

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from galclr_utils import metrics
from galclr_utils.checks import did_you_mean
from galclr_utils.dataset import GalaxySet
from galclr_utils.label_draws import draw_labels
from galclr_utils.provenance import whole_folder


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
        if not (np.array_equal(self.id, other.id) and np.array_equal(self.label, other.label)):
            raise ValueError(
                "the two tables judge different test galaxies or labels: no comparison"
            )
        table = vstack([self.table, other.table], metadata_conflicts="silent")
        return Scores(table, np.concatenate([self.p_late, other.p_late]), self.label, self.id)

    def only(self, methods) -> Scores:
        """Return the runs of some methods; a name that has no run is passed over."""
        rows = np.flatnonzero(np.isin(np.asarray(self.table["method"]), list(methods)))
        return Scores(self.table[rows], self.p_late[rows], self.label, self.id)

    def runs(self, method: str, n_labels: int) -> np.ndarray:
        """Return the rows (int64) of a method at a budget; 0 means its largest.

        Raises:
            ValueError: no such method or budget.
        """
        return runs_of(self.table, method, n_labels)


def runs_of(table: Table, method: str, n_labels: int = 0) -> np.ndarray:
    """Return the rows (int64) of a method at a budget, of any table of runs: see `Scores.runs`."""
    of_method = np.asarray(table["method"]) == method
    if not of_method.any():
        methods = sorted(set(table["method"]))
        raise ValueError(
            f"method: got {method!r}, expected one of {', '.join(methods)}"
            f"{did_you_mean(method, methods)}"
        )
    budgets = np.asarray(table["n_labels"])
    wanted = n_labels or budgets[of_method].max()
    if not len(rows := np.flatnonzero(of_method & (budgets == wanted))):
        have = sorted(set(budgets[of_method].tolist()))
        raise ValueError(f"n_labels: got {n_labels}, but {method} was run with {have}")
    return rows


def shared_runs(table: Table, a: str, b: str, n_labels: int) -> tuple:
    """Pair the runs of two methods at a budget: those with the same seed and the same draw.

    Returns:
        The rows of a, those of b, and their budget, seeds and draws, run for run.
    Raises:
        ValueError: an unknown method or budget, or no run in common.
    """
    rows_of = []
    for method in (a, b):
        rows = runs_of(table, method, n_labels)
        rows_of.append({tuple(table["n_labels", "seed", "draw"][r]): r for r in rows})
    shared = [key for key in rows_of[0] if key in rows_of[1]]
    if not shared:
        raise ValueError(f"{a} and {b} have no seed and draw in common with {n_labels} labels")
    return *([own[key] for key in shared] for own in rows_of), *zip(*shared, strict=True)


def even_odds(scores: Scores, galaxies: GalaxySet) -> Scores:
    """Let every run judge as if early and late types were equally common.

    Balanced accuracy counts both types alike, a classifier does not: its odds are divided by those
    of the budget's own labels (`metrics.at_even_odds`). That reads nothing but the budget, treats
    all methods alike, and leaves the AUC as it was. The probabilities are then those of a sample
    with as many early as late types; accuracy and calibration in the set at hand are judged from
    the given ones.

    Args:
        scores: runs made by `scoring.score_methods` from the stratified draws of these galaxies.
        galaxies: the data set.
    Returns:
        The same runs, their probabilities shifted and scored again.

    >>> catalog = Table({"id": np.arange(40).astype(str), "label": np.arange(40) % 4 // 3})
    >>> catalog["split"] = ["train"] * 20 + ["test"] * 20
    >>> card = {"units": "display", "bands": ["g", "r", "i"]}
    >>> galaxies = GalaxySet(np.zeros((40, 3, 4, 4), np.float32), catalog, card)
    >>> table = Table({"method": ["share"], "n_labels": [20], "seed": [0], "draw": [0]})
    >>> as_common = np.full((1, 20), 0.25, np.float32)
    >>> scores = Scores(table, as_common, galaxies.labels[20:], galaxies.catalog["id"][20:])
    >>> even_odds(scores, galaxies).p_late[0, :2]
    array([0.5, 0.5], dtype=float32)
    """
    y_train = galaxies.labels[galaxies.labelled("train")]
    runs = list(scores.table.iterrows("n_labels", "seed", "draw"))
    drawn = {run: draw_labels(y_train, int(run[0]), int(run[2]), int(run[1])) for run in set(runs)}
    share = np.array([y_train[drawn[run]].mean() for run in runs])
    p_late = metrics.at_even_odds(scores.p_late, share[:, None])
    table = scores.table.copy()
    found = [metrics.scores(scores.label, own) for own in p_late]
    for name in found[0]:
        table[name] = [round(of_run[name], 6) for of_run in found]
    return Scores(table, p_late, scores.label, scores.id)


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
