"""Compare methods on the runs that they share, and lay scores and differences out to be read."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

from galclr_utils import intervals, metrics
from galclr_utils.checks import choice
from galclr_utils.score_table import Scores, shared_runs


def summary(scores: Scores) -> Table:
    """Return the scores of every method at every budget, with 95% intervals.

    Args:
        scores: the runs.
    Returns:
        One row for a method and a budget: method, n_labels; accuracy, balanced_accuracy, precision
        and recall, each with ``_low`` and ``_high`` (see `intervals.bootstrap`); roc_auc, the mean
        of the runs, and roc_auc_sd, their scatter (NaN for one run); n_seeds, n_runs.
    """
    table, rows = scores.table, []
    for method, n_labels in dict.fromkeys(zip(table["method"], table["n_labels"], strict=True)):
        runs = scores.runs(method, n_labels)
        layout = table["seed"][runs], table["draw"][runs]
        curves = intervals.bootstrap(scores.label, scores.p_late[runs], *layout)
        row = {"method": method, "n_labels": n_labels}
        for name, curve in curves.items():
            found = intervals.central_95(curve)
            row |= {name: found["mean"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
        auc = [metrics.scores(scores.label, p)["roc_auc"] for p in scores.p_late[runs]]
        scatter = float(np.std(auc, ddof=1)) if len(auc) > 1 else np.nan
        row |= {"roc_auc": float(np.mean(auc)), "roc_auc_sd": scatter}
        rows.append(row | {"n_seeds": len(set(layout[0])), "n_runs": len(runs)})
    return Table(rows)


def grid(summary: Table, score: str = "balanced_accuracy") -> Table:
    """Lay one score of a `summary` out to be read: a row a method, a column a budget.

    Args:
        summary: from `summary`.
        score: accuracy, balanced_accuracy, precision or recall.
    Returns:
        Text such as ``0.859 [0.841, 0.876]``, with a star where it is a single run, whose interval
        comes from the test galaxies alone; a dash where a method was not run, or the score is not
        defined.
    """
    choice("score", score, metrics.THRESHOLD_SCORES)
    cells = {}
    for row in summary:
        value, low, high = (row[f"{score}{end}"] for end in ("", "_low", "_high"))
        star = "*" if row["n_runs"] == 1 else ""
        text = f"{value:.3f} [{low:.3f}, {high:.3f}]{star}" if np.isfinite(value) else "–"
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
        score: accuracy, balanced_accuracy, precision, recall or roc_auc.
    Returns:
        mean, low, high of a minus b; beats: whether the 95% interval lies above 0; n_seeds, n_runs,
        n_galaxies: what it rests on; and a, b, n_labels, score.
    Raises:
        ValueError: an unknown method or budget, or no run in common.
    """
    of_a, of_b, bought, seeds, draws = shared_runs(scores.table, a, b, n_labels)
    p_a, p_b = scores.p_late[of_a], scores.p_late[of_b]
    found = intervals.paired_difference(scores.label, p_a, p_b, seeds, draws, score)
    return {"a": a, "b": b, "n_labels": int(bought[0]), "score": score} | found


def compare_all(scores: Scores, pairs, score: str = "balanced_accuracy") -> list[dict]:
    """Compare pairs of methods at every budget at which both have runs in common.

    Args:
        scores: the runs.
        pairs: (a, b) names; a pair with a method that has no run is passed over.
        score: as for `compare`.
    Returns:
        What `compare` returns, pair by pair, budgets rising.
    """
    runs, found = {}, []
    for method, *run in scores.table.iterrows("method", "n_labels", "seed", "draw"):
        runs.setdefault(method, set()).add(tuple(run))
    for a, b in pairs:
        both = sorted({int(n) for n, *_ in runs.get(a, set()) & runs.get(b, set())})
        found += [compare(scores, a, b, n, score) for n in both]
    return found


def difference_grid(pairs: list[dict]) -> Table:
    """Lay differences out: a row for each pair of methods, a column for each budget, in points.

    Args:
        pairs: from `compare_all`.

    >>> pair = {"a": "h", "b": "PCA", "n_labels": 100, "mean": 0.044, "low": 0.016, "high": 0.078}
    >>> print(*difference_grid([pair])[0])
    h PCA +4.4 [+1.6, +7.8]
    """
    cells = {}
    for p in pairs:
        mean, low, high = (100 * float(p[k]) for k in ("mean", "low", "high"))
        own = cells.setdefault((str(p["a"]), str(p["b"])), {})
        own[int(p["n_labels"])] = f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
    laid = {"method": [a for a, _ in cells], "against": [b for _, b in cells]}
    for n in sorted({int(p["n_labels"]) for p in pairs}):
        laid[f"{n} labels"] = [own.get(n, "–") for own in cells.values()]
    return Table(laid)


def similar(pair: dict, margin: float = 0.02) -> str:
    """Say whether two methods are as good as each other, to within a margin.

    That a difference is not distinguished from zero does not show that it is small: it may only
    have been measured badly. Methods are *similar* if the whole interval of the difference lies
    within the margin, *different* if it lies outside (Schuirmann 1987, who takes the 90% interval
    for a test at 5%; the 95% interval here is the stricter).

    Args:
        pair: low and high of a difference, from `compare`.
        margin: largest difference that does not matter, as a share: 0.02 is two points.

    >>> similar({"low": -0.01, "high": 0.01}), similar({"low": -0.03, "high": 0.01})
    ('similar', 'undecided')
    >>> similar({"low": 0.021, "high": 0.05})
    'different'
    """
    low, high = pair["low"], pair["high"]
    if -margin < low and high < margin:
        return "similar"
    return "different" if low > margin or high < -margin else "undecided"
