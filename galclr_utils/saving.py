"""Say how many labels one method saves against another, and how sure that is.

The saving is the ratio of the label counts at which the mean curves of two methods reach the same
balanced accuracy. Reading it off two curves is easy. It is harder to say how much of it is luck,
and what is known when one of the curves never crosses the line.
"""

# B resamples, K budgets, R runs

from __future__ import annotations

import numpy as np
from astropy.table import Table

from galclr_utils import intervals
from galclr_utils.checks import number, numbers
from galclr_utils.score_table import Scores

SHARES = (0.90, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)
BELOW, INSIDE, ABOVE = -1, 0, 1  # where a crossing lies: before the smallest budget, ...


def label_saving(
    scores: Scores, method: str, reference: str, share: float = 0.97, n_resamples: int = 1000
) -> dict:
    """Return how many times fewer labels a method needs than the reference, with an interval.

    The target is ``share`` times the best value of the reference's mean curve of balanced accuracy.
    Each curve is followed from few labels to many, straight between budgets in the logarithm of
    their number, to the first place where it reaches the target. The saving is the reference's
    number there divided by the method's: above 1, the method needs fewer.

    Both curves are means over the runs that the two methods share (same seeds and draws). The
    interval is 95%, from the hierarchical `intervals.bootstrap`: in each resample seeds, draws and
    galaxies are the same for both methods and all budgets, and the target is found anew.

    Nothing is extrapolated. A method that is above the target with its smallest budget may need
    fewer still: the saving is *at least* what is returned. One that never reaches it is bounded by
    its largest budget: *at most*. If the reference starts above the target, it is at most, too;
    and where two bounds point in opposite directions nothing is known. In a resample a bound counts
    for all that it allows (up to infinity, or down to 0), so the interval is on the wide side.

    Args:
        scores: the runs of both.
        method, reference: names. The reference is what one would do otherwise.
        share: of the reference's best, (0, 1].
        n_resamples: B.
    Returns:
        method, reference, share; saving, low, high (0 or inf where a bound reaches into the
        interval); bound: "crossed", "at least", "at most" or "unknown" (then saving is NaN);
        target, the balanced accuracy; n_method and n_reference, the label counts; at_least,
        at_most, unknown: in which share of the resamples the saving is one; n_seeds, n_runs,
        n_galaxies.
    Raises:
        ValueError: an unknown method, or no runs in common.

    >>> table = Table({"method": np.repeat(["a", "b"], 3), "n_labels": [10, 100, 1000] * 2})
    >>> table["seed"] = table["draw"] = 0
    >>> truth = np.tile([0, 1], 500)
    >>> wrong = [200, 100, 50, 300, 200, 100]
    >>> p_late = np.stack([np.abs(truth - (np.arange(1000) < k)) for k in wrong])
    >>> found = label_saving(Scores(table, p_late, truth, truth), "a", "b", share=1)
    >>> round(found["saving"]), found["bound"], round(found["target"], 3)
    (10, 'crossed', 0.9)
    """
    share = number("share", share, 0, 1, low_open=True)
    return _saving(_curves(scores, method, reference, n_resamples), share)


def saving_curve(
    scores: Scores, method: str, reference: str, shares=SHARES, n_resamples: int = 1000
) -> Table:
    """Return the saving for several targets: it is a matter of how good is good enough.

    Args:
        scores, method, reference, n_resamples: as for `label_saving`.
        shares: of the reference's best, each in (0, 1].
    Returns:
        A row for each share, with the columns that `label_saving` returns.
    """
    shares = numbers("shares", shares, 0, 1)
    curves = _curves(scores, method, reference, n_resamples)
    return Table([_saving(curves, share) for share in shares])


def shared_curves(scores: Scores, method: str, reference: str, n_resamples: int = 1000) -> Table:
    """Return the two curves that a saving is read off: means over the runs that both have.

    Returns:
        A row for each method and budget: method, n_labels, balanced_accuracy with ``_low`` and
        ``_high`` (95%), n_seeds, n_runs.
    """
    found, rows = _curves(scores, method, reference, n_resamples), []
    counts = {name: found["layout"][name] for name in ("n_seeds", "n_runs")}
    for name, (budgets, curves) in zip((method, reference), found["curves"], strict=True):
        for n, curve in zip(budgets, curves, strict=True):
            at = intervals.central_95(curve)
            score = {"balanced_accuracy": at["mean"]}
            score |= {f"balanced_accuracy_{end}": at[end] for end in ("low", "high")}
            rows.append({"method": name, "n_labels": int(n)} | score | counts)
    return Table(rows)


def crossing(n_labels, curve, target) -> tuple[np.ndarray, np.ndarray]:
    """Return where curves first reach a target, between budgets in the logarithm of n.

    Args:
        n_labels: (K,) rising. curve: (K, B). target: (B,).
    Returns:
        (B,) label counts, the smallest or largest budget where the crossing is outside; and where
        it is, int: -1 before the smallest budget, 0 inside, 1 beyond the largest.

    >>> n, where = crossing([10, 100], [[0.6, 0.8, 0.6], [0.8, 0.9, 0.65]], [0.7, 0.7, 0.7])
    >>> n.round(1), where
    (array([ 31.6,  10. , 100. ]), array([ 0, -1,  1]))
    """
    log_n, curve = np.log(np.asarray(n_labels, float)), np.asarray(curve, float)
    target = np.asarray(target, float)
    reached = curve >= target - 1e-12
    first = reached.argmax(axis=0)
    where = np.where(~reached.any(axis=0), ABOVE, np.where(first == 0, BELOW, INSIDE))
    after, each = np.maximum(first, 1) if len(log_n) > 1 else first, np.arange(curve.shape[1])
    before = np.maximum(after - 1, 0)
    rise = curve[after, each] - curve[before, each]
    part = ((target - curve[before, each]) / np.where(rise > 0, rise, 1)).clip(0, 1)
    inside = log_n[before] + part * (log_n[after] - log_n[before])
    ends = float(n_labels[0]), float(n_labels[-1])
    return np.choose(where + 1, [ends[0], np.exp(inside), ends[1]]), where


def _curves(scores: Scores, method: str, reference: str, n_resamples: int) -> dict:
    """Return both methods' budgets (K,) and curves (K, 1 + B), resampled together."""
    runs = {name: _runs(scores, name) for name in dict.fromkeys((method, reference))}
    shared = _shared([of_budget for by_n in runs.values() for of_budget in by_n.items()])
    if not shared:
        raise ValueError(
            f"{method} and {reference} have no seed and draw in common at all their budgets, "
            "expected some to compare them on"
        )
    seeds, draws = zip(*shared, strict=True)
    found = {}
    for name, by_n in runs.items():
        curves = []
        for n in sorted(by_n):
            rows = [_stand_in(by_n[n], key) for key in shared]
            p_late = scores.p_late[rows]
            curve = intervals.bootstrap(scores.label, p_late, seeds, draws, n_resamples)
            curves.append(curve["balanced_accuracy"])
        found[name] = np.array(sorted(by_n), float), np.array(curves)
    layout = {"n_seeds": len(set(seeds)), "n_runs": len(shared), "n_galaxies": len(scores.label)}
    names = {"method": method, "reference": reference}
    return {"curves": (found[method], found[reference]), "layout": layout, "names": names}


def _runs(scores: Scores, method: str) -> dict[int, dict[tuple, int]]:
    """Return budget -> (seed, draw) -> row of a method's runs."""
    scores.runs(method, 0)  # an unknown name is refused
    found = {}
    for row in np.flatnonzero(np.asarray(scores.table["method"]) == method):
        n, seed, draw = (int(scores.table[name][row]) for name in ("n_labels", "seed", "draw"))
        found.setdefault(n, {})[seed, draw] = int(row)
    return found


def _shared(budgets: list[tuple[int, dict]]) -> list[tuple]:
    """Return the (seed, draw) that all budgets have.

    Of the largest number of labels only the seeds must agree: where it is all there are, every draw
    is the same set, and slow methods are trained on it once.
    """
    most = max(n for n, _ in budgets)
    fewer = [set(of_budget) for n, of_budget in budgets if n < most]
    keys = set.intersection(*(fewer or [set(of_budget) for _, of_budget in budgets]))
    seeds = set.intersection(*({seed for seed, _ in of_budget} for _, of_budget in budgets))
    return sorted(key for key in keys if key[0] in seeds)


def _stand_in(of_budget: dict[tuple, int], key: tuple) -> int:
    """Return the row of a run; where its draw was not made, those of the seed take turns."""
    if key in of_budget:
        return of_budget[key]
    of_seed = sorted(k for k in of_budget if k[0] == key[0])
    return of_budget[of_seed[key[1] % len(of_seed)]]


def _saving(found: dict, share: float) -> dict:
    """Return the saving at one share of the reference's best curve; see `label_saving`."""
    (n_method, curve), (n_reference, curve_reference) = found["curves"]
    target = share * curve_reference.max(axis=0)
    own, own_where = crossing(n_method, curve, target)
    other, other_where = crossing(n_reference, curve_reference, target)
    ratio = other / own
    more = (own_where == BELOW) | (other_where == ABOVE)  # the truth may be above the ratio
    less = (own_where == ABOVE) | (other_where == BELOW)
    low, high = np.where(less, 0, ratio)[1:], np.where(more, np.inf, ratio)[1:]
    bounds = {"at_least": more & ~less, "at_most": less & ~more, "unknown": more & less}
    bound = [name.replace("_", " ") for name, where in bounds.items() if where[0]]
    known = target[0], own[0], other[0]
    return found["names"] | {
        "share": float(share),
        "saving": float(np.nan if more[0] and less[0] else ratio[0]),
        "low": float(np.quantile(low, 0.025, method="inverted_cdf")),
        "high": float(np.quantile(high, 0.975, method="inverted_cdf")),
        "bound": bound[0] if bound else "crossed",
        **dict(zip(("target", "n_method", "n_reference"), map(float, known), strict=True)),
        **{name: float(where[1:].mean()) for name, where in bounds.items()},
        **found["layout"],
    }


def told(found: dict) -> str:
    """Return a saving as text: ``"3.1 [2.0, 5.2]"``, with what bounds it.

    Args:
        found: saving, low, high and bound, from `label_saving` or a row of a table of them.

    >>> told({"saving": 3.14, "low": 2.0, "high": np.inf, "bound": "at least"})
    'at least 3.1 [2.0, ∞)'
    >>> told({"saving": 0.042, "low": 0.01, "high": 0.25, "bound": "crossed"})
    '0.042 [0.01, 0.25]'
    """
    if found["bound"] == "unknown":
        return "unknown"
    bound = "" if found["bound"] == "crossed" else f"{found['bound']} "
    values = (found[name] for name in ("saving", "low", "high"))
    saving, low, high = (f"{v:.2g}" if 0 < v < 1 else f"{v:.1f}" for v in values)
    return f"{bound}{saving} [{low}, " + ("∞)" if high == "inf" else f"{high}]")
