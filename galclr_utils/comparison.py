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
from galclr_utils.journal import Journal, digest
from galclr_utils.probes import Method, draw_labels
from galclr_utils.provenance import progress, whole_folder
from galclr_utils.workers import side_by_side


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


def score_methods(
    methods: Mapping[str, Method],
    galaxies: GalaxySet,
    n_labels=(100, 1000, 0),
    n_draws: int | Mapping[str, int] = 5,
    seeds=(0,),
    journal: Path | None = None,
    inputs: Mapping[str, str | Mapping[int, str]] | None = None,
    draws_all: int = 0,
    workers: int = 1,
) -> Scores:
    """Train every method on the same label draws and judge it on the same test galaxies.

    Args:
        methods: name -> method; see `probes.probe`, and the baselines.
        galaxies: the data set; from its labelled ``train`` galaxies is drawn, its labelled ``test``
            galaxies are judged. Those of ``val`` are not used: no label comes free.
        n_labels: budgets; 0 means all. In the table, all is given as the number it is.
        n_draws: label draws for each budget and seed; or method -> draws, where some are slow. With
            all labels the draws differ only in what is random in the method.
        seeds: pretraining seeds; each has its own draws.
        journal: a folder where each run is kept as soon as it is done, and found again: a sweep of
            hours can be stopped, and several processes can share it (see `journal.Journal`).
        inputs: needed with a journal: method -> a text that names all that its result depends on
            beside data and labels (settings, features, code), or seed -> such a text. Another text,
            another run.
        draws_all: with all labels, at most so many draws; 0 for as many as with fewer.
        workers: processes that share the runs; 0 for one a core (see `workers.side_by_side`).
    Returns:
        A `Scores` with len(methods) * len(n_labels) * len(seeds) * n_draws runs.
    Raises:
        ValueError: one class only, too few labels, no labelled test galaxy; a method without draws
            or, with a journal, without inputs.

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
    draws = _for_each("n_draws", n_draws, methods)
    draws = {m: number("n_draws", n, 1, 10_000, integer=True) for m, n in draws.items()}
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
    for n in budgets:
        draw_labels(y_train, n)  # what cannot be drawn is refused before hours are spent
    every = itertools.product(budgets, map(int, seeds), range(max(draws.values())), methods)
    runs = [run for run in every if run[2] < draws[run[3]]]
    if draws_all := number("draws_all", draws_all, 0, 10_000, integer=True):
        runs = [run for run in runs if run[0] < len(train) or run[2] < draws_all]
    book = journal and Journal.of(journal, galaxies, test)
    inputs = _for_each("inputs", inputs or {}, methods) if book else {}
    done: dict[tuple, tuple] = {}
    for wait in (False, True) if book else (True,):  # what another process does comes last
        todo = [run for run in reversed(runs) if run not in done]  # the longest first
        tasks = []
        for n, seed, draw, name in todo:
            rows = train[drawn := draw_labels(y_train, n, draw, seed)]
            tasks.append((methods[name], (rows, y_train[drawn], test, seed, draw)))
            if book:
                told = inputs[name][seed] if isinstance(inputs[name], Mapping) else inputs[name]
                of_run = {"method": name, "seed": seed, "draw": draw, "inputs": told}
                key = book.key(labels=digest(rows, y_train[drawn]), **of_run)
                tasks[-1] += book, key, wait
        found = side_by_side(_run, tasks, workers)
        for run, result in zip(todo, progress(found, "scoring", len(todo)), strict=True):
            if result:
                done[run] = result
    rows = []
    for n, seed, draw, name in runs:
        p_late, seconds = done[n, seed, draw, name]
        found = {score: round(v, 6) for score, v in metrics.scores(label, p_late).items()}
        run = {"method": name, "n_labels": n, "seed": seed, "draw": draw, "split": "test"}
        rows.append(run | found | {"seconds": seconds})
    p_late = np.stack([done[run][0] for run in runs])
    return Scores(Table(rows), p_late, label, np.asarray(galaxies.catalog["id"][test], str))


def _run(method: Method, arguments: tuple, book: Journal | None = None, key="", wait=True):
    """Return the method's p_late (T,) float32, and the seconds it took; or None, see `Journal`."""
    if book:
        return book.once(key, lambda: method(*arguments), wait)
    began = time.perf_counter()
    p_late = np.asarray(method(*arguments), np.float32)
    return p_late, round(time.perf_counter() - began, 3)


def _for_each(name: str, values, methods) -> dict:
    """Return ``values`` as method -> value: one value serves all, a mapping must know each."""
    if not isinstance(values, Mapping):
        return dict.fromkeys(methods, values)
    if missing := [method for method in methods if method not in values]:
        raise ValueError(
            f"{name}: got nothing for {', '.join(missing)}, expected a value for each method"
        )
    return {method: values[method] for method in methods}


def even_odds(scores: Scores, galaxies: GalaxySet) -> Scores:
    """Let every run judge as if early and late types were equally common.

    Balanced accuracy counts both types alike, but a classifier that learned from a sample with few
    late types asks for more evidence to say late. Dividing its odds by those of the budget's own
    labels undoes that (Saerens et al. 2002, eq. 2.4). It reads nothing but the budget, treats all
    methods alike, and leaves the order of the galaxies, so the AUC, as it was. The probabilities
    are then those of a sample with as many early as late types; accuracy and calibration in the
    set at hand are judged from the given ones.

    Args:
        scores: runs made by `score_methods` from the stratified draws of these galaxies.
        galaxies: the data set.
    Returns:
        The same runs, their probabilities shifted and scored again.

    >>> catalog = Table({"id": np.arange(40).astype(str), "label": np.arange(40) % 4 // 3})
    >>> catalog["split"] = ["train"] * 20 + ["test"] * 20
    >>> card = {"units": "display", "bands": ["g", "r", "i"]}
    >>> galaxies = GalaxySet(np.zeros((40, 3, 4, 4), np.float32), catalog, card)
    >>> share = {"share": lambda train, y, test, seed, draw: np.full(len(test), np.mean(y))}
    >>> even_odds(score_methods(share, galaxies, [0], 1), galaxies).p_late[0, :2]
    array([0.5, 0.5], dtype=float32)
    """
    y_train = galaxies.labels[galaxies.labelled("train")]
    runs = list(scores.table.iterrows("n_labels", "seed", "draw"))
    drawn = {run: draw_labels(y_train, int(run[0]), int(run[2]), int(run[1])) for run in set(runs)}
    odds = np.array([y_train[drawn[run]].mean() for run in runs])
    odds = (odds / (1 - odds))[:, None]
    p = scores.p_late.astype(np.float64)
    p_late = (p / (p + (1 - p) * odds)).astype(np.float32)
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


def summary(scores: Scores) -> Table:
    """Return the scores of every method at every budget, with 95% intervals.

    Args:
        scores: the runs.
    Returns:
        One row for a method and a budget: method, n_labels; accuracy, balanced_accuracy, precision
        and recall, each with ``_low`` and ``_high`` (see `metrics.bootstrap`); roc_auc, the mean of
        the runs, and roc_auc_sd, their scatter (NaN for one run); n_seeds, n_runs.
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
    of_a, of_b, bought, seeds, draws = shared_runs(scores.table, a, b, n_labels)
    p_a, p_b = scores.p_late[of_a], scores.p_late[of_b]
    found = metrics.paired_difference(scores.label, p_a, p_b, seeds, draws, score)
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
